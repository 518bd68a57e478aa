"""What the paper says is better than what (Tables 3 and 5, fig. 10, 12 and 13), and whether it holds here.

What the paper leaves open stands beside it: whether importance chooses better than another criterion, whether what a
compressed network gains on the one before comes from training on, and whether given weights are a better start.

Both sides of a comparison are tested on the same images, so that their difference has an interval of its own, narrower
than what the two intervals suggest. An ordering holds, or does not, if that interval leaves out zero.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.evaluation.folds import to_percent
from pyhisto.evaluation.metrics import Interval, difference_interval
from pyhisto.study.compression import CompressionState, fewest_loops, find_states
from pyhisto.study.methods import DNS, JOINT, METHOD, STARTED, TRAINING
from pyhisto.study.results import Results
from pyhisto.study.scores import SUMMARY, Scored
from pyhisto.tables.table import Cell, Column, Table

COLLAPSE = 0.95
"""The ratio at which the paper's accuracy drops sharply; up to 0.9 it is comparable (fig. 12a)."""
PRINTED_RATIOS = (0.0, 0.5)
"""Of Tables 3 and 5, in which the hybrid stands beside its branches."""

Expected: TypeAlias = Literal["better", "no worse", "worse"]
Side: TypeAlias = tuple[CompressionState, str]
"""A stage and a strategy of SUMMARY."""


@dataclass(frozen=True)
class Ordering:
    """One thing that the paper says: the first side is better (no worse, worse) than the second."""

    claim: str
    pairs: Sequence[tuple[Side, Side]]
    """What is compared with what; of several pairs all together."""
    expected: Expected


def orderings_table(results: Results, scored: Sequence[Scored]) -> Table | None:
    """Every ordering of the paper for which there are results, with the difference in IL; None if there is none."""
    every = find_states(results, scored)
    rows: list[list[Cell]] = []
    for magnification in dict.fromkeys(state.magnification for state in every):
        for ordering in _orderings([state for state in every if state.magnification == magnification]):
            row = _row(ordering)
            if row is not None:
                rows.append([magnification, *row])
    if not rows:
        return None
    columns = [*map(Column, ("magnification", "the paper says", "first", "second", "IL first", "IL second"))]
    columns += [Column("difference"), Column("here")]
    notes = [
        "IL in percent. difference: first minus second on the same images, with a 95% interval from a bootstrap over "
        f"patients (all folds' images together){_seeds_note(results)}. A compressed network has trained on since: "
        "what it gains on the one before may come from that.",
        'holds, does not hold: zero lies outside the interval. "within noise": if the paper says no worse, and the '
        'interval has zero in it; "not shown": if it says better or worse, and the interval has zero in it.',
    ]
    title = "The orderings that the paper reports, and whether they hold here"
    return Table("orderings", title, columns, rows, notes).without_empty_columns()


def _orderings(every: Sequence[CompressionState]) -> Iterator[Ordering]:
    """What the paper says about stages of one magnification."""
    fewest = fewest_loops(every)
    channels = [state for state in every if state.method == METHOD and state.ratio is not None]
    single = sorted((s for s in channels if s.loops in (None, fewest)), key=attrgetter("ratio"))
    for state in (s for s in single if s.ratio in PRINTED_RATIOS):
        for branch in ("1", "2"):
            claim = "the hybrid is at least as good as a branch (Tables 3, 5)"
            yield Ordering(claim, [((state, "3"), (state, branch))], "no worse")
    trained_on = [s for s in every if s.method == TRAINING]
    for before in [*(s for s in single if s.ratio == 0), *trained_on]:
        for state in (s for s in single if s.ratio):
            if (state.ratio or 0) < COLLAPSE:
                yield _versus("pruned, it is as accurate as before (fig. 12a)", state, before, "no worse")
            else:
                yield _versus("pruned that far, it collapses (fig. 12a)", state, before, "worse")
    for state in channels:
        for base in (s for s in single if s.ratio == state.ratio and (state.loops or 0) > (s.loops or 0) > 0):
            yield _versus("more loops R are more accurate (fig. 10)", state, base, "better")
    for state in (s for s in every if s.method == JOINT and s.size):
        larger = [s for s in every if s.method == DNS and (s.size or 0) >= (state.size or 0)]
        for alone in sorted(larger, key=attrgetter("size"))[:1]:
            yield _versus("with DNS better than DNS alone, at no more bytes (fig. 13)", state, alone, "better")
    yield from _criteria(every, single)
    for before in (s for s in single if s.ratio == 0):
        for state in (s for s in every if s.method == STARTED):
            yield _versus("(not in the paper) more accurate from given weights", state, before, "better")


def _criteria(every: Sequence[CompressionState], single: Sequence[CompressionState]) -> Iterator[Ordering]:
    """Whether importance chooses better than another criterion: at each ratio, and at all of them together."""
    others = [s for s in every if s.method not in (METHOD, DNS, JOINT, TRAINING) and s.ratio]
    for method in dict.fromkeys(other.method for other in others):
        pairs = [
            (_stands(mine), _stands(other))
            for mine in single
            for other in others
            if other.method == method and (other.ratio, other.loops) == (mine.ratio, mine.loops)
        ]
        claim = f"(not in the paper) importance chooses better than {method}"
        for pair in pairs:
            yield Ordering(claim, [pair], "better")
        if len(pairs) > 1:
            yield Ordering(f"{claim}, all ratios", pairs, "better")


def _versus(claim: str, first: CompressionState, second: CompressionState, expected: Expected) -> Ordering:
    return Ordering(claim, [(_stands(first), _stands(second))], expected)


def _stands(state: CompressionState) -> Side:
    """A stage and what stands for it: the hybrid, if it has one."""
    return state, state.folds[0].best


def _seeds_note(results: Results) -> str:
    seeds = {experiment.seed for experiment in results.experiments} - {None}
    return f" and the spread of {len(seeds)} trainings (Student's t)" if seeds else "; it does not know other trainings"


def _row(ordering: Ordering) -> list[Cell] | None:
    """The comparison's cells; None if no fold has both sides."""
    found = _differences(ordering.pairs)
    if found is None:
        return None
    first, second, interval = found
    names = [_name(sides) for sides in zip(*ordering.pairs, strict=True)]
    verdict = _verdict(ordering.expected, interval)
    return [ordering.claim, *names, 100 * first, 100 * second, to_percent(first - second, interval), verdict]


def _differences(pairs: Sequence[tuple[Side, Side]]) -> tuple[float, float, Interval] | None:
    """IL of both sides over the folds that both have, and the interval of their difference."""
    found = [both for first, second in pairs for both in _both(first, second)]
    if not found:
        return None
    mine, theirs = (np.concatenate([each[side] for each in found]) for side in (1, 2))
    _, patients = np.unique([patient for one, *_ in found for patient in one.patient_of], return_inverse=True)
    seeds = [seed for one, *_ in found if (seed := one.experiment.seed) is not None for _ in one.images]
    trainings = np.unique(seeds, return_inverse=True)[1] if len(seeds) == len(mine) else None
    interval = difference_interval(mine.astype(int) - theirs, patients, trainings=trainings)
    return float(mine.mean()), float(theirs.mean()), interval


def _both(first: Side, second: Side) -> Iterator[tuple[Scored, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Each fold that both sides have, and which of its images each side names rightly."""
    seconds = {one.experiment.key: one for one in second[0].folds if second[1] in one.correct}
    for one in first[0].folds:
        other = seconds.get(one.experiment.key)
        if other is not None and first[1] in one.correct and one.images == other.images:
            yield one, one.correct[first[1]], other.correct[second[1]]


def _name(sides: Sequence[Side]) -> str:
    """The stages, and the strategy that they have in common."""
    return ", ".join([*(state.label for state, _ in sides), SUMMARY[sides[0][1]].split()[1]])


def _verdict(expected: Expected, interval: Interval) -> str:
    better, worse = interval.low > 0, interval.high < 0
    if not better and not worse:
        return "within noise" if expected == "no worse" else "not shown"
    return "holds" if worse == (expected == "worse") else "does not hold"
