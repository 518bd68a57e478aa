"""Why the re-run of ref. [11] by Zhu et al. called every image cancer: its faults, one by one, on the same patches.

Trains the patch network as they wrote it (poolings in place) and with a top of its own for each pooling, each with
cifar10_quick's weight decay and with theirs of 0.9, and looks at what they say of the validation patches, before and
after training. Writes OUT/collapse.json, which tools/report.py shows where it lies in a results folder as
collapse/collapse.json.

Caffe runs on the CPU, where a pooling in place fills its top, and with it what it has yet to read, with -FLT_MAX.
Theirs ran on a GPU, where nothing is filled (pooling_layer.cu): threads mostly read before others write. But on both,
the backward pass first sets the bottom's gradient to zero, which in place is the top's: no convolution below ever
learns, and weight decay alone acts on it. That is the third form: tops of their own, and the gradient stopped above.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pyhisto import pycaffe
from pyhisto.cli import Parser, positive, run
from pyhisto.files import write_text
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.nets.builder import AUTHORS_MEAN
from pyhisto.nets.files import even_batch_size, network_files
from pyhisto.nets.patch_cnn import PATCHES, PatchCNN, Variant
from pyhisto.nets.solvers import SPANHOL_2016

POOLINGS: dict[str, tuple[Variant, bool]] = {
    "own top": ("repaired", True),
    "in place": ("in-place", True),
    "in place, as on a GPU": ("repaired", False),
}
"""Form -> the network's variant, and whether a gradient comes to the convolutions."""
DECAYS = (SPANHOL_2016.weight_decay, 0.9)
EVERY = 10
"""Iterations between two losses that are kept."""
SHOWN = 200
"""Validation patches whose scores are kept."""


def main() -> None:
    """Train and look at all forms."""
    args = _parser().parse_args()
    caffe = pycaffe.load_for(None)
    forms = [(pooling, decay) for pooling in POOLINGS for decay in DECAYS]
    with (
        tempfile.TemporaryDirectory() as folder,
        pycaffe.runs(args.train_lmdb, "Caffe cannot train on its records", "build the LMDBs again"),
    ):
        studied = [
            study(caffe, Path(folder), args, pooling, decay) for pooling, decay in tqdm(forms, "forms", disable=None)
        ]
    settings = {"patch": args.patch, "batch_size": args.batch_size, "iterations": args.iterations, "seed": args.seed}
    write_text(args.out / "collapse.json", json.dumps({**settings, "forms": studied}, indent=1) + "\n")
    for form in studied:
        print(sentence(form))
    print(args.out / "collapse.json")


def study(caffe: Any, folder: Path, args: argparse.Namespace, pooling: str, decay: float) -> dict[str, Any]:
    """Train one form and measure it. NaN and infinity become None, which is what JSON has for them."""
    path, passes = _write(folder / f"{pooling} {decay}".replace(" ", "_"), args, pooling, decay)
    solver = caffe.get_solver(str(path))
    before = scores(solver, passes)
    weights = _mean_weight(solver.net)
    losses: list[float | None] = []
    for iteration in range(1, args.iterations + 1):
        solver.step(1)
        loss = _finite(float(solver.net.blobs["loss"].data))
        if iteration % EVERY == 0 or loss is None:
            losses.append(loss)
        if loss is None:  # no update will mend it, and backward from NaN Caffe's max pooling writes outside of its blob
            break
    after = scores(solver, passes)
    return {
        "pooling": pooling,
        "weight_decay": decay,
        "losses": losses,
        "untrained": before,
        "trained": after,
        "mean_weight": [_finite(weights), _finite(_mean_weight(solver.net))],
    }


def scores(solver: Any, passes: int) -> dict[str, Any]:
    """What the test net says of the validation patches, `passes` batches: malignant's score less benign's."""
    net = solver.test_nets[0]
    net.share_with(solver.net)
    differences, labels = [], []
    for _ in range(passes):
        net.forward()
        differences.append(np.subtract(*net.blobs["fc2"].data.T[::-1]).astype(float))
        labels.append(net.blobs["label"].data.astype(int).copy())
    return measured(np.concatenate(differences), np.concatenate(labels))


def measured(differences: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Of n patches: how many different answers, how many are called malignant, how many rightly."""
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


def sentence(form: Mapping[str, Any]) -> str:
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
        + (
            f"trained {after['answers']}, {100 * after['malignant']:.1f}% called malignant, "
            f"{100 * after['right']:.1f}% right (always the larger class: {100 * after['majority']:.1f}%)"
        )
    )


def _write(folder: Path, args: argparse.Namespace, pooling: str, decay: float) -> tuple[Path, int]:
    """Write the form's prototxts; returns the solver's path, and how many batches the validation patches are."""
    train, val = LmdbFolder(Path(args.train_lmdb)), LmdbFolder(Path(args.val_lmdb))
    variant, learns = POOLINGS[pooling]
    network = PatchCNN(variant, args.patch, mean=train.mean or AUTHORS_MEAN)
    records = val.records()
    val_batch = even_batch_size(records, args.batch_size)
    net = network.train_val(args.train_lmdb, args.val_lmdb, args.batch_size, val_batch)
    if not learns:
        next(layer for layer in net.layer if layer.name == "fc1").propagate_down.append(False)
    passes = math.ceil(records / val_batch)
    solver = replace(
        SPANHOL_2016, stepsize=0, weight_decay=decay, max_iter=args.iterations, test_interval=10**9, display=0,
        snapshot=0, random_seed=args.seed, solver_mode="CPU",
    )  # fmt: skip
    files = network_files(
        folder,
        {"train_val": net},
        solver,
        test_iter=passes,
        command="tools/collapse_study.py",
    )
    for name, text in files.items():
        write_text(folder / name, text)
    return folder / "solver.prototxt", passes


def _mean_weight(net: Any) -> float:
    """The mean of the absolute weights, biases left out."""
    return float(np.mean(np.concatenate([np.abs(blobs[0].data).ravel() for blobs in net.params.values()])))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-lmdb", required=True, metavar="DIR", help="patches, from build_lmdb.py")
    parser.add_argument("--val-lmdb", required=True, metavar="DIR")
    parser.add_argument("--patch", type=int, choices=PATCHES, default=32, help="default %(default)s")
    parser.add_argument("--batch-size", type=positive, default=50, metavar="N", help="default %(default)s")
    parser.add_argument("--iterations", type=positive, default=1000, metavar="N", help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    return parser


if __name__ == "__main__":
    run(main)
