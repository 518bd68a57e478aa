"""Prediction files: what every table is made from, without running a network again.

CSV (`pyhisto.predictions`), one row per forward pass: `image,patient,label,branch,model,patch,p0,p1,...`. `image` is
the manifest's path; branch is global or local; `model` is a name (the same for both branches of one hybrid model);
`patch` is empty in the global branch, and in the local one says which patch: row then column ("11" .. "35"), a crop's
name, or, if an image has too many patches to keep, the rule that merged them ("sum", "product", "max"); p0, p1, ...
are the classes' probabilities.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats
from pyhisto.manifest import is_label
from pyhisto.predictions import Fields, Layout, number_names, read_files, write_rows

BRANCHES: tuple[Literal["global", "local"], ...] = ("global", "local")
WHOLE = ""
"""The patch of the global branch: the whole image."""


class PredictionRow(NamedTuple):
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
        return number_names(self.patients)

    @property
    def models(self) -> tuple[str, ...]:
        """All models' names, sorted."""
        return tuple(sorted({*self.whole, *self.local}))


def write_predictions(path: Path, rows: Iterable[PredictionRow], classes: int) -> None:
    """Write a predictions file, whole or not at all; 9 significant digits, which give back every float32 exactly."""
    write_rows(path, LAYOUT, rows, classes)


def read_predictions(paths: Sequence[Path]) -> Predictions:
    """Read and merge prediction files of the same images: both branches, several models.

    Every branch of every model must hold every image once, with the same patches; an image must have one patient and
    one class. InputError names the file and line, or the image, and the fault.
    """
    read = read_files(paths, LAYOUT)
    patients, labels = zip(*read.facts, strict=True)
    patches: dict[str, list[str]] = {}
    for branch, model, patch in sorted(read.by_key):  # no sum depends on the order in a file
        if branch == "local":
            patches.setdefault(model, []).append(patch)
    return Predictions(
        images=read.images,
        patients=patients,
        labels=np.array([int(label) for label in labels], np.int64),
        classes=read.classes,
        whole={model: values for (branch, model, _), values in read.by_key.items() if branch == "global"},
        local={
            model: np.stack([read.by_key["local", model, patch] for patch in own], axis=1)
            for model, own in patches.items()
        },
        patches={model: tuple(own) for model, own in patches.items()},
    )


def _find_fault(facts: Fields, classes: int) -> str | None:
    _, label = facts
    if not is_label(label) or int(label) >= classes:
        return f"label '{label[:20]}' is not a class, 0 .. {classes - 1}"
    return None


def _find_fault_of_key(key: Fields) -> str | None:
    branch, model, patch = key
    if branch not in BRANCHES:
        return f"branch '{branch}' is neither global nor local"
    if not model:
        return "no model's name"
    if (branch == "global") != (patch == WHOLE):
        return f"patch '{patch}' in the {branch} branch; empty in the global branch only"
    return None


def _describe(key: Fields) -> str:
    branch, model, patch = key
    return f"{branch} branch, model {model}" + (f", patch {patch}" if patch else "")


LAYOUT = Layout(
    "a predictions file", "predict.py", ("patient", "label"), ("branch", "model", "patch"),
    _find_fault, _find_fault_of_key, _describe,
)  # fmt: skip
