"""Splits by patient: seeded, and never a patient (a slide where there is no patient) on two sides."""

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from pyhisto.errors import InputError
from pyhisto.manifest import Row, check_disjoint, class_counts

Kinds: TypeAlias = frozenset[tuple[int, str]]
"""What a patient has images of: labels, each with a subtype (empty if it is not known)."""


def carve_validation(rows: Sequence[Row], fraction: float, seed: int) -> tuple[list[Row], list[str]]:
    """Move `fraction` of each class's training patients (at least one) to validation; test is not touched.

    A patient with images of several classes counts in each. Subtypes are taken in proportion. The last training patient
    of a class stays, and so does that of a subtype if others can be taken. Also returned: a line for each class that
    gives nobody, and for each subtype that is left without. `fraction` 0 leaves the rows as they are.
    """
    if fraction == 0:
        return list(rows), []
    patients = _Patients([row for row in rows if row.split == "train"])
    notes = []
    for label in sorted(patients.classes):
        members = patients.of_class(label)
        wanted = min(max(1, round(fraction * len(members))), len(members) - 1)
        by_kinds: dict[Kinds, deque[str]] = defaultdict(deque)
        for group in shuffled(set(members) - patients.taken, seed, f"validation {label}"):
            by_kinds[patients.kinds[group]].append(group)
        while patients.validating(label) < wanted:
            spare = [kinds for kinds, groups in by_kinds.items() if groups and patients.can_spare(kinds)]
            if not spare:
                break
            kinds = min(spare, key=lambda kinds: patients.cost(kinds, label, fraction))
            lost = sorted(subtype for _, subtype in patients.lost(kinds) if subtype)
            notes += [f"subtype {subtype} has no training patient left: the only one validates" for subtype in lost]
            patients.take(by_kinds[kinds].popleft())
        if not patients.validating(label):
            notes.append(f"class {label} has {len(members)} training patient(s), none to spare: none of it validates")
    carved = [
        replace(row, split="val") if row.split == "train" and row.group in patients.taken else row for row in rows
    ]
    check_disjoint(carved)
    return carved, notes


class _Patients:
    """Training patients (slides), of whom some are taken for validation."""

    def __init__(self, rows: Sequence[Row]) -> None:
        images: dict[str, set[tuple[int, str]]] = defaultdict(set)
        for row in rows:
            images[row.group].add((row.label, row.subtype))
        self.kinds: dict[str, Kinds] = {group: frozenset(kinds) for group, kinds in images.items()}
        self.taken: set[str] = set()
        self._all = Counter(kind for kinds in self.kinds.values() for kind in kinds)
        self._left = Counter(self._all)
        self.classes = Counter(label for kinds in self.kinds.values() for label in _labels(kinds))
        self._left_of_class = Counter(self.classes)

    def of_class(self, label: int) -> list[str]:
        """Those with images of a class, taken or not."""
        return [group for group, kinds in self.kinds.items() if label in _labels(kinds)]

    def validating(self, label: int) -> int:
        """How many of a class are taken."""
        return self.classes[label] - self._left_of_class[label]

    def can_spare(self, kinds: Kinds) -> bool:
        """Whether every class keeps somebody if one of these kinds is taken."""
        return all(self._left_of_class[label] > 1 for label in _labels(kinds))

    def lost(self, kinds: Kinds) -> list[tuple[int, str]]:
        """The kinds of which nobody is left then."""
        return [kind for kind in kinds if self._left[kind] == 1]

    def cost(self, kinds: Kinds, label: int, fraction: float) -> tuple[int, float]:
        """Least for those to take next: nothing is lost, and their subtype is the furthest below its share."""
        missing = (
            fraction * self._all[kind] - (self._all[kind] - self._left[kind]) for kind in kinds if kind[0] == label
        )
        return len(self.lost(kinds)), -max(missing)

    def take(self, group: str) -> None:
        """Take one for validation."""
        self.taken.add(group)
        self._left.subtract(self.kinds[group])
        self._left_of_class.subtract(_labels(self.kinds[group]))


def _labels(kinds: Kinds) -> set[int]:
    return {label for label, _ in kinds}


def k_fold(rows: Sequence[Row], folds: int, fold: int, seed: int) -> list[Row]:
    """Cross-validation by patient: part `fold` (from 1) of `folds` is test, the rest train; old splits are dropped."""
    parts = partition(rows, [1.0] * folds, seed, f"{folds} folds")
    return _with_splits(rows, {row.path: "test" for row in parts[fold - 1]})


BagBy: TypeAlias = Literal["patient", "sample"]
"""What stays together in a bag's subsets: a patient (a slide); or nothing: samples are dealt at random."""

IDS = {"patient": "patient_id", "slide": "slide_id"}
"""Columns to which a split that looks at no ids moves those that it disregards."""


def apart(row: Row) -> Row:
    """The row as an image that belongs to nobody; whose it is stays in columns of their own."""
    ids = {column: getattr(row, name) for name, column in IDS.items() if getattr(row, name)}
    return replace(row, patient="", slide="", extra={**row.extra, **ids})


def with_test_slides(rows: Sequence[Row], slides: Collection[str]) -> list[Row]:
    """The rows, all those of some slides in test and no other; old splits are dropped. Raises InputError."""
    if absent := sorted(set(slides) - {row.slide for row in rows}):
        raise InputError(f"{', '.join(absent)}: no image is of such a slide; give slides that the manifest names")
    return [replace(row, split="test" if row.slide in slides else "") for row in rows]


def pseudo_patients(rows: Sequence[Row], number: int) -> list[Row]:
    """The test images dealt to `number` made-up patients a slide, in turn over all of them, as the authors' list does.

    A patient is called by its slide and its turn (A09-0 to A09-11, of twelve): not a person, and not a slide.
    """
    turns = iter(range(len(rows)))
    return [
        replace(apart(row), patient=f"{row.slide}-{next(turns) % number}") if row.split == "test" else row
        for row in rows
    ]


def bagging(rows: Sequence[Row], bags: int, test_fraction: float, seed: int, by: BagBy = "patient") -> list[list[Row]]:
    """The paper's bagging: one test part, the rest in `bags` equal subsets; bag i validates on subset i.

    A test part that the rows already have is kept; `test_fraction` of the images, by patient, else. By `sample`, images
    are dealt at random, whosever they are: their patients and slides move to other columns.
    """
    test = [row for row in rows if row.split == "test"]
    rest = [row for row in rows if row.split != "test"]
    if not test:
        test, rest = partition(rows, [test_fraction, 1 - test_fraction], seed, "test")
    held = {row.path: "test" for row in test}
    if by == "patient":
        subsets = partition(rest, [1.0] * bags, seed, f"{bags} bags")
        return [_with_splits(rows, held | {row.path: "val" for row in subset}) for subset in subsets]
    if len(rest) < bags:
        raise InputError(f"{len(rest)} images do not make {bags} parts; ask for fewer")
    rows = [row if row.path in held else apart(row) for row in rows]
    order = shuffled([row.path for row in rest], seed, f"{bags} bags of samples")
    return [_with_splits(rows, held | dict.fromkeys(order[bag::bags], "val")) for bag in range(bags)]


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


def shuffled(names: Collection[str], seed: int, purpose: str) -> list[str]:
    """Names in an order that depends on (seed, purpose) and each name alone, so that one more name moves no other."""
    return sorted(names, key=lambda name: hashlib.sha256(repr((seed, purpose, name)).encode()).digest())


def monitor(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """About `count` training images, in the order of the rows: of each class its share of them, and one at least."""
    train = [row for row in rows if row.split == "train"]
    chosen: set[str] = set()
    for label, of_class in class_counts(train).items():
        order = shuffled([row.path for row in train if row.label == label], seed, f"monitor {label}")
        chosen.update(order[: max(1, round(count * of_class / len(train)))])
    return [row for row in train if row.path in chosen]


def check_classes(rows: Sequence[Row], split: str = "train") -> None:
    """Raise InputError unless the split has images of every class from 0 to the highest in any split, two at least."""
    counts = class_counts(row for row in rows if row.split == split)
    empty = [label for label in range(max(2, *(row.label + 1 for row in rows))) if label not in counts]
    if empty:
        named = ", ".join(map(str, empty[:5])) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        found = dict(list(counts.items())[:10])
        raise InputError(f"class {named} has no image in {split} (found {found or 'none'}); add images of every class")
