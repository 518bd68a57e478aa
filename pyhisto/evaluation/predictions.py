"""Prediction files: what every table is made from, without running a network again.

CSV, one row a forward pass: `image,patient,label,branch,model,patch,p0,p1,...`. `image` is the manifest's path; branch
is global or local; `model` is a name (the same for both branches of one hybrid model); `patch` is empty in the global
branch, and in the local one says which patch: row then column ("11" .. "35"), a crop's name, or, where an image has too
many patches to keep, the rule that merged them ("sum", "product", "max"); p0, p1, ... are the classes' probabilities.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.files import reading, whole_file
from pyhisto.manifest import is_label

COLUMNS = ("image", "patient", "label", "branch", "model", "patch")
BRANCHES = ("global", "local")
WHOLE = ""
"""The patch of the global branch: the whole image."""

SUM_TOLERANCE = 1e-3
CHUNK = 4_000
"""Rows that are read at a time: few enough for a processor's cache."""

Floats = NDArray[np.floating]
Key: TypeAlias = tuple[str, str, str]
"""Branch, model, patch."""


class Row(NamedTuple):
    """One forward pass."""

    image: str
    patient: str
    label: int
    branch: str
    model: str
    patch: str
    probabilities: Sequence[float]


@dataclass(frozen=True)
class Predictions:
    """Checked predictions of one set of images; n images, m patches, c classes.

    Attributes:
        images: the images' names, sorted.
        patients: the patient of each image.
        labels: the class of each image, shape (n,).
        classes: c.
        whole: model -> probabilities of the global branch, shape (n, c).
        local: model -> probabilities of the local branch, shape (n, m, c).
        patches: model -> the names of its m patches.
    """

    images: tuple[str, ...]
    patients: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: int
    whole: Mapping[str, Floats]
    local: Mapping[str, Floats]
    patches: Mapping[str, tuple[str, ...]]

    @property
    def patient_numbers(self) -> NDArray[np.int64]:
        """Each image's patient as a number, in the order of the patients' names; shape (n,)."""
        return np.asarray(np.unique(np.array(self.patients), return_inverse=True)[1])

    @property
    def models(self) -> tuple[str, ...]:
        """All models' names, sorted."""
        return tuple(sorted({*self.whole, *self.local}))


def write_predictions(path: Path, rows: Iterable[Row], classes: int) -> None:
    """Write a predictions file, whole or not at all; 9 significant digits, which give back every float32 exactly."""
    with whole_file(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *(f"p{c}" for c in range(classes))])
        for row in rows:
            writer.writerow([*row[:-1], *(f"{p:.9g}" for p in row.probabilities)])


def read_predictions(paths: Sequence[Path]) -> Predictions:
    """Read and merge prediction files of the same images: both branches, several models.

    Every branch of every model must hold every image once, with the same patches; an image must have one patient and
    one class. InputError names the file and line, or the image, and the fault.
    """
    merged = _Merged()
    for path in paths:
        merged.read(Path(path))
    return merged.predictions()


class _Merged:
    """What was read so far, as numbers; names are numbered in the order in which they come.

    Column by column, a chunk of rows at a time: a study has hundreds of thousands of rows.
    """

    def __init__(self) -> None:
        self.classes: int | None = None
        self.facts: dict[str, tuple[str, str]] = {}  # image -> patient, label
        self.images: dict[str, int] = {}
        self.keys: dict[Key, int] = {}
        self.image: list[NDArray[np.int64]] = []
        self.key: list[NDArray[np.int64]] = []
        self.values: list[Floats] = []

    def read(self, path: Path) -> None:
        chunk_count = len(self.values)
        for line, rows in _chunks(path):
            image, patient, label, branch, model, patch, *probabilities = zip(*rows, strict=True)
            if self.classes not in (None, len(probabilities)):
                raise InputError(f"{path}: has {len(probabilities)} classes, the files before it {self.classes}")
            self.classes = len(probabilities)
            for fact in dict.fromkeys(zip(image, patient, label, strict=True)):
                if fault := self._take_fact(*fact):
                    raise InputError(f"{path} line {line + _first(rows, fact, 0)}: {fault}")
            for key in dict.fromkeys(zip(branch, model, patch, strict=True)):
                if key not in self.keys:
                    if fault := _fault_of_key(*key):
                        raise InputError(f"{path} line {line + _first(rows, key, 3)}: {fault}")
                    self.keys[key] = len(self.keys)
            self.image.append(np.array([self.images[name] for name in image], np.int64))
            self.key.append(np.array([self.keys[key] for key in zip(branch, model, patch, strict=True)], np.int64))
            self.values.append(_probabilities(path, line, probabilities))
        if len(self.values) == chunk_count:
            raise InputError(f"{path}: holds no prediction; run predict.py again")

    def _take_fact(self, image: str, patient: str, label: str) -> str | None:
        """Note an image's patient and class; returns what is wrong with them, if anything."""
        if image not in self.facts:
            if not is_label(label) or int(label) >= (self.classes or 0):
                return f"label '{label[:20]}' is not a class, 0 .. {(self.classes or 0) - 1}"
            self.facts[image] = (patient, label)
            self.images[image] = len(self.images)
        before = self.facts[image]
        if before != (patient, label):
            return (
                f"{image} is patient {patient}, class {label} here, but patient {before[0]}, class {before[1]} in an "
                "earlier row; predict again from one manifest"
            )
        return None

    def predictions(self) -> Predictions:
        if self.classes is None:
            raise InputError("no predictions file given")
        names = sorted(self.images)
        rank = np.empty(len(names), np.int64)
        rank[[self.images[name] for name in names]] = np.arange(len(names))
        image, key = rank[np.concatenate(self.image)], np.concatenate(self.key)
        place = image * len(self.keys) + key
        count = np.bincount(place, minlength=len(names) * len(self.keys)).reshape(len(names), len(self.keys))
        keys = list(self.keys)
        if count.max() > 1:
            row, column = np.argwhere(count > 1)[0]
            raise InputError(f"{_where(names[row], keys[column])}: predicted twice; give each file once")
        if count.min() < 1:
            row, column = np.argwhere(count < 1)[0]
            raise InputError(
                f"{_where(names[row], keys[column])}: missing, as are {int((count < 1).sum()) - 1} more; predict every "
                "branch and model from the same manifest"
            )
        flat = np.empty((len(names) * len(keys), self.classes))
        flat[place] = np.concatenate(self.values)
        table = flat.reshape(len(names), len(keys), self.classes)
        facts = [self.facts[name] for name in names]
        patches = self._patches()
        return Predictions(
            images=tuple(names),
            patients=tuple(patient for patient, _ in facts),
            labels=np.array([int(label) for _, label in facts], np.int64),
            classes=self.classes,
            whole={model: table[:, column] for (branch, model, _), column in self.keys.items() if branch == "global"},
            local={model: table[:, [column for _, column in own]] for model, own in patches.items()},
            patches={model: tuple(patch for patch, _ in own) for model, own in patches.items()},
        )

    def _patches(self) -> dict[str, list[tuple[str, int]]]:
        """Each model's (patch, column), in the order of the names: no sum depends on the order in a file."""
        by_model: dict[str, list[tuple[str, int]]] = {}
        for (branch, model, patch), column in self.keys.items():
            if branch == "local":
                by_model.setdefault(model, []).append((patch, column))
        return {model: sorted(patches) for model, patches in by_model.items()}


def _chunks(path: Path) -> Iterator[tuple[int, list[list[str]]]]:
    """The rows of one file, its header checked: some at a time, with the line of the first of them."""
    try:
        with reading(path), open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            classes = len(header) - len(COLUMNS)
            if classes < 2 or header != [*COLUMNS, *(f"p{c}" for c in range(classes))]:
                raise InputError(f"{path}: not a predictions file; its header must be {','.join(COLUMNS)},p0,p1,...")
            line = 2
            while rows := list(islice(reader, CHUNK)):
                for number, fields in enumerate(rows):
                    if len(fields) != len(header):
                        raise InputError(f"{path} line {line + number}: {len(fields)} fields, the header {len(header)}")
                yield line, rows
                line += len(rows)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a UTF-8 text file; is it a predictions file?") from None
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num}: not valid CSV: {error}") from None


def _probabilities(path: Path, line: int, columns: Sequence[Sequence[str]]) -> Floats:
    """The columns p0, p1, ... as numbers, checked to be probabilities; shape (rows, classes)."""
    values = np.empty((len(columns[0]), len(columns)))
    for number, column in enumerate(columns):
        try:
            values[:, number] = list(map(float, column))
        except ValueError:
            row = next(row for row, text in enumerate(column) if not _is_number(text))
            raise InputError(f"{path} line {line + row}: a probability is not a number") from None
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) <= SUM_TOLERANCE))
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{path} line {line + row}: {', '.join(f'{v:g}' for v in values[row])} are not probabilities that sum to "
            "1; was the network's last layer a Softmax?"
        )
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first(rows: Sequence[Sequence[str]], fields: tuple[str, ...], column: int) -> int:
    """The first row that has these fields from this column on."""
    return next(n for n, row in enumerate(rows) if tuple(row[column : column + len(fields)]) == fields)


def _fault_of_key(branch: str, model: str, patch: str) -> str | None:
    if branch not in BRANCHES:
        return f"branch '{branch}' is neither global nor local"
    if not model:
        return "no model's name"
    if (branch == "global") != (patch == WHOLE):
        return f"patch '{patch}' in the {branch} branch; empty in the global branch only"
    return None


def _where(image: str, key: Key) -> str:
    branch, model, patch = key
    return f"{image}, {branch} branch, model {model}" + (f", patch {patch}" if patch else "")
