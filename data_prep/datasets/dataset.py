"""What a reader of a data set gives: rows for a manifest, and what a user should know about them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.manifest import SPLITS, Row
from pyhisto.roots import files_under


@dataclass(frozen=True)
class DataSet:
    """A manifest's rows, and what a user should know about them, one line each."""

    rows: list[Row]
    notes: list[str]
    expected: int | None = None
    """How many images the whole data set has (at the magnifications asked for); None: not known."""
    missing: int = 0
    """How many of them are not there."""


def find_files(root: Path, file_name: re.Pattern[str], what: str) -> list[tuple[Path, re.Match[str]]]:
    """(path relative to `root`, match) of every file below it whose whole name matches, in order of the paths.

    Raises InputError if there is none; `what` says in the message what such names look like.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder of the images")
    matches = ((path, file_name.fullmatch(path.name)) for path in files_under(root))
    found = [(Path(path.relative_to(root)), match) for path, match in matches if match and path.is_file()]
    if not found:
        raise InputError(f"{root}: holds no image named {what}; is it this data set's folder? (Links: --follow-links)")
    return found


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


def table(rows: Iterable[Row], expected: Mapping[str, Sequence[int]]) -> list[str]:
    """Images and patients per magnification and class, one line each; with the data set's own number, if known."""
    images: Counter[tuple[str, int]] = Counter()
    groups: dict[tuple[str, int], set[str]] = defaultdict(set)
    for row in rows:
        images[row.magnification, row.label] += 1
        groups[row.magnification, row.label].add(row.group)
    lines = []
    for magnification, label in sorted(images, key=lambda cell: (cell[0].zfill(4), cell[1])):
        there = images[magnification, label]
        of = f" of {expected[magnification][label]}" if magnification in expected else ""
        where = f"{magnification}X " if magnification else ""
        lines.append(
            f"{where}class {label}: {there}{of} images, {len(groups[magnification, label])} patients or slides"
        )
    return lines
