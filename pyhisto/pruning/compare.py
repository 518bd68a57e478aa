"""Two states of one network side by side, before and after a pruning: what each layer costs, and how wide it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pyhisto.cost import Cost, layer_costs
from pyhisto.errors import InputError
from pyhisto.graph import Graph, Shape

LayerTimes: TypeAlias = Mapping[str, tuple[float, float]]
"""Layer -> milliseconds forward and backward, for a whole batch."""

WIDTH_TYPES = ("Convolution", "Deconvolution", "InnerProduct")
OUTLINE, CUT, WHOLE = "#374151", "#1d4ed8", "#b6bec9"


@dataclass(frozen=True)
class State:
    """A layer, or a whole network, at one time."""

    shape: Shape | None
    """Of the layer's first top, with its batch; None for a network, and for a layer without tops."""
    cost: Cost
    forward_ms: float | None = None
    """For a whole batch; None if nobody measured."""
    backward_ms: float | None = None

    @property
    def channels(self) -> int | None:
        """How many channels the layer makes."""
        return self.shape[1] if self.shape is not None and len(self.shape) > 1 else None


@dataclass(frozen=True)
class LayerChange:
    """A layer before and after; one of the two may not exist."""

    name: str
    type: str
    before: State | None
    after: State | None


def compare_layers(
    before: Graph, after: Graph, times: tuple[LayerTimes, LayerTimes] | None = None
) -> list[LayerChange]:
    """All layers of two networks, matched by name, in the order of the first; new ones follow.

    Splits that Caffe adds by itself are in `times` alone, and in no layer. Raises InputError if a shape is unknown,
    or if the networks have no layer in common.
    """
    first, second = (_states(graph, times and times[index]) for index, graph in enumerate((before, after)))
    if not first.keys() & second.keys():
        raise InputError(f"{after.source} and {before.source} have no layer in common; are they of one network?")
    return [
        LayerChange(key[0], key[1], first.get(key), second.get(key))
        for key in [*first, *(key for key in second if key not in first)]
    ]


def total(layers: Sequence[LayerChange], side: Literal["before", "after"]) -> Cost:
    """What one of the networks costs as a whole."""
    return sum((state.cost for layer in layers if (state := getattr(layer, side))), Cost())


def _states(graph: Graph, times: LayerTimes | None) -> dict[tuple[str, str, int], State]:
    """By name, type, and how many of both stood before it: Caffe lets layers share a name."""
    states: dict[tuple[str, str, int], State] = {}
    for layer in layer_costs(graph):
        number = sum(1 for name, kind, _ in states if (name, kind) == (layer.name, layer.type))
        # `caffe time` prints names without the blanks around them.
        forward, backward = (times or {}).get(layer.name.strip(), (None, None))
        states[layer.name, layer.type, number] = State(layer.shape, layer.cost, forward, backward)
    return states


# The picture


def blocks(names: Sequence[str]) -> Iterator[list[str]]:
    """Layers in their order, grouped by the block that their names say: `inception_3a/1x1`, `inception_3a_1x1_up`.

    A name's block is what stands before its first slash, else before its last underscore; a layer whose name goes on
    from the block before it belongs there.
    """
    block = ""
    keys = []
    for name in names:
        if not (block and name.startswith((f"{block}/", f"{block}_"))):
            block = name.partition("/")[0] if "/" in name else name.rpartition("_")[0] or name
        keys.append(block)
    for _, group in groupby(zip(keys, names, strict=True), key=lambda pair: pair[0]):
        yield [name for _, name in group]


def draw_widths(layers: Sequence[LayerChange], title: str) -> Figure:
    """One bar for each convolution and inner product, top to bottom: outlined before, filled after."""
    rows = [layer for layer in layers if layer.type in WIDTH_TYPES and _width(layer.before)]
    figure = Figure(figsize=(9, 1.6 + 0.19 * len(rows)), layout="constrained")
    axes = figure.subplots()
    widest = max((_width(layer.before) for layer in rows), default=1)
    for place, layer in enumerate(rows):
        before, after = _width(layer.before), _width(layer.after)
        axes.barh(place, after, height=0.8, color=WHOLE if after == before else CUT)
        axes.barh(place, before, height=0.8, facecolor="none", edgecolor=OUTLINE, linewidth=0.7)
        label = str(before) if after == before else f"{before} → {after or 'gone'}"
        axes.text(max(before, after) + widest / 120, place, label, va="center", fontsize=6.5, color=OUTLINE)
    start = 0
    for number, block in enumerate(blocks([layer.name for layer in rows])):
        if number % 2 == 0:
            axes.axhspan(start - 0.5, start + len(block) - 0.5, color="#f1f3f6", zorder=0)
        start += len(block)
    axes.set_yticks(range(len(rows)), [layer.name for layer in rows], fontsize=6.5)
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, 1.13 * widest), xlabel="channels")
    axes.set_title(title, fontsize="medium", pad=22)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        handles=[
            Patch(facecolor="none", edgecolor=OUTLINE, label="before"),
            Patch(color=CUT, label="after"),
            Patch(color=WHOLE, label="unchanged"),
        ],
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize="small", frameon=False,
    )  # fmt: skip
    return figure


def _width(state: State | None) -> int:
    return (state.channels or 0) if state is not None else 0
