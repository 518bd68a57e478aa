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


def k_fold(rows: Sequence[Row], folds: int, fold: int, seed: int) -> list[Row]:
    """Cross-validation by patient: part `fold` (from 1) of `folds` is test, the rest train; old splits are dropped."""
    parts = partition(rows, [1.0] * folds, seed, f"{folds} folds")
    return _with_splits(rows, {row.path: "test" for row in parts[fold - 1]})


def bagging(rows: Sequence[Row], bags: int, test_fraction: float, seed: int) -> list[list[Row]]:
    """The paper's bagging: one test part, the rest in `bags` equal subsets; bag i validates on subset i.

    A test part that the rows already have is kept; `test_fraction` of the images, by patient, else.
    """
    test = [row for row in rows if row.split == "test"]
    rest = [row for row in rows if row.split != "test"]
    if not test:
        test, rest = partition(rows, [test_fraction, 1 - test_fraction], seed, "test")
    subsets = partition(rest, [1.0] * bags, seed, f"{bags} bags")
    held = {row.path: "test" for row in test}
    return [_with_splits(rows, held | {row.path: "val" for row in subset}) for subset in subsets]


def partition(rows: Sequence[Row], shares: Sequence[float], seed: int, purpose: str) -> list[list[Row]]:
    """Deal whole patients (slides) into parts whose images of every class are in proportion to `shares`, if possible.

    Large patients first, each to the part where it fits best; seeded where the choice is free. Raises InputError where
    a part would stay empty.
    """
    members: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        members[row.group].append(row)
    if len(members) < len(shares):
        raise InputError(f"{len(members)} patients (or slides) do not make {len(shares)} parts; ask for fewer")
    totals = class_counts(rows)
    filled = [dict.fromkeys(totals, 0) for _ in shares]
    parts: list[list[Row]] = [[] for _ in shares]
    order = shuffled(members, seed, purpose)
    for group in sorted(order, key=lambda name: -len(members[name])):
        counts = class_counts(members[group])

        def cost(part: int, counts: dict[int, int] = counts) -> tuple[float, float]:
            # How far the part's classes would be over their shares; among equals the emptiest part.
            after = ((filled[part][label] + count) ** 2 - filled[part][label] ** 2 for label, count in counts.items())
            excess = sum(value / totals[label] for value, label in zip(after, counts, strict=True))
            return round(excess / shares[part], 12), len(parts[part]) / shares[part]

        chosen = min(range(len(shares)), key=cost)
        parts[chosen] += members[group]
        for label, count in counts.items():
            filled[chosen][label] += count
    if not all(parts):
        raise InputError(
            f"{len(members)} patients (or slides) of uneven size do not fill {len(shares)} parts; ask for fewer"
        )
    return parts


def _with_splits(rows: Sequence[Row], held: dict[str, str]) -> list[Row]:
    """The rows with the splits of `held` (by path), all others train; verified."""
    split = [replace(row, split=held.get(row.path, "train")) for row in rows]
    check_disjoint(split)
    return split


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
