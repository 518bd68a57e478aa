"""Splits by patient: seeded, and never a patient (a slide where there is no patient) on two sides."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from pyhisto.errors import InputError
from pyhisto.manifest import Row, check_disjoint, class_counts


def carve_validation(rows: Sequence[Row], fraction: float, seed: int) -> list[Row]:
    """Move `fraction` of each class's training patients (at least one, never all) to validation; test is not touched.

    `fraction` 0 leaves the rows as they are. Raises InputError where a class has fewer than two training patients.
    """
    if fraction == 0:
        return list(rows)
    chosen: set[str] = set()
    for label, groups in groups_by_class([row for row in rows if row.split == "train"]).items():
        if len(groups) < 2:
            raise InputError(
                f"class {label} has {len(groups)} training patient: none left to validate on; use --val-fraction 0"
            )
        count = min(max(1, round(fraction * len(groups))), len(groups) - 1)
        chosen.update(shuffled(groups, seed, f"validation {label}")[:count])
    carved = [replace(row, split="val") if row.split == "train" and row.group in chosen else row for row in rows]
    check_disjoint(carved)
    return carved


def groups_by_class(rows: Sequence[Row]) -> dict[int, list[str]]:
    """The patients (slides) of each class in name order; one with images of several classes counts for the highest."""
    label: dict[str, int] = {}
    for row in rows:
        label[row.group] = max(row.label, label.get(row.group, 0))
    groups: dict[int, list[str]] = defaultdict(list)
    for group in sorted(label):
        groups[label[group]].append(group)
    return dict(sorted(groups.items()))


def shuffled(names: Collection[str], seed: int, purpose: str) -> list[str]:
    """Names in an order that depends on (seed, purpose) and each name alone, so that one more name moves no other."""
    return sorted(names, key=lambda name: hashlib.sha256(repr((seed, purpose, name)).encode()).digest())


def check_classes(rows: Sequence[Row], split: str = "train") -> None:
    """Raise InputError unless the split has images of every class from 0 to the highest in any split, two at least."""
    counts = class_counts(row for row in rows if row.split == split)
    empty = [label for label in range(max(2, *(row.label + 1 for row in rows))) if label not in counts]
    if empty:
        named = ", ".join(map(str, empty))
        raise InputError(f"class {named} has no image in {split} (found {counts or 'none'}); add images of every class")
