"""Predictions of a tree's networks: a CSV from which every decision and score is made without running a network again.

One row an image, a node and a model: `image,patient,pathology,split_by,node,model,p0,p1,p2,p3`. `patient` is what a
split kept together (a slide, or the image itself, where no patient is known), and `split_by` says which of these it is;
a node of the tree has p0 and p1 alone.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.files import reading, whole_file
from pyhisto.hierarchy.tree import FLAT, LEAVES, NODES, PATHOLOGIES, class_count

COLUMNS = (
    "image",
    "patient",
    "pathology",
    "split_by",
    "node",
    "model",
    *(f"p{number}" for number in range(len(LEAVES))),
)
SUM_TOLERANCE = 1e-3

Floats = NDArray[np.floating]


class Row(NamedTuple):
    """One answer of one network."""

    image: str
    patient: str
    pathology: str
    split_by: str
    node: str
    model: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Predictions:
    """Checked predictions of n images."""

    images: tuple[str, ...]
    """Sorted."""
    patients: tuple[str, ...]
    pathologies: tuple[str, ...]
    split_by: tuple[str, ...]
    answers: Mapping[tuple[str, str], Floats]
    """(node, model) -> probabilities, shape (n, classes of the node)."""

    def models(self, node: str) -> list[str]:
        """The models of a node."""
        return [model for owner, model in self.answers if owner == node]

    @property
    def patient_numbers(self) -> NDArray[np.int64]:
        """Each image's patient as a number; shape (n,)."""
        return np.asarray(np.unique(np.array(self.patients), return_inverse=True)[1])


def write_predictions(path: Path, rows: Iterable[Row]) -> None:
    """Write a predictions file, whole or not at all; 9 significant digits, which give back every float32 exactly."""
    with whole_file(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            numbers = [f"{value:.9g}" for value in row.probabilities]
            writer.writerow([*row[:-1], *numbers, *[""] * (len(LEAVES) - len(numbers))])


def read_predictions(path: Path) -> Predictions:
    """Read a predictions file. Raises InputError, naming the line or the image, for what is not one."""
    path = Path(path)
    facts: dict[str, tuple[str, str, str]] = {}
    answers: dict[tuple[str, str], dict[str, tuple[float, ...]]] = {}
    for where, row in _rows(path):
        fact = (row.patient, row.pathology, row.split_by)
        if facts.setdefault(row.image, fact) != fact:
            raise InputError(f"{where}: {row.image} is of another patient or pathology in an earlier row")
        own = answers.setdefault((row.node, row.model), {})
        if row.image in own:
            raise InputError(f"{where}: {row.image} is predicted twice by {row.node} {row.model}")
        own[row.image] = row.probabilities
    if not facts:
        raise InputError(f"{path}: holds no prediction; run predict_tree.py again")
    images = sorted(facts)
    for (node, model), own in answers.items():
        if missing := [image for image in images if image not in own]:
            raise InputError(f"{path}: {node} {model} has no prediction of {missing[0]} ({len(missing)} are missing)")
    patients, pathologies, split_by = zip(*(facts[image] for image in images), strict=True)
    arrays = {key: np.array([own[image] for image in images]) for key, own in answers.items()}
    return Predictions(tuple(images), patients, pathologies, split_by, arrays)


def _rows(path: Path) -> Iterable[tuple[str, Row]]:
    """(where, row) of a file's rows, each checked by itself."""
    try:
        with reading(path):
            text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a UTF-8 text file; is it a tree's predictions file?") from None
    reader = csv.reader(text.splitlines(), strict=True)
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise InputError(f"{path}: not a tree's predictions file; its header must be {','.join(COLUMNS)}")
        for fields in reader:
            where = f"{path} line {reader.line_num}"
            yield where, _row(fields, where)
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num}: not valid CSV: {error}") from None


def _row(fields: Sequence[str], where: str) -> Row:
    if len(fields) != len(COLUMNS):
        raise InputError(f"{where}: {len(fields)} fields, the header {len(COLUMNS)}")
    image, patient, pathology, split_by, node, model = fields[:6]
    if pathology not in PATHOLOGIES:
        raise InputError(f"{where}: pathology '{pathology}' is none of {', '.join(PATHOLOGIES)}")
    if node not in (*NODES, FLAT):
        raise InputError(f"{where}: node '{node}' is none of {', '.join((*NODES, FLAT))}")
    try:
        values = tuple(float(text) for text in fields[6:] if text)
    except ValueError:
        raise InputError(f"{where}: a probability is not a number") from None
    wanted = class_count(node)
    if len(values) != wanted or not min(values) >= 0 or not abs(sum(values) - 1) <= SUM_TOLERANCE:
        raise InputError(f"{where}: {node} needs {wanted} probabilities that sum to 1")
    return Row(image, patient, pathology, split_by, node, model, values)
