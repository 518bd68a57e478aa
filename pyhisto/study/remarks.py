"""What a reader has to know to read a report's figures rightly, in sentences; none where there is nothing to say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

import numpy as np

from pyhisto.evaluation.metrics import Scores
from pyhisto.study.results import Experiment, Results, Timing
from pyhisto.study.scores import SUMMARY, Scored, groups
from pyhisto.study.splits import missing, share, untrained_subtypes
from pyhisto.tables.table import Estimate, Table, shown

IL, MAJORITY, AUC = attrgetter("il"), attrgetter("majority"), attrgetter("auc")
MOST = 6
"""Stages, or models, that a sentence names; the tables name all."""

LARGE = 10.0
"""Points from which on a difference to the paper wants an explanation; of kappa a hundredth of that."""
SHIFT = 0.2
"""From which on the classes' shares in training and test are said to differ."""
BUSY = 0.1
"""The share of the machine's cores from which on other processes disturb a timing."""


def about_missing(results: Results) -> Iterator[str]:
    """How much of the data set is not there."""
    for (magnification, there), _ in missing(results).items():
        if there.missing:
            at = f" at {magnification}X" if magnification else ""
            left = f"{there.found:,} ({100 * there.found / there.expected:.1f}%)"
            yield (
                f"{there.missing:,} of the data set's {there.expected:,} images{at} are missing: every figure here is "
                f"of the other {left}, none of the whole data set."
            )


def about_splits(results: Results) -> Iterator[str]:
    """Subtypes that no network trained on, classes of other shares in test than in training; what else was noted."""
    for experiment in results.experiments:
        yield from _about_splits(experiment, results)
    yield from dict.fromkeys(
        _about(experiment, note)
        for experiment in results.experiments
        for note in experiment.notes
        if "are missing" not in note  # about_missing says it
    )


def _about_splits(experiment: Experiment, results: Results) -> Iterator[str]:
    """What one experiment's splits do to its figures."""
    untrained = untrained_subtypes(experiment.manifest)
    if untrained:
        named = ", ".join(
            f"{one.subtype} ({results.class_name(one.label)}; {_counted(one.count.images, 'image')}, "
            f"{_counted(one.count.patients, 'patient')})"
            for one in untrained
        )
        yield _about(experiment, f"in the test part and not in the training part: {named}.")
    shares = [
        (label, share(experiment.manifest, "train", label), share(experiment.manifest, "test", label))
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
        yield _about(experiment, f"{far[0] if len(shares) == 2 else '; '.join(far)}.")


Rates: TypeAlias = Mapping[str, Sequence[Scores]]
"""What a network, or a strategy, is called -> its scores, one a fold."""


def about_rates(scored: Sequence[Scored]) -> Iterator[str]:
    """Rates of a study below what no network is needed for, and orders worse than chance."""
    found: dict[str, Rates] = {}
    for magnification, label, folds in groups(scored):
        found[f"{label}{f' at {magnification}X' if magnification else ''}"] = {
            name: [result.scores for one in folds if (result := one.result(strategy)) is not None]
            for strategy, name in SUMMARY.items()
        }
    yield from about_scores(found, len(frozenset().union(*(one.patients for one in scored))))


def about_scores(found: Mapping[str, Rates], patients: int) -> Iterator[str]:
    """Rates below what no network is needed for, and orders worse than chance; `patients` were tested in all."""
    below, inverted = [], []
    for where, rates in found.items():
        mean = {
            name: [float(np.mean([of(s) for s in scores])) for of in (IL, MAJORITY, AUC)]
            for name, scores in rates.items()
            if scores
        }
        low = [f"{name} {100 * il:.1f}" for name, (il, majority, _) in mean.items() if il < majority]
        if low:
            majority = 100 * float(np.mean([majority for _, majority, _ in mean.values()]))
            below.append(f"{where}, {', '.join(low)}, majority {majority:.1f}")
        turned = [f"{name} {auc:.3f}" for name, (_, _, auc) in mean.items() if auc < 0.5]
        if turned:
            inverted.append(f"{where}, {', '.join(turned)}")
    if below:
        yield (
            "IL below the majority rate, which always naming the most frequent class of the test images reaches "
            f"without any network: {_listed(below)}."
        )
    if inverted:
        yield (
            f"AUC below 0.5, the value of chance: {_listed(inverted)}. Benign images get the higher probability of "
            f"malignant more often than malignant ones do: what was learnt of the training patients does not hold for "
            f"these {patients} patients, if it is more than chance. To turn the answers round because of that would be "
            "to fit the test images."
        )


@dataclass(frozen=True)
class Far:
    """One figure of a table beside the paper, and how far it is from the printed one."""

    name: str
    points: float
    large: bool


def about_paper(tables: Sequence[Table], scored: Sequence[Scored], differs: bool) -> Iterator[str]:
    """How many figures are far from the printed ones; of tables whose columns are ours, the paper's and "diff".

    `differs`: whether the run is known not to follow the paper's protocol.
    """
    every = [far for table in tables for far in _far(table)]
    large = [far for far in every if far.large]
    if not large:
        return
    furthest = max(large, key=lambda far: abs(far.points))
    yield (
        f"{len(large)} of {len(every)} figures are more than {LARGE:g} points (kappa: {LARGE / 100:g}) from the "
        f"printed ones; the furthest, by {shown(furthest.points)}, is {furthest.name}. "
        + (
            "This run is not the paper's (what differs is listed below): its figures neither reproduce the printed "
            "ones nor contradict them."
            if differs
            else "Nothing is known in which this run differs from the paper's protocol."
        )
    )
    for magnification, label, folds in groups(scored)[:1]:
        if len(folds) == 1:
            yield from _uncertain(magnification, label, folds[0])


def _uncertain(magnification: str | None, label: str, one: Scored) -> Iterator[str]:
    """What the test images of one fold can tell at all."""
    result = one.result(one.best)
    if result is not None:
        s = result.scores
        il, pl = (
            shown(Estimate(100 * rate, 100 * interval.low, 100 * interval.high))
            for rate, interval in ((s.il, s.il_interval), (s.pl, s.pl_interval))
        )
        at = f" at {magnification}X" if magnification else ""
        yield (
            f"What {s.images} images of {s.patients} patients can tell: {label}{at}, {SUMMARY[one.best]}, IL {il}, PL "
            f"{pl} (95% intervals); the majority rate of these images is {100 * s.majority:.1f}."
        )


def about_times(scored: Sequence[Scored]) -> Iterator[str]:
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


def _about(experiment: Experiment, sentence: str) -> str:
    """The sentence, behind the name of the experiment that it is about; alone where there is one alone."""
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


def _far(table: Table) -> Iterator[Far]:
    """The differences of a table beside the paper."""
    title = table.title.split(":")[0]
    for number, row in enumerate(table.rows):
        scale = 100 if number in table.fine_rows else 1
        for column, cell in zip(table.columns, row, strict=True):
            if column.name.endswith("diff") and isinstance(cell, float):
                at = column.name.removesuffix("diff").strip()
                name = f"{row[0]} of {row[1]}{f' at {at}' if at else ''} ({title})"
                yield Far(name, cell, abs(cell) * scale > LARGE)


def _listed(parts: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    return "; ".join(parts[:MOST]) + (f"; and {len(parts) - MOST} more" if len(parts) > MOST else "")


def _spread(timing: Timing) -> float:
    """How far the rounds lie apart, in parts of their median."""
    return (max(timing.rounds) - min(timing.rounds)) / float(np.median(timing.rounds)) if timing.rounds else 0.0


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
