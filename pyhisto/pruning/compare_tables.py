"""Two states of one network as tables: in total, and layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.graph import Graph, check_weights
from pyhisto.proto import read_weights
from pyhisto.pruning.compare import LayerChange, LayerTimes, State, total
from pyhisto.pruning.prototxts import read_prototxts
from pyhisto.tables.table import Cell, Column, Table
from pyhisto.training.timing import Rounds


@dataclass(frozen=True)
class ComparedModel:
    """One of the two networks."""

    path: Path
    """Its prototxt."""
    graph: Graph
    weights: Path | None

    @property
    def bytes(self) -> int | None:
        """The weights file's size on disk."""
        return self.weights.stat().st_size if self.weights is not None else None

    @property
    def batch(self) -> int:
        """How many items it takes at a time."""
        shape = self.graph.inputs[0].shape
        return shape[0] if shape else 1


def read_model(place: Path, weights: Path | None, option: str) -> ComparedModel:
    """Read a prototxt, or a folder's deploy.prototxt, with its weights: those given, or those in the folder.

    Raises InputError if a file is at fault, the weights are not the network's, or the folder holds several weights
    files, of which the command line's `option` is to name one.
    """
    path = place / "deploy.prototxt" if place.is_dir() else place
    graph = read_prototxts(path, [], {})[0].graphs[0]
    if weights is None and place.is_dir():
        found = sorted([*place.glob("*.caffemodel"), *place.glob("*.caffemodel.h5")])
        if len(found) > 1:
            raise InputError(f"{place}: holds {len(found)} weights files; name one with {option}")
        weights = found[0] if found else None
    if weights is not None:
        check_weights(graph, read_weights(weights), weights)
    return ComparedModel(path, graph, weights)


def times_by_layer(rounds: Rounds) -> LayerTimes:
    """The median of each layer's times."""
    return {name: (forward, backward) for name, forward, backward in rounds.median.layers}


def totals_table(
    before: ComparedModel,
    after: ComparedModel,
    layers: Sequence[LayerChange],
    times: tuple[Rounds, Rounds] | None,
    iterations: int,
) -> Table:
    """Weights, FLOPs, memory, size and time of both networks; `iterations` are those of each round of `times`."""
    one, other = total(layers, "before"), total(layers, "after")
    notes = ["Weights as in a caffemodel; FLOPs and activation bytes (float32) for one item of a batch."]
    measures: list[tuple[str, Cell, Cell]] = [
        ("weights", one.weights, other.weights),
        ("FLOPs", one.flops, other.flops),
        ("activation bytes", one.activation_bytes, other.activation_bytes),
        ("bytes on disk", before.bytes, after.bytes),
    ]
    if times is not None:
        first, second = (rounds.median for rounds in times)
        measures.append(("forward ms", first.forward_ms, second.forward_ms))
        measures.append(("backward ms", first.backward_ms, second.backward_ms))
        notes.append(
            f"Times: `caffe time`, a batch of {first.batch} before and {second.batch} after, the median of "
            f"{len(times[0].timings)} rounds of {iterations} iterations in which the two networks took turns."
        )
    columns = [Column("measure"), Column("before", 2), Column("after", 2), Column("after / before", 3)]
    rows = [(name, first, second, _divide(second, first)) for name, first, second in measures]
    return Table("totals", "Before and after", columns, rows, notes)


def layers_table(layers: Sequence[LayerChange]) -> Table:
    """One row per layer: its channels, costs and times before and after."""
    names = ("channels", "weights", "flops", "activation_bytes", "forward_ms", "backward_ms")
    columns = [Column("layer"), Column("type")]
    columns += [Column(f"{name}_{side}", 3) for name in names for side in ("before", "after")]
    rows = []
    for layer in layers:
        pairs = zip(_cells(layer.before), _cells(layer.after), strict=True)
        rows.append([layer.name, layer.type, *(cell for pair in pairs for cell in pair)])
    return Table("layers", "By layer", columns, rows).without_empty_columns()


def _cells(state: State | None) -> list[Cell]:
    if state is None:
        return [None] * 6
    cost = state.cost
    return [
        state.channels, cost.weights, cost.flops, cost.activation_bytes, state.forward_ms, state.backward_ms,
    ]  # fmt: skip


def _divide(after: Cell, before: Cell) -> float | None:
    if isinstance(before, int | float) and isinstance(after, int | float) and before:
        return after / before
    return None
