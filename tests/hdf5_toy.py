"""A folder with a few rows of data in HDF5, in batches of known order, and a solver: for comparison with numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pyhisto.learning_curve import read_points
from pyhisto.proto import NetParameter, set_blob, write_weights

ROWS, FEATURES, HIDDEN, CLASSES, BATCH = 24, 6, 8, 3, 4

DATA = """
layer {{
  name: "data" type: "HDF5Data" top: "x" top: "y" include {{ phase: TRAIN }}
  hdf5_data_param {{ source: "{0}/list.txt" batch_size: {1} }}
}}
layer {{
  name: "data" type: "HDF5Data" top: "x" top: "y" include {{ phase: TEST }}
  hdf5_data_param {{ source: "{0}/list.txt" batch_size: {2} }}
}}
"""
LOSS = """
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "y" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "y" top: "accuracy" include { phase: TEST } }
"""
SOLVER = {
    "test_iter": "1",
    "test_interval": "10",
    "base_lr": "0.2",
    "lr_policy": '"step"',
    "stepsize": "20",
    "gamma": "0.5",
    "momentum": "0.9",
    "weight_decay": "0.01",
    "iter_size": "2",
    "display": "1",
    "max_iter": "50",
    "snapshot": "20",
    "random_seed": "1",
    "solver_mode": "CPU",
}


@dataclass(frozen=True)
class Hdf5Toy:
    """`x`: ROWS x FEATURES; `y`: ROWS. A test is one pass over all rows; a batch of training is BATCH rows in order."""

    folder: Path
    x: NDArray[np.float64]
    y: NDArray[np.int64]

    def write(self, layers: str, weights: dict[str, list[Any]], **change: str) -> tuple[Path, Path]:
        """Write net, solver and weights; gives the last two."""
        (self.folder / "net.prototxt").write_text(DATA.format(self.folder, BATCH, ROWS) + layers + LOSS)
        fields = {"net": f'"{self.folder}/net.prototxt"', "snapshot_prefix": f'"{self.folder}/unused"'}
        solver = self.folder / "solver.prototxt"
        solver.write_text("".join(f"{name}: {value}\n" for name, value in {**fields, **SOLVER, **change}.items()))
        net = NetParameter()
        for name, arrays in weights.items():
            layer = net.layer.add(name=name)
            for array in arrays:
                set_blob(layer.blobs.add(), np.asarray(array, np.float32))
        write_weights(self.folder / "start.caffemodel", net)
        return solver, self.folder / "start.caffemodel"

    def batch(self, number: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The rows of a forward pass of the training net, counted from 0."""
        rows = np.arange(number * BATCH, (number + 1) * BATCH) % ROWS
        return self.x[rows], self.y[rows]


def make_toy(folder: Path) -> Hdf5Toy:
    """Three classes, each brighter in two of the six features."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, ROWS)
    x = (rng.standard_normal((ROWS, FEATURES)) + 1.5 * np.eye(CLASSES)[y].repeat(2, 1)).astype(np.float32)
    with h5py.File(folder / "data.h5", "w") as file:
        file["x"], file["y"] = x, y.astype(np.float32)
    (folder / "list.txt").write_text(f"{folder}/data.h5\n")
    return Hdf5Toy(folder, x.astype(np.float64), y)


def two_layers() -> dict[str, list[Any]]:
    """Weights and biases to start from: `ip1` from FEATURES to HIDDEN, `ip2` from there to CLASSES."""
    rng = np.random.default_rng(1)
    return {
        "ip1": [rng.standard_normal((HIDDEN, FEATURES)).astype(np.float32) * 0.5, np.zeros(HIDDEN)],
        "ip2": [rng.standard_normal((CLASSES, HIDDEN)).astype(np.float32) * 0.5, np.zeros(CLASSES)],
    }


def softmax_loss(scores: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[float, NDArray[np.float64]]:
    """The mean cross-entropy, and its gradient with respect to the scores (rows x classes)."""
    exponentials = np.exp(scores - scores.max(1, keepdims=True))
    p = exponentials / exponentials.sum(1, keepdims=True)
    return float(-np.log(p[np.arange(len(y)), y]).mean()), (p - np.eye(p.shape[1])[y]) / len(y)


def losses(folder: Path, phase: str) -> NDArray[np.float64]:
    """What a run's metrics say, in order; NaN where a point has no loss."""
    points = read_points(folder / "metrics.jsonl")
    return np.array([np.nan if p.loss is None else p.loss for p in points if p.phase == phase])
