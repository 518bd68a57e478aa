"""A network small enough to train in a second, with its data and its solver, in a folder of its own."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import lmdb
import numpy as np
import pytest

from pyhisto.proto import Datum

NET = """
layer {{
  name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ scale: 0.01 }} data_param {{ source: "train" batch_size: {batch_size} backend: LMDB }}
}}
layer {{
  name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ scale: 0.01 }} data_param {{ source: "val" batch_size: 10 backend: LMDB }}
}}
{layers}
layer {{
  name: "ip" type: "InnerProduct" bottom: "{features}" top: "ip"
  inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
layer {{
  name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include {{ phase: TEST }}
}}
"""
CONV = """layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}"""

SOLVER = {
    "net": '"net.prototxt"',
    "test_iter": "6",
    "test_interval": "20",
    "base_lr": "0.01",
    "lr_policy": '"fixed"',
    "momentum": "0.9",
    "display": "10",
    "max_iter": "100",
    "snapshot": "40",
    "snapshot_prefix": '"snap/net"',
    "solver_mode": "CPU",
    "random_seed": "1",
}


@dataclass(frozen=True)
class Toy:
    """The folder, in which the program is run."""

    folder: Path
    program: Path

    def net(self, layers: str, features: str, batch_size: int = 10) -> None:
        """Write net.prototxt: layers that make the blob `features` of the blob `data`, and a classifier `ip` on it."""
        text = NET.format(layers=layers, features=features, batch_size=batch_size)
        (self.folder / "net.prototxt").write_text(text)

    def solver(self, **change: str | None) -> Path:
        """Write solver.prototxt, with fields changed, added, or (None) left out."""
        fields = {name: value for name, value in {**SOLVER, **change}.items() if value is not None}
        path = self.folder / "solver.prototxt"
        path.write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
        return path

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, str(self.program), "--solver", "solver.prototxt", *map(str, arguments)]

    def train(self, *arguments: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run tools/train.py to its end."""
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, capture_output=True, text=True, check=False, env=env
        )


@pytest.fixture
def toy(tmp_path: Path, root: Path) -> Toy:
    """Sixty 8 x 8 images of noise, the second class 60 levels brighter; a convolution and a classifier."""
    rng = np.random.default_rng(0)
    for name in ("train", "val"):
        (tmp_path / name).mkdir()
        with lmdb.open(str(tmp_path / name), map_size=1 << 24) as database, database.begin(write=True) as transaction:
            for number in range(60):
                label = number % 2
                pixels = (rng.integers(0, 128, (3, 8, 8)) + 60 * label).astype(np.uint8)
                datum = Datum(channels=3, height=8, width=8, data=pixels.tobytes(), label=label)
                transaction.put(b"%010d" % number, datum.SerializeToString())
    made = Toy(tmp_path, root / "tools" / "train.py")
    made.net(CONV, "conv")
    made.solver()
    return made


@pytest.fixture
def in_toy(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Work in the toy's folder; gives `toy.solver`, whose paths are relative to it."""
    monkeypatch.chdir(toy.folder)
    return lambda **change: toy.solver(**change).relative_to(toy.folder)
