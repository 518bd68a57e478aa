"""Predictions of a tree's networks: a CSV from which every decision and score is made without running a network again.

One row per image, node and model (`pyhisto.predictions`): `image,patient,pathology,split_by,node,model,p0,p1,p2,p3`.
`patient` is what a split kept together (a slide, or the image itself, if no patient is known), and `split_by` says
which of these it is; a node of the tree has p0 and p1 alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats
from pyhisto.hierarchy.tree import FLAT, LEAVES, NODES, PATHOLOGIES, class_count
from pyhisto.predictions import Fields, Layout, number_names, read_files, write_rows


class NodePredictionRow(NamedTuple):
    """One answer of one network."""

    image: str
    patient: str
    pathology: str
    split_by: str
    node: str
    model: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class TreePredictions:
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
        return number_names(self.patients)


def write_predictions(path: Path, rows: Iterable[NodePredictionRow]) -> None:
    """Write a predictions file, whole or not at all; 9 significant digits, which give back every float32 exactly."""
    write_rows(path, LAYOUT, rows, len(LEAVES))


def read_predictions(path: Path) -> TreePredictions:
    """Read a predictions file. Raises InputError, naming the line or the image, for what is not one."""
    read = read_files([path], LAYOUT)
    patients, pathologies, split_by = zip(*read.facts, strict=True)
    answers = {(node, model): values for (node, model), values in read.by_key.items()}
    return TreePredictions(read.images, patients, pathologies, split_by, answers)


def _find_fault(facts: Fields, _: int) -> str | None:
    pathology = facts[1]
    return None if pathology in PATHOLOGIES else f"pathology '{pathology}' is none of {', '.join(PATHOLOGIES)}"


def _find_fault_of_key(key: Fields) -> str | None:
    node, _ = key
    return None if node in (*NODES, FLAT) else f"node '{node}' is none of {', '.join((*NODES, FLAT))}"


LAYOUT = Layout(
    "a tree's predictions file", "predict_tree.py", ("patient", "pathology", "split_by"), ("node", "model"),
    _find_fault, _find_fault_of_key, describe=" ".join, most_classes=len(LEAVES),
    count_classes=lambda key: class_count(key[0]),
)  # fmt: skip
