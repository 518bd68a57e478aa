"""The figures of a compression study: accuracy over ratio, over loops, and over size (fig. 10, 12 and 13)."""

from collections.abc import Sequence
from operator import itemgetter
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, ScalarFormatter

from pyhisto.study.compression import CompressionState, fewest_loops, find_states
from pyhisto.study.methods import METHOD
from pyhisto.study.paper.printed import COST, LOOPS, read_printed
from pyhisto.study.results import Results
from pyhisto.study.scores import Scored
from pyhisto.tables.drawing import COLOURS, Drawing, make_panels
from pyhisto.tables.table import Estimate

OTHER_CRITERIA = (
    "The paper prunes the channels of SEP blocks, the other criteria those of every layer, so that the same O leaves a "
    "smaller network; fig. 13 compares by size."
)
SAME_COST = "At the same O all criteria leave a network of the same cost."
ALIKE = 0.01
"""How far the weights of networks of the same cost may be apart, as a share of them."""
BARS = "Bars: 95% interval of one fold, standard deviation of several, or of several seeds."

Lines: TypeAlias = dict[str, list[tuple[float, Estimate]]]
"""Name -> points (x, IL)."""


def draw_compression(results: Results, scored: Sequence[Scored]) -> list[Drawing]:
    """The figures for which there are enough stages."""
    every = find_states(results, scored)
    compare = not results.settings.get("synthetic")
    made = [
        draw_over_loops(every, compare and results.settings.get("dataset") == "breakhis"),
        draw_over_ratio(every, compare and results.settings.get("width") == 1),
        draw_over_size(every),
    ]
    return [drawing for drawing in made if drawing is not None]


def draw_over_loops(every: Sequence[CompressionState], with_paper: bool) -> Drawing | None:
    """Fig. 10: accuracy over the number of loops R, one line per ratio O."""
    lines: Lines = {}
    for state in every:
        if state.method == METHOD and state.ratio and state.loops:
            lines.setdefault(_name(state, f"O = {state.ratio:g}"), []).append((state.loops, state.il))
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    figure, (axes,) = make_panels(1, 1, 5.6, 3.6)
    _draw_lines(axes, lines)
    if with_paper:
        printed = read_printed(LOOPS)
        loops, rates = [int(row["loops_R"]) for row in printed], [100 * float(row["accuracy"]) for row in printed]
        axes.plot(loops, rates, color=COLOURS[0], linestyle="--", marker="x", label="paper, O = 0.8")
    axes.set(xlabel="loops R", ylabel="IL, %")
    axes.locator_params(axis="x", integer=True)
    axes.legend(fontsize="small")
    caption = f"Accuracy over the number of pruning loops R (fig. 10); each loop trains on. {BARS}"
    return Drawing("loops", caption, figure)


def draw_over_ratio(every: Sequence[CompressionState], with_paper: bool) -> Drawing | None:
    """Fig. 12: accuracy (a), and weights and FLOPs of one branch (b), over the pruning ratio O; the fewest loops.

    Ratio 0, the network before, is where the lines of all methods begin.
    """
    pruned = [s for s in every if s.ratio is not None and s.loops in (None, fewest_loops(every))]
    chosen = [s for s in pruned if s.method == METHOD]
    methods = list(dict.fromkeys(s.method for s in pruned))
    lines: Lines = {}
    for method in methods:
        for state in (s for s in pruned if s.ratio == 0 or s.method == method):
            name = _name(state, method if len(methods) > 1 else "")
            lines.setdefault(name, []).append((state.ratio or 0, state.il))
    lines = {name: points for name, points in lines.items() if len(points) > 2}
    if not lines:
        return None
    figure, (accuracy, cost) = make_panels(2, 2, 5.2, 3.6)
    _draw_lines(accuracy, lines)
    accuracy.set(xlabel="pruning ratio O", ylabel="IL, %", title="(a) accuracy")
    if len(lines) > 1:
        accuracy.legend(fontsize="small")
    _draw_cost(cost, chosen, with_paper)
    caption = f"Accuracy, weights and FLOPs over the pruning ratio O (fig. 12). {BARS}"
    if len(methods) > 1:
        caption += f" {SAME_COST if _cost_alike(pruned) else OTHER_CRITERIA}"
    return Drawing("ratios", caption, figure)


def _cost_alike(pruned: Sequence[CompressionState]) -> bool:
    """Whether the networks of each ratio have as many weights."""
    by_ratio: dict[float | None, list[float]] = {}
    for state in pruned:
        by_ratio.setdefault(state.ratio, []).append(state.weights or 0)
    return all(max(weights) - min(weights) <= ALIKE * max(weights) for weights in by_ratio.values())


def draw_over_size(every: Sequence[CompressionState]) -> Drawing | None:
    """Fig. 13: accuracy over the size of the weights on disk, one line per method."""
    fewest = fewest_loops(every)
    chosen = [s for s in every if s.size and s.ratio != 0 and (s.method != METHOD or s.loops in (None, fewest))]
    if len({state.method for state in chosen}) < 2:
        return None
    lines: Lines = {}
    for state in chosen:
        lines.setdefault(_name(state, state.method), []).append(((state.size or 0) / 1e6, state.il))
    figure, (axes,) = make_panels(1, 1, 8.2, 3.8)
    _draw_lines(axes, lines)
    axes.set(xlabel="weights of one branch on disk, MB", ylabel="IL, %", xscale="log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(_ticks([x for points in lines.values() for x, _ in points]))
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1))
    return Drawing("sizes", f"Accuracy over the size of the compressed network (fig. 13). {BARS}", figure)


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers, 1, 2 and 5 of each power of ten, that span the values of a logarithmic axis."""
    steps = [digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5)]
    return [step for step in steps if min(values) / 2.5 <= step <= max(values) * 2.5]


def _draw_lines(axes: Axes, lines: Lines) -> None:
    # More lines than colours: the next ones are dashed, with other marks.
    styles = [(colour, mark, line) for mark, line in (("o", "-"), ("s", "--"), ("^", ":")) for colour in COLOURS[1:]]
    for (name, points), (colour, mark, line) in zip(lines.items(), styles, strict=False):
        positions, rates = zip(*sorted(points, key=itemgetter(0)), strict=True)
        values = [rate.value for rate in rates]
        below, above = [rate.value - rate.low for rate in rates], [rate.high - rate.value for rate in rates]
        axes.errorbar(
            positions,
            values,
            (below, above),
            color=colour,
            marker=mark,
            linestyle=line,
            markersize=4,
            elinewidth=0.8,
            capsize=2,
            label=name,
        )
    axes.grid(alpha=0.25)


def _draw_cost(axes: Axes, chosen: Sequence[CompressionState], with_paper: bool) -> None:
    right = axes.twinx()
    handles = []
    measures = ((axes, "weights", "weights_M", COLOURS[1]), (right, "flops", "flops_M", COLOURS[2]))
    for panel, field, column, colour in measures:
        points = sorted({(s.ratio, getattr(s, field) / 1e6) for s in chosen if getattr(s, field)})
        name = "weights" if field == "weights" else "FLOPs"
        if points:
            handles += panel.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4, label=name)
        if with_paper:
            rows = [row for row in read_printed(COST) if row["pruning_ratio"]]
            ratios, printed = [float(row["pruning_ratio"]) for row in rows], [float(row[column]) for row in rows]
            handles += panel.plot(ratios, printed, color=colour, linestyle="--", marker="x", label=f"{name}, paper")
        panel.set(ylabel=f"{name}, millions", ylim=(0, None))
    axes.set(xlabel="pruning ratio O", title="(b) cost of one branch")
    axes.legend(handles=handles, fontsize="small", loc="lower left")
    axes.grid(alpha=0.25)


def _name(state: CompressionState, text: str) -> str:
    magnification = "" if state.magnification is None else f"{state.magnification}X"
    return ", ".join(part for part in (text, magnification) if part)
