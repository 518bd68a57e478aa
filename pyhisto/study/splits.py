"""What images a study trained, validated and tested on: how many of which class and subtype, and what is missing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyhisto.manifest import SPLITS, Row
from pyhisto.study.results import Experiment, Missing, Results


@dataclass(frozen=True)
class Count:
    """How many images and patients some rows of a manifest have."""

    images: int
    patients: int
    """Slides if no patient is known, images if no slide is."""


@dataclass(frozen=True)
class Part:
    """The images of one class in one split."""

    split: str
    label: int
    count: Count
    subtypes: Mapping[str, Count]
    """By subtype, sorted; empty if the data set knows none."""


@dataclass(frozen=True)
class Untrained:
    """A subtype that is in the test part and not in the training part."""

    subtype: str
    label: int
    count: Count
    """In the test part."""


def count_rows(rows: Sequence[Row]) -> Count:
    """Count the images and patients of some rows."""
    return Count(len(rows), len({row.group for row in rows}))


def count_parts(rows: Sequence[Row]) -> list[Part]:
    """Every class of every split that has images, in the order of SPLITS and classes."""
    found: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        if row.split:
            found[row.split, row.label].append(row)
    keys = sorted(found, key=lambda key: (SPLITS.index(key[0]), key[1]))
    return [Part(*key, count_rows(found[key]), _by_subtype(found[key])) for key in keys]


def find_untrained(rows: Sequence[Row]) -> list[Untrained]:
    """The subtypes that are tested and never trained on, by class and name."""
    trained = {
        (part.label, subtype) for part in count_parts(rows) if part.split == "train" for subtype in part.subtypes
    }
    return [
        Untrained(subtype, part.label, own)
        for part in count_parts(rows)
        if part.split == "test"
        for subtype, own in part.subtypes.items()
        if (part.label, subtype) not in trained
    ]


def compute_share(rows: Sequence[Row], split: str, label: int) -> float | None:
    """The share of a split's images that are of a class; None if the split has no image."""
    labels = [row.label for row in rows if row.split == split]
    return labels.count(label) / len(labels) if labels else None


def find_missing(results: Results) -> dict[tuple[str | None, Missing], list[Experiment]]:
    """(Magnification, how much of the data set is there) -> the experiments of which that was noted."""
    found: dict[tuple[str | None, Missing], list[Experiment]] = defaultdict(list)
    for experiment in results.of_one_seed:
        if experiment.missing is not None:
            found[experiment.magnification, experiment.missing].append(experiment)
    return dict(found)


def _by_subtype(rows: Sequence[Row]) -> dict[str, Count]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.subtype:
            found[row.subtype].append(row)
    return {subtype: count_rows(found[subtype]) for subtype in sorted(found)}
