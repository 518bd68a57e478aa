"""The compression study: accuracy over pruning ratio, over loops, and over size (fig. 10, 12 and 13).

The stages say what they are in stage.json: `ratio` (O), `loops` (R) and `method` (channel pruning if absent).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, ScalarFormatter

from pyhisto.evaluation.metrics import mean_and_spread
from pyhisto.study.paper.beside import COST, LOOPS, pruning_ratio, read_printed
from pyhisto.study.results import Results
from pyhisto.study.scores import Scored, groups
from pyhisto.tables.drawing import COLOURS, Drawing, grid
from pyhisto.tables.table import Estimate, percent

METHOD = "channel pruning"
DNS = "DNS"
JOINT = "channel pruning + DNS"
OTHER_CRITERIA = (
    "The paper prunes the channels of SEP blocks, the other criteria those of every layer, so that the same O leaves a "
    "smaller network; fig. 13 compares by size."
)
BARS = "Bars: 95% interval of one fold, standard deviation of several."


Lines: TypeAlias = dict[str, list[tuple[float, Estimate]]]
"""Name -> points (x, IL)."""


@dataclass(frozen=True)
class State:
    """One compressed network (or the one before compression), its folds averaged."""

    magnification: str | None
    label: str
    folds: Sequence[Scored]
    method: str
    ratio: float | None
    loops: int | None
    il: Estimate
    """Image level rate of the hybrid, else of the branch that there is, in percent: its Wilson 95% interval, or, of
    several folds, one standard deviation to either side of the mean."""
    weights: float | None
    flops: float | None
    size: float | None
    """Bytes of one branch's weights on disk, written alike for every method: zeros take a bit, the rest four bytes."""


def states(results: Results, scored: Sequence[Scored]) -> list[State]:
    """Every stage at every magnification."""
    found = []
    for magnification, label, folds in groups(scored):
        settings: Mapping[str, Any] = folds[0].stage.settings
        loops = settings.get("loops")
        found.append(
            State(
                magnification,
                label,
                folds,
                str(settings.get("method", METHOD)),
                pruning_ratio(folds[0], results.settings),
                loops if isinstance(loops, int) else None,
                _il(folds),
                _mean(folds, attrgetter("weights")),
                _mean(folds, attrgetter("flops")),
                _mean(folds, attrgetter("sparse_bytes")),
            )
        )
    return found


def compression_drawings(results: Results, scored: Sequence[Scored]) -> list[Drawing]:
    """The figures for which there are enough stages."""
    every = states(results, scored)
    compare = not results.settings.get("synthetic")
    made = [
        over_loops(every, compare and results.settings.get("dataset") == "breakhis"),
        over_ratio(every, compare and results.settings.get("width") == 1),
        over_size(every),
    ]
    return [drawing for drawing in made if drawing is not None]


def over_loops(every: Sequence[State], with_paper: bool) -> Drawing | None:
    """Fig. 10: accuracy over the number of loops R, one ratio O a line."""
    lines: Lines = {}
    for state in every:
        if state.method == METHOD and state.ratio and state.loops:
            lines.setdefault(_name(state, f"O = {state.ratio:g}"), []).append((state.loops, state.il))
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    figure, (axes,) = grid(1, 1, 5.6, 3.6)
    _draw_lines(axes, lines)
    if with_paper:
        printed = read_printed(LOOPS)
        loops, rates = [int(row["loops_R"]) for row in printed], [100 * float(row["accuracy"]) for row in printed]
        axes.plot(loops, rates, color=COLOURS[0], linestyle="--", marker="x", label="paper, O = 0.8")
    axes.set(xlabel="loops R", ylabel="IL, %")
    axes.locator_params(axis="x", integer=True)
    axes.legend(fontsize="small")
    return Drawing("loops", f"Accuracy over the number of pruning loops R (fig. 10). {BARS}", figure)


def over_ratio(every: Sequence[State], with_paper: bool) -> Drawing | None:
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
    figure, (accuracy, cost) = grid(2, 2, 5.2, 3.6)
    _draw_lines(accuracy, lines)
    accuracy.set(xlabel="pruning ratio O", ylabel="IL, %", title="(a) accuracy")
    if len(lines) > 1:
        accuracy.legend(fontsize="small")
    _draw_cost(cost, chosen, with_paper)
    caption = f"Accuracy, weights and FLOPs over the pruning ratio O (fig. 12). {BARS}"
    return Drawing("ratios", f"{caption} {OTHER_CRITERIA}" if len(methods) > 1 else caption, figure)


def over_size(every: Sequence[State]) -> Drawing | None:
    """Fig. 13: accuracy over the size of the weights on disk, one method a line."""
    fewest = fewest_loops(every)
    chosen = [s for s in every if s.size and s.ratio != 0 and (s.method != METHOD or s.loops in (None, fewest))]
    if len({state.method for state in chosen}) < 2:
        return None
    lines: Lines = {}
    for state in chosen:
        lines.setdefault(_name(state, state.method), []).append(((state.size or 0) / 1e6, state.il))
    figure, (axes,) = grid(1, 1, 6.2, 3.8)
    _draw_lines(axes, lines)
    axes.set(xlabel="weights of one branch on disk, MB", ylabel="IL, %", xscale="log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(_ticks([x for points in lines.values() for x, _ in points]))
    axes.legend(fontsize="small")
    return Drawing("sizes", f"Accuracy over the size of the compressed network (fig. 13). {BARS}", figure)


def fewest_loops(every: Sequence[State]) -> int | None:
    """The R that stages of other ratios are compared at; None where no stage says how many loops it took."""
    return min((state.loops for state in every if state.loops), default=None)


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers, 1, 2 and 5 of each power of ten, that span the values of a logarithmic axis."""
    steps = [digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5)]
    return [step for step in steps if min(values) / 2.5 <= step <= max(values) * 2.5]


def _draw_lines(axes: Axes, lines: Lines) -> None:
    for (name, points), colour in zip(lines.items(), COLOURS[1:] * 4, strict=False):
        places, rates = zip(*sorted(points, key=itemgetter(0)), strict=True)
        values = [rate.value for rate in rates]
        below, above = [rate.value - rate.low for rate in rates], [rate.high - rate.value for rate in rates]
        axes.errorbar(
            places,
            values,
            (below, above),
            color=colour,
            marker="o",
            markersize=4,
            elinewidth=0.8,
            capsize=2,
            label=name,
        )
    axes.grid(alpha=0.25)


def _draw_cost(axes: Axes, chosen: Sequence[State], with_paper: bool) -> None:
    right = axes.twinx()
    handles = []
    measures = ((axes, "weights", "weights_M", COLOURS[1]), (right, "flops", "flops_M", COLOURS[2]))
    for place, field, column, colour in measures:
        points = sorted({(s.ratio, getattr(s, field) / 1e6) for s in chosen if getattr(s, field)})
        name = "weights" if field == "weights" else "FLOPs"
        if points:
            handles += place.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4, label=name)
        if with_paper:
            rows = [row for row in read_printed(COST) if row["pruning_ratio"]]
            ratios, printed = [float(row["pruning_ratio"]) for row in rows], [float(row[column]) for row in rows]
            handles += place.plot(ratios, printed, color=colour, linestyle="--", marker="x", label=f"{name}, paper")
        place.set(ylabel=f"{name}, millions", ylim=(0, None))
    axes.set(xlabel="pruning ratio O", title="(b) cost of one branch")
    axes.legend(handles=handles, fontsize="small", loc="lower left")
    axes.grid(alpha=0.25)


def _il(folds: Sequence[Scored]) -> Estimate:
    """IL of the hybrid; of the local, else the global branch where there is no hybrid."""
    found = [one.result("3") or one.result("2") or one.result("1") for one in folds]
    estimates = [percent(result.scores.il, result.scores.il_interval) for result in found if result is not None]
    if len(estimates) == 1:
        return estimates[0]
    mean, std = mean_and_spread(np.array([estimate.value for estimate in estimates]))
    return Estimate(mean, mean - std, mean + std)


def _mean(folds: Sequence[Scored], of: Callable[[Any], float | None]) -> float | None:
    values = [value for one in folds for branch in one.stage.branches.values() if (value := of(branch)) is not None]
    return float(np.mean(values)) if values else None


def _name(state: State, text: str) -> str:
    magnification = "" if state.magnification is None else f"{state.magnification}X"
    return ", ".join(part for part in (text, magnification) if part)
