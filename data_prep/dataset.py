"""What a reader of a data set gives: rows for a manifest, and what a user should know about them."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pyhisto.manifest import SPLITS, Row


@dataclass(frozen=True)
class DataSet:
    """A manifest's rows, and what a user should know about them, one line each."""

    rows: list[Row]
    notes: list[str]


def summary(rows: Iterable[Row]) -> list[str]:
    """Images and patients per split and class, one line each split."""
    images: dict[str, Counter[int]] = defaultdict(Counter)
    patients: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for row in rows:
        images[row.split][row.label] += 1
        patients[row.split].add((row.label, row.group))
    return [
        f"{split}: "
        + ", ".join(
            f"{count} of class {label} ({sum(owner == label for owner, _ in patients[split])} patients)"
            for label, count in sorted(images[split].items())
        )
        for split in (*SPLITS, "")
        if split in images
    ]
