"""The faults of the re-run of ref. [11] by Zhu et al., one by one, in Caffe on the same patches.

Caffe runs on the CPU, where a pooling in place fills its top, and with it what it has yet to read, with -FLT_MAX.
Theirs ran on a GPU, where nothing is filled (pooling_layer.cu): threads mostly read before others write. But on both,
the backward pass first sets the bottom's gradient to zero, which in place is the top's: no convolution below ever
learns, and weight decay alone acts on it. That is the third form: tops of their own, and the gradient stopped above.
"""

import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyhisto import pycaffe
from pyhisto.files import write_text
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.nets.builder import AUTHORS_MEAN
from pyhisto.nets.files import even_batch_size, network_files
from pyhisto.nets.patch_cnn import PatchCNN, PatchCNNVariant
from pyhisto.nets.solvers import SPANHOL_2016

POOLINGS: Mapping[str, tuple[PatchCNNVariant, bool]] = {
    "own top": ("repaired", True),
    "in place": ("in-place", True),
    "in place, as on a GPU": ("repaired", False),
}
"""A training form -> the network's variant, and whether a gradient comes to the convolutions."""
DECAYS = (SPANHOL_2016.weight_decay, 0.9)
EVERY = 10
"""Iterations between two losses that are kept."""
SHOWN = 200
"""Validation patches whose scores are kept."""


@dataclass(frozen=True)
class CollapseSettings:
    """What all forms are trained with."""

    train_lmdb: str
    val_lmdb: str
    patch: int
    """The side of a patch, pixels."""
    batch_size: int
    iterations: int
    seed: int


TrainingForm = tuple[str, float]
"""One of POOLINGS, and a weight decay."""


def study_collapse(
    settings: CollapseSettings, progress: Callable[[Sequence[TrainingForm]], Iterable[TrainingForm]] = iter
) -> dict[str, Any]:
    """Train every form, and look at what it says of the validation patches before and after.

    `progress` sees the forms go by. Returns what collapse.json holds; NaN and infinity become None, which is what JSON
    has for them. Raises InputError if Caffe is missing, or refuses the LMDBs.
    """
    caffe = pycaffe.load_for(None)
    forms = [(pooling, decay) for pooling in POOLINGS for decay in DECAYS]
    with (
        tempfile.TemporaryDirectory() as folder,
        pycaffe.runs(settings.train_lmdb, "Caffe cannot train on its records", "build the LMDBs again"),
    ):
        studied = [_study_form(caffe, Path(folder), settings, *form) for form in progress(forms)]
    return {
        "patch": settings.patch,
        "batch_size": settings.batch_size,
        "iterations": settings.iterations,
        "seed": settings.seed,
        "forms": studied,
    }


def describe_form(form: Mapping[str, Any]) -> str:
    """A form's result for a person."""
    head = f"pooling {form['pooling']}, weight decay {form['weight_decay']:g}: "
    before, after = form["untrained"], form["trained"]
    answers = "NaN" if before["answers"] is None else f"{before['answers']} different scores"
    start = f"untrained {answers} for {before['patches']} patches; "
    if after["right"] is None:
        return head + start + "trained: every score is NaN"
    return (
        head
        + start
        + f"trained {after['answers']}, {100 * after['malignant']:.1f}% called malignant, "
        + f"{100 * after['right']:.1f}% right (always the larger class: {100 * after['majority']:.1f}%)"
    )


def _study_form(caffe: Any, folder: Path, settings: CollapseSettings, pooling: str, decay: float) -> dict[str, Any]:
    """Train one form and measure it."""
    path, passes = _write_form(folder / f"{pooling} {decay}".replace(" ", "_"), settings, pooling, decay)
    solver = caffe.get_solver(str(path))
    before = _measure_solver(solver, passes)
    weights = _mean_weight(solver.net)
    losses: list[float | None] = []
    for iteration in range(1, settings.iterations + 1):
        solver.step(1)
        loss = _finite(float(solver.net.blobs["loss"].data))
        if iteration % EVERY == 0 or loss is None:
            losses.append(loss)
        if loss is None:  # no update will mend it, and backward from NaN Caffe's max pooling writes outside of its blob
            break
    after = _measure_solver(solver, passes)
    return {
        "pooling": pooling,
        "weight_decay": decay,
        "losses": losses,
        "untrained": before,
        "trained": after,
        "mean_weight": [_finite(weights), _finite(_mean_weight(solver.net))],
    }


def _write_form(folder: Path, settings: CollapseSettings, pooling: str, decay: float) -> tuple[Path, int]:
    """Write the form's prototxts; returns the solver's path, and how many batches the validation patches are."""
    train, val = LmdbFolder(Path(settings.train_lmdb)), LmdbFolder(Path(settings.val_lmdb))
    variant, learns = POOLINGS[pooling]
    network = PatchCNN(variant, settings.patch, mean=train.mean or AUTHORS_MEAN)
    records = val.records()
    val_batch = even_batch_size(records, settings.batch_size)
    net = network.train_val(settings.train_lmdb, settings.val_lmdb, settings.batch_size, val_batch)
    if not learns:
        next(layer for layer in net.layer if layer.name == "fc1").propagate_down.append(False)
    passes = math.ceil(records / val_batch)
    solver = replace(
        SPANHOL_2016, stepsize=0, weight_decay=decay, max_iter=settings.iterations, test_interval=10**9, display=0,
        snapshot=0, random_seed=settings.seed, solver_mode="CPU",
    )  # fmt: skip
    files = network_files(folder, {"train_val": net}, solver, test_iter=passes, command="tools/collapse_study.py")
    for name, text in files.items():
        write_text(folder / name, text)
    return folder / "solver.prototxt", passes


def _measure_solver(solver: Any, passes: int) -> dict[str, Any]:
    """What the test net says of the validation patches, `passes` batches."""
    net = solver.test_nets[0]
    net.share_with(solver.net)
    differences, labels = [], []
    for _ in range(passes):
        net.forward()
        differences.append(np.subtract(*net.blobs["fc2"].data.T[::-1]).astype(float))
        labels.append(net.blobs["label"].data.astype(int).copy())
    return measure_answers(np.concatenate(differences), np.concatenate(labels))


def measure_answers(differences: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Of n patches: how many different answers, how many are called malignant, how many rightly.

    Args:
        differences: malignant's score less benign's of each patch, shape (n,).
        labels: 0 for benign, 1 for malignant, shape (n,).
    """
    sound = bool(np.isfinite(differences).all())
    called = differences > 0
    step = max(1, len(labels) // SHOWN)
    return {
        "patches": len(labels),
        "majority": float(np.bincount(labels).max() / len(labels)),
        "answers": len(np.unique(differences.round(4))) if sound else None,
        "malignant": float(called.mean()) if sound else None,
        "right": float((called == labels).mean()) if sound else None,
        "spread": float(differences.std()) if sound else None,
        "scores": [
            [_finite(value), int(label)] for value, label in zip(differences[::step], labels[::step], strict=True)
        ],
    }


def _mean_weight(net: Any) -> float:
    """The mean of the absolute weights, biases left out."""
    return float(np.mean(np.concatenate([np.abs(blobs[0].data).ravel() for blobs in net.params.values()])))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
