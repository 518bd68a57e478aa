"""What Caffe or HDF5 answers by ending the process is one line that names the file, and leaves nothing."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from pyhisto.graph import Graph
from pyhisto.manifest import Row, write_manifest
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proto import Datum, NetParameter, parse_text, write_weights
from tests.networks import random_weights

pytestmark = pytest.mark.caffe

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } } }'
TRAIN = """
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "lmdb" batch_size: 2 backend: LMDB } }
"""
LAYERS = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 5 weight_filler { type: "FILLER" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
"""
PROB = 'layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }'
SOLVER = """
net: "train.prototxt" max_iter: 2 base_lr: 0.001 lr_policy: "fixed" snapshot_prefix: "snap" snapshot: 1 solver_mode: CPU
"""
MODEL = ["--model", "deploy.prototxt", "--weights"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network with a filler that Caffe does not know, the same without, weights, an image, an LMDB, a solver."""
    for name, filler in (("deploy", "nosuch"), ("whole", "xavier")):
        (tmp_path / f"{name}.prototxt").write_text(DATA + LAYERS.replace("FILLER", filler) + PROB)
    graph = Graph.build(parse_text((tmp_path / "whole.prototxt").read_text(), NetParameter, tmp_path))
    for name in ("net.caffemodel", "net.caffemodel.h5"):
        write_weights(tmp_path / name, random_weights([graph]))
    (tmp_path / "train.prototxt").write_text(TRAIN + LAYERS.replace("FILLER", "xavier") + LOSS)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 20, 3), np.uint8))
    write_manifest(tmp_path / "manifest.csv", [Row("a.png", 0, split="test")])
    Preprocessing("global", size=16).save(tmp_path)
    (tmp_path / "lmdb").mkdir()
    with lmdb.open(str(tmp_path / "lmdb"), map_size=1 << 20) as environment, environment.begin(write=True) as batch:
        for number in range(4):
            datum = Datum(channels=3, height=16, width=16, data=bytes(768), label=number % 2)
            batch.put(b"%d" % number, datum.SerializeToString())
    return tmp_path


def run(root: Path, folder: Path, program: str, *arguments: str, preexec_fn: Callable[[], None] | None = None) -> str:
    """Run a program that is to fail; what it says in the end. Nothing new is to be left."""
    before = {path.name for path in folder.iterdir()}
    command = [sys.executable, str(root / program), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, preexec_fn=preexec_fn)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr and "@ " not in done.stderr
    if program != "tools/dns.py":  # its folder is what the same command goes on from
        assert {path.name for path in folder.iterdir()} == before
    return done.stderr.replace("\r", "\n").strip("\n").splitlines()[-1]


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("tools/prune.py", [*MODEL, "net.caffemodel", "--criterion", "l1", "--ratio", "0.5", "--out", "out"]),
        ("tools/to_onnx.py", [*MODEL, "net.caffemodel", "--out", "out"]),
        ("tools/predict.py", [*MODEL, "net.caffemodel", "--manifest", "manifest.csv", "--root", ".", "--branch",
                              "global", "--out", "out.csv"]),
    ],
)  # fmt: skip
def test_a_filler_that_caffe_does_not_know(root: Path, folder: Path, program: str, arguments: list[str]) -> None:
    said = run(root, folder, program, *arguments)
    assert said.startswith(f"{Path(program).name}: deploy.prototxt: ")
    assert "Unknown filler name: nosuch" in said and "correct it" in said


def files_of_at_most(size: int) -> Callable[[], None]:
    """A limit that stands for a full disk; stdout and stderr are pipes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [2048, 5000, 9000])
def test_hdf5_on_a_full_disk(root: Path, folder: Path, size: int) -> None:
    assert os.path.getsize(folder / "net.caffemodel.h5") > 9000
    said = run(
        root, folder, "tools/prune.py", "--model", "whole.prototxt", "--weights", "net.caffemodel.h5", "--no-proof",
        "--criterion", "random", "--ratio", "0.01", "--out", "out", preexec_fn=files_of_at_most(size),
    )  # fmt: skip
    assert said.startswith("prune.py: out")


def test_surgery_on_a_full_disk(root: Path, folder: Path) -> None:
    said = run(
        root, folder, "tools/dns.py", "--solver", "solver.prototxt", "--weights", "net.caffemodel", "--sparsity", "0.5",
        "--out", "out", preexec_fn=files_of_at_most(5000),
    )  # fmt: skip
    assert said.startswith("dns.py: out")
