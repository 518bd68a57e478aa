"""What lies behind a rate: decisions by class, by patient, and the wrong ones one by one."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyhisto.evaluation.metrics import confusion
from pyhisto.manifest import Row
from pyhisto.study.results import Experiment
from pyhisto.study.scores import Scored, group_folds


@dataclass(frozen=True)
class Confusion:
    """How the images of each class were named, all folds, bags and seeds of a stage together."""

    magnification: str | None
    stage: str
    strategy: str
    """Of SUMMARY."""
    counts: NDArray[np.integer]
    """Shape (c, c): true class by row, named class by column."""


@dataclass(frozen=True)
class JudgedPatient:
    """One patient's images of one class, all folds, bags and seeds together."""

    magnification: str | None
    patient: str
    label: int
    subtypes: tuple[str, ...]
    images: int
    """Of the first stage; an image that several bags or folds tested counts as often."""
    right: Mapping[str, float]
    """Stage's label -> the share of the images that it names rightly."""


@dataclass(frozen=True)
class Mistake:
    """One image that one stage named wrongly."""

    experiment: Experiment
    stage: str
    image: str
    patient: str
    subtype: str
    label: int
    named: int
    probability: float
    """Of the class that was named."""


def count_confusions(scored: Sequence[Scored]) -> list[Confusion]:
    """The confusion matrix of every strategy of every stage at every magnification."""
    found = []
    for magnification, label, folds in group_folds(scored):
        for strategy in folds[0].probabilities:
            have = [one for one in folds if strategy in one.probabilities]
            classes = max(one.probabilities[strategy].shape[1] for one in have)
            tables = [confusion(one.labels, one.decided[strategy], classes) for one in have]
            found.append(Confusion(magnification, label, strategy, np.sum(tables, axis=0)))
    return found


def judge_patients(scored: Sequence[Scored]) -> list[JudgedPatient]:
    """Every tested patient, by magnification, class and name; judged by the strategy that stands for each stage."""
    right: dict[tuple[str | None, int, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    subtypes: dict[tuple[str | None, int, str], set[str]] = defaultdict(set)
    for one in scored:
        rows = _rows(one.experiment)
        for image, patient, label, correct in zip(
            one.images, one.patient_of, one.labels.tolist(), one.correct[one.best].tolist(), strict=True
        ):
            key = (one.experiment.magnification, label, patient)
            right[key][one.stage.label].append(correct)
            if image in rows and rows[image].subtype:
                subtypes[key].add(rows[image].subtype)
    return [
        JudgedPatient(
            magnification,
            patient,
            label,
            tuple(sorted(subtypes[magnification, label, patient])),
            len(next(iter(stages.values()))),
            {stage: float(np.mean(each)) for stage, each in stages.items()},
        )
        for (magnification, label, patient), stages in sorted(right.items(), key=lambda item: _order(*item[0]))
    ]


def find_mistakes(scored: Sequence[Scored]) -> Iterator[Mistake]:
    """Every image that the strategy which stands for a stage names wrongly, in the order of the stages and images."""
    for one in scored:
        rows = _rows(one.experiment)
        named, probabilities = one.decided[one.best], one.probabilities[one.best]
        for index in np.flatnonzero(~one.correct[one.best]).tolist():
            row = rows.get(one.images[index])
            yield Mistake(
                one.experiment,
                one.stage.label,
                one.images[index],
                one.patient_of[index],
                "" if row is None else row.subtype,
                int(one.labels[index]),
                int(named[index]),
                float(probabilities[index, named[index]]),
            )


def select_surest(found: Sequence[Mistake], most: int) -> list[Mistake]:
    """At most `most` of the mistakes: of each patient the surest, then of each the second, ...; ordered by patient.

    So no patient fills the sheet alone. An image is taken once, however many folds or bags misjudged it.
    """
    by_patient: dict[str, list[Mistake]] = defaultdict(list)
    seen: set[str] = set()
    for mistake in sorted(found, key=lambda m: (-m.probability, m.image)):
        if mistake.image not in seen:
            seen.add(mistake.image)
            by_patient[mistake.patient].append(mistake)
    turns = sorted((turn, patient) for patient, own in by_patient.items() for turn in range(len(own)))[:most]
    return [by_patient[patient][turn] for patient, turn in sorted((patient, turn) for turn, patient in turns)]


def _rows(experiment: Experiment) -> dict[str, Row]:
    return {row.path: row for row in experiment.manifest}


def _order(magnification: str | None, label: int, patient: str) -> tuple[str, int, str]:
    return (magnification or "").zfill(6), label, patient
