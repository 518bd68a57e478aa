"""Files of probabilities (CSV), one row per forward pass: all scores are made from them, without running a network.

The columns are `image`; then facts of the image, such as its patient; then a key, which says which of the image's
forward passes the row is; then the classes' probabilities p0, p1, ... A `Layout` says which facts and keys there are.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.files import reading, whole_file

SUM_TOLERANCE = 1e-3
CHUNK = 4_000
"""Rows that are read at a time: few enough for a processor's cache."""

Fields: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """What the rows of one kind of predictions file say beside the image and the probabilities."""

    kind: str
    """What such a file is called."""
    program: str
    """Which program writes it."""
    facts: Fields
    """Columns that are the same in all rows of an image."""
    keys: Fields
    """Columns that differ between the rows of an image."""
    find_fault: Callable[[Fields, int], str | None]
    """What is wrong with an image's facts if there are so many classes."""
    find_fault_of_key: Callable[[Fields], str | None]
    describe: Callable[[Fields], str]
    """A key, for a person."""
    most_classes: int | None = None
    """How many probability columns a file has; None: any number, from 2."""
    count_classes: Callable[[Fields], int] | None = None
    """How many of them a key fills, the others being empty; None: all."""

    @property
    def columns(self) -> Fields:
        """All columns before the probabilities."""
        return ("image", *self.facts, *self.keys)


@dataclass(frozen=True)
class Probabilities:
    """Checked predictions of n images."""

    images: Fields
    """Their names, sorted."""
    facts: tuple[Fields, ...]
    """Of each image."""
    classes: int
    """The probability columns of the files."""
    by_key: Mapping[Fields, Floats]
    """Key -> probabilities, shape (n, classes of the key), in the order of the files."""


def number_names(names: Sequence[str]) -> NDArray[np.int64]:
    """Each name as a number, in the order of the names; shape (n,)."""
    return np.asarray(np.unique(np.array(names), return_inverse=True)[1])


def write_rows(path: Path, layout: Layout, rows: Iterable[Sequence[object]], classes: int) -> None:
    """Write rows whose last field is the sequence of probabilities, whole or not at all.

    Numbers have 9 significant digits, which give back every float32 exactly.
    """
    with whole_file(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*layout.columns, *_names(classes)])
        for *fields, probabilities in rows:
            assert isinstance(probabilities, Sequence)
            numbers = [f"{probability:.9g}" for probability in probabilities]
            writer.writerow([*fields, *numbers, *[""] * (classes - len(numbers))])


def read_files(paths: Sequence[Path], layout: Layout) -> Probabilities:
    """Read and merge files of the same images.

    Every key must have every image once, and an image must have the same facts everywhere. InputError names the file
    and line, or the image, and the fault.
    """
    merged = _Merged(layout)
    for path in paths:
        merged.read(Path(path))
    return merged.finish()


class _Merged:
    """What was read so far, as numbers; names are numbered in the order in which they come.

    Column by column, a chunk of rows at a time: a study has hundreds of thousands of rows.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.classes: int | None = None
        self.facts: dict[str, Fields] = {}
        self.images: dict[str, int] = {}
        self.keys: dict[Fields, int] = {}
        self.image: list[NDArray[np.int64]] = []
        self.key: list[NDArray[np.int64]] = []
        self.values: list[Floats] = []

    def read(self, path: Path) -> None:
        first_key = 1 + len(self.layout.facts)
        chunk_count = len(self.values)
        for line, rows in _chunks(path, self.layout):
            columns = list(zip(*rows, strict=True))
            named, keyed = columns[:first_key], columns[first_key : len(self.layout.columns)]
            probabilities = columns[len(self.layout.columns) :]
            if self.classes not in (None, len(probabilities)):
                raise InputError(f"{path}: has {len(probabilities)} classes, the files before it {self.classes}")
            self.classes = len(probabilities)
            for image, *facts in dict.fromkeys(zip(*named, strict=True)):
                if fault := self._take_facts(image, tuple(facts)):
                    raise InputError(f"{path} line {line + _first(rows, (image, *facts), 0)}: {fault}")
            keys = list(zip(*keyed, strict=True))
            for key in dict.fromkeys(keys):
                if key not in self.keys:
                    if fault := self.layout.find_fault_of_key(key):
                        raise InputError(f"{path} line {line + _first(rows, key, first_key)}: {fault}")
                    self.keys[key] = len(self.keys)
            self.image.append(np.array([self.images[name] for name in named[0]], np.int64))
            self.key.append(np.array([self.keys[key] for key in keys], np.int64))
            self.values.append(self._probabilities(path, line, keys, probabilities))
        if len(self.values) == chunk_count:
            raise InputError(f"{path}: holds no prediction; run {self.layout.program} again")

    def _take_facts(self, image: str, facts: Fields) -> str | None:
        """Note an image's facts; returns what is wrong with them, if anything."""
        if image not in self.facts:
            if fault := self.layout.find_fault(facts, self.classes or 0):
                return fault
            self.facts[image] = facts
            self.images[image] = len(self.images)
        before = self.facts[image]
        if before != facts:
            earlier = f"but {self._say(before)} in an earlier row"
            return f"{image} is {self._say(facts)} here, {earlier}; predict again from one manifest"
        return None

    def _say(self, facts: Fields) -> str:
        return ", ".join(f"{name} {value}" for name, value in zip(self.layout.facts, facts, strict=True))

    def _probabilities(self, path: Path, line: int, keys: Sequence[Fields], columns: Sequence[Sequence[str]]) -> Floats:
        """The columns p0, p1, ... as numbers, NaN if a key does not fill them; shape (rows, columns)."""
        count = self.layout.count_classes
        if count is None:
            return _parse(path, np.arange(line, line + len(keys)), columns)
        wanted = np.array([count(key) for key in keys])
        values = np.full((len(keys), len(columns)), np.nan)
        for classes in np.unique(wanted).tolist():
            chosen = np.flatnonzero(wanted == classes)
            for row in chosen.tolist():
                if any(column[row] for column in columns[classes:]) or not all(c[row] for c in columns[:classes]):
                    said = self.layout.describe(keys[row])
                    raise InputError(f"{path} line {line + row}: {said} needs {classes} probabilities")
            own = [[column[row] for row in chosen.tolist()] for column in columns[:classes]]
            values[chosen, :classes] = _parse(path, line + chosen, own)
        return values

    def finish(self) -> Probabilities:
        """All of it, if nothing is missing and nothing there twice."""
        if self.classes is None:
            raise InputError("no predictions file given")
        names, keys = sorted(self.images), list(self.keys)
        rank = np.empty(len(names), np.int64)
        rank[[self.images[name] for name in names]] = np.arange(len(names))
        cell = rank[np.concatenate(self.image)] * len(keys) + np.concatenate(self.key)
        count = np.bincount(cell, minlength=len(names) * len(keys)).reshape(len(names), len(keys))
        if count.max() > 1:
            row, column = np.argwhere(count > 1)[0]
            said = self.layout.describe(keys[column])
            raise InputError(f"{names[row]}, {said}: predicted twice; give each file once")
        if count.min() < 1:
            row, column = np.argwhere(count < 1)[0]
            raise InputError(
                f"{names[row]}, {self.layout.describe(keys[column])}: missing, as are {int((count < 1).sum()) - 1} "
                "more; predict all of them from the same manifest"
            )
        flat = np.empty((len(names) * len(keys), self.classes))
        flat[cell] = np.concatenate(self.values)
        table = flat.reshape(len(names), len(keys), self.classes)
        filled = self.layout.count_classes or (lambda key: table.shape[-1])
        return Probabilities(
            images=tuple(names),
            facts=tuple(self.facts[name] for name in names),
            classes=self.classes,
            by_key={key: table[:, column, : filled(key)] for key, column in self.keys.items()},
        )


def _chunks(path: Path, layout: Layout) -> Iterator[tuple[int, list[list[str]]]]:
    """The rows of one file, its header checked: some at a time, with the line of the first of them."""
    try:
        with reading(path), open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            classes = layout.most_classes or len(header) - len(layout.columns)
            if classes < 2 or header != [*layout.columns, *_names(classes)]:
                names = _names(layout.most_classes) if layout.most_classes else ["p0", "p1", "..."]
                wanted = ",".join([*layout.columns, *names])
                raise InputError(f"{path}: not {layout.kind}; its header must be {wanted}")
            line = 2
            while rows := list(islice(reader, CHUNK)):
                for number, fields in enumerate(rows):
                    if len(fields) != len(header):
                        raise InputError(f"{path} line {line + number}: {len(fields)} fields, the header {len(header)}")
                yield line, rows
                line += len(rows)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a UTF-8 text file; is it {layout.kind}?") from None
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num}: not valid CSV: {error}") from None


def _names(classes: int) -> list[str]:
    return [f"p{number}" for number in range(classes)]


def _parse(path: Path, lines: NDArray[np.int64], columns: Sequence[Sequence[str]]) -> Floats:
    """Columns of text as numbers, checked to be probabilities; shape (rows, columns). `lines` are those of the rows."""
    values = np.empty((len(lines), len(columns)))
    for number, column in enumerate(columns):
        try:
            values[:, number] = list(map(float, column))
        except ValueError:
            row = next(row for row, text in enumerate(column) if not _is_number(text))
            raise InputError(f"{path} line {lines[row]}: a probability is not a number") from None
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) <= SUM_TOLERANCE))
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{path} line {lines[row]}: {', '.join(f'{v:g}' for v in values[row])} are not probabilities that sum to "
            "1; was the network's last layer a Softmax?"
        )
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first(rows: Sequence[Sequence[str]], fields: Fields, column: int) -> int:
    """The first row that has these fields from this column on."""
    return next(n for n, row in enumerate(rows) if tuple(row[column : column + len(fields)]) == fields)
