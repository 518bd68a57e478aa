"""What a reader has to know to read a report's figures rightly, in sentences; none if there is nothing to say."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pyhisto.evaluation.folds import INTERVALS
from pyhisto.evaluation.remarks import Rates, remark_on_scores
from pyhisto.study.results import Experiment, Results, TimingConditions
from pyhisto.study.scores import SUMMARY, Scored, group_folds
from pyhisto.study.splits import compute_share, find_missing, find_untrained
from pyhisto.tables.table import Table, format_cell

LARGE = 10.0
"""A difference from the paper of more points needs an explanation; of kappa, of a hundredth of that."""
SHIFT = 0.2
"""How far a class's shares of training and test images must differ to be mentioned."""
BUSY = 0.1
"""Other processes disturb a timing if they use a larger share of the machine's cores."""


def remark_on_missing(results: Results) -> Iterator[str]:
    """How much of the data set is not there."""
    for (magnification, there), _ in find_missing(results).items():
        if there.missing:
            at = f" at {magnification}X" if magnification else ""
            left = f"{there.found:,} ({100 * there.found / there.expected:.1f}%)"
            yield (
                f"{there.missing:,} of the data set's {there.expected:,} images{at} are missing: every figure here is "
                f"of the other {left}, none of the whole data set."
            )


def remark_on_splits(results: Results) -> Iterator[str]:
    """Subtypes that no network trained on, classes of other shares in test than in training; what else was noted."""
    for experiment in results.of_one_seed:
        yield from _remark_on_split(experiment, results)
    yield from dict.fromkeys(
        _name_experiment(experiment, note)
        for experiment in results.of_one_seed
        for note in experiment.notes
        if "are missing" not in note  # remark_on_missing says it
    )


def remark_on_stains(results: Results) -> Iterator[str]:
    """To what colours the images were moved; once, if it is the same everywhere but for the number of images."""
    found: dict[str, list[str]] = {}
    for experiment in results.experiments:
        for branch, stain in experiment.stains.items():
            found.setdefault(re.sub(r"[0-9]+ training images", "the training images", stain), []).append(branch)
    for stain, branches in found.items():
        only = "" if len(found) == 1 else f", {' and '.join(dict.fromkeys(branches))} branch"
        yield f"Stain normalisation{only}: {stain}."


def _remark_on_split(experiment: Experiment, results: Results) -> Iterator[str]:
    """What one experiment's splits do to its figures."""
    untrained = find_untrained(experiment.manifest)
    if untrained:
        named = ", ".join(
            f"{one.subtype} ({results.class_name(one.label)}; {_count(one.count.images, 'image')}, "
            f"{_count(one.count.patients, 'patient')})"
            for one in untrained
        )
        yield _name_experiment(experiment, f"in the test part and not in the training part: {named}.")
    shares = [
        (label, compute_share(experiment.manifest, "train", label), compute_share(experiment.manifest, "test", label))
        for label in sorted({row.label for row in experiment.manifest})
    ]
    far = [
        f"{100 * train:.0f}% of the training images and {100 * test:.0f}% of the test images are "
        f"{results.class_name(label)}"
        for label, train, test in shares
        if train is not None and test is not None and abs(train - test) >= SHIFT
    ]
    if far:
        # Of two classes the second says the same.
        yield _name_experiment(experiment, f"{far[0] if len(shares) == 2 else '; '.join(far)}.")


def remark_on_rates(scored: Sequence[Scored]) -> Iterator[str]:
    """Say which rates of a study are below the majority rate, and which AUCs below that of chance."""
    found: dict[str, Rates] = {}
    for magnification, label, folds in group_folds(scored):
        found[f"{label}{f' at {magnification}X' if magnification else ''}"] = {
            name: [result.scores for one in folds if (result := one.result(strategy)) is not None]
            for strategy, name in SUMMARY.items()
        }
    yield from remark_on_scores(found, len(frozenset().union(*(one.patients for one in scored))))


@dataclass(frozen=True)
class Deviation:
    """One figure of a table beside the paper, and how far it is from the printed one."""

    name: str
    points: float
    large: bool


def remark_on_paper(tables: Sequence[Table], scored: Sequence[Scored], differs: bool) -> Iterator[str]:
    """How many figures are far from the printed ones; of tables whose columns are ours, the paper's and "diff".

    `differs`: whether the run is known not to follow the paper's protocol.
    """
    every = [deviation for table in tables for deviation in _find_deviations(table)]
    large = [deviation for deviation in every if deviation.large]
    if not large:
        return
    furthest = max(large, key=lambda deviation: abs(deviation.points))
    yield (
        f"{len(large)} of {len(every)} figures are more than {LARGE:g} points (kappa: {LARGE / 100:g}) from the "
        f"printed ones; the furthest, by {format_cell(furthest.points)}, is {furthest.name}. "
        + (
            "This run is not the paper's (what differs is listed below): its figures neither reproduce the printed "
            "ones nor contradict them."
            if differs
            else "Nothing is known in which this run differs from the paper's protocol."
        )
    )
    for magnification, label, folds in group_folds(scored)[:1]:
        if len(folds) == 1:
            yield from _describe_certainty(magnification, label, folds[0])


def _describe_certainty(magnification: str | None, label: str, one: Scored) -> Iterator[str]:
    """How much the test images of one fold can tell at all."""
    result = one.result(one.best)
    if result is not None:
        s = result.scores
        il, pl = (format_cell(interval(s)) for interval in INTERVALS.values())
        at = f" at {magnification}X" if magnification else ""
        yield (
            f"What {s.images} images of {s.patients} patients can tell: {label}{at}, {SUMMARY[one.best]}, IL {il}, PL "
            f"{pl} (95% intervals); the majority rate of these images is {100 * s.majority:.1f}."
        )


def remark_on_times(scored: Sequence[Scored]) -> Iterator[str]:
    """How the forward times were measured, and whether the machine was busy with other things."""
    timings = [
        branch.timing for one in scored for branch in one.stage.branches.values() if branch.forward_ms is not None
    ]
    if not timings:
        return
    if any(not timing.rounds for timing in timings):
        yield (
            "forward_ms: measured one network after another, the machine's load not noted: no comparison of networks."
        )
        return
    rounds, spread = min(len(t.rounds) for t in timings), max(map(_spread, timings))
    yield (
        f"forward_ms: medians of {rounds} rounds in which the networks took turns; the rounds of one network differ by "
        f"up to {100 * spread:.0f}% of its median."
    )
    loads = [(t.others, t.cores) for t in timings if t.others is not None and t.cores]
    others, cores = max(loads, default=(0.0, 1), key=lambda load: load[0] / load[1])
    if others > BUSY * cores:
        yield (
            f"The machine was busy: other processes used {others:.1f} of its {cores} cores while the networks were "
            "timed. Their order, and how they compare, may be the load's: measure again when it is idle."
        )


def _name_experiment(experiment: Experiment, sentence: str) -> str:
    """The sentence, behind the name of the experiment that it is about; alone if there is only one."""
    parts = [
        text
        for value, text in (
            (experiment.fold, f"fold {experiment.fold}"),
            (experiment.magnification, f"{experiment.magnification}X"),
            (experiment.bag, f"bag {experiment.bag}"),
        )
        if value is not None
    ]
    text = ": ".join([*([", ".join(parts)] if parts else []), sentence])
    return text[:1].upper() + text[1:]


def _find_deviations(table: Table) -> Iterator[Deviation]:
    """The differences of a table beside the paper."""
    title = table.title.split(":")[0]
    for number, row in enumerate(table.rows):
        scale = 100 if number in table.fine_rows else 1
        for column, cell in zip(table.columns, row, strict=True):
            if column.name.endswith("diff") and isinstance(cell, float):
                at = column.name.removesuffix("diff").strip()
                name = f"{row[0]} of {row[1]}{f' at {at}' if at else ''} ({title})"
                yield Deviation(name, cell, abs(cell) * scale > LARGE)


def _spread(timing: TimingConditions) -> float:
    """How far the rounds lie apart, as a share of their median."""
    return (max(timing.rounds) - min(timing.rounds)) / float(np.median(timing.rounds)) if timing.rounds else 0.0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
