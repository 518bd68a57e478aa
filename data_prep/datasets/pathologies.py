"""The data of Kone & Boulmane 2018: images of five pathologies, split, and mapped onto the nodes of their tree.

Each source is split alone, so that what another adds moves none of its images from one split to another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from data_prep.datasets.splits import apart, partition
from pyhisto.errors import InputError
from pyhisto.hierarchy.tree import FLAT, NODES, PATHOLOGIES, class_in, pathology_of
from pyhisto.manifest import Row

SplitBy: TypeAlias = Literal["patient", "image-wise"]
"""patient: no patient, else no slide, is in two splits. image-wise: the paper's, which looks at no ids: images of one
patient may be on both sides, and what is measured is too good."""

SPLIT_BY = "split_by"
"""The manifest's column that says what was kept together: patient, slide or image."""

ALL = "all"
"""The manifest of every image; its labels are places in PATHOLOGIES."""


def with_pathologies(rows: Sequence[Row], folder: str, where: str) -> list[Row]:
    """The rows, their label and subtype a pathology, their paths from the folder above `folder` on.

    Raises InputError where a subtype names no pathology.
    """
    named = [(row, pathology_of(row.subtype, f"{where}: {row.path}")) for row in rows]
    return [
        replace(
            row, path=str(PurePosixPath(folder, row.path)), label=PATHOLOGIES.index(pathology), subtype=pathology
        )
        for row, pathology in named
    ]  # fmt: skip


def split(rows: Sequence[Row], by: SplitBy, val: float, test: float, seed: int) -> list[Row]:
    """The rows of one source in train, val and test (where `test` is above 0); their own splits are dropped.

    Raises InputError where there are too few images (patients, slides) for it.
    """
    rows = [apart(row) if by == "image-wise" else row for row in rows]
    shares = {"train": 1 - val - test, "val": val, "test": test}
    if min(shares.values()) < 0 or shares["train"] == 0:
        raise InputError(f"validation {val:g} and test {test:g} leave no image for training")
    wanted = {name: share for name, share in shares.items() if share > 0}
    parts = partition(rows, list(wanted.values()), seed, "tree") if len(wanted) > 1 else [rows]
    held = {row.path: name for name, part in zip(wanted, parts, strict=True) for row in part}
    return [replace(row, split=held[row.path], extra={**row.extra, SPLIT_BY: _kept_together(row)}) for row in rows]


def whole(rows: Sequence[Row]) -> list[Row]:
    """For a network that is trained on all but the test images: what was validation is training."""
    return [replace(row, split="train") if row.split == "val" else row for row in rows]


def by_node(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    """The manifest of each node and of the flat network, labels theirs; and ALL."""
    manifests = {ALL: list(rows)}
    for node in (*NODES, FLAT):
        labels = [(row, class_in(node, PATHOLOGIES[row.label])) for row in rows]
        manifests[node] = [replace(row, label=label) for row, label in labels if label is not None]
    return manifests


def _kept_together(row: Row) -> str:
    return "patient" if row.patient else "slide" if row.slide else "image"
