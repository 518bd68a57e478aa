"""tools/mask.py as its users run it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyhisto.graph import Graph
from pyhisto.inference.deploy import read_deploy
from pyhisto.inference.engines import ENGINES
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import TEST, TRAIN, blob_array, layer_blobs, read_weights, set_blob, write_weights
from tests.networks import random_weights

NETWORK = InceptionSEP("released", width=0.125, input_size=64)


def call(root: Path, program: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / program), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """whole/: a network with random weights; cut/: it without half of its channels, the lower in L1 norm."""
    folder = tmp_path_factory.mktemp("masking")
    options = ["--variant", "released", "--width", "0.125", "--input-size", "64", "--out", folder / "whole"]
    assert call(root, "prototxt/generate.py", "inception-sep", *options).returncode == 0
    shapes = {"data": (10, 3, 64, 64)}
    graphs = [Graph.build(NETWORK.train_val("t", "v", 10, 10), phase, input_shapes=shapes) for phase in (TEST, TRAIN)]
    write_weights(folder / "whole" / "net.caffemodel", random_weights(graphs))
    done = call(
        root, "tools/prune.py", "--model", folder / "whole/deploy.prototxt",
        "--weights", folder / "whole/net.caffemodel", "--criterion", "l1", "--ratio", "0.5", "--out", folder / "cut",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def mask(root: Path, folder: Path, weights: str, out: Path) -> subprocess.CompletedProcess[str]:
    model, plan = folder / "whole/deploy.prototxt", folder / "cut/plan.json"
    return call(root, "tools/mask.py", "--model", model, "--weights", folder / weights, "--plan", plan, "--out", out)


def test_the_masked_network_computes_what_the_cut_one_does(root: Path, folder: Path, tmp_path: Path) -> None:
    masked = tmp_path / "masked.caffemodel"
    done = mask(root, folder, "whole/net.caffemodel", masked)
    assert done.returncode == 0, done.stderr
    whole, zeroed = (layer_blobs(read_weights(path)) for path in (folder / "whole/net.caffemodel", masked))
    assert {name: [blob.shape for blob in blobs] for name, blobs in whole.items()} == {
        name: [blob.shape for blob in blobs] for name, blobs in zeroed.items()
    }
    filters = np.abs(zeroed["inception_3a/3x3"][0]).sum(axis=(1, 2, 3))
    gone = int((filters == 0).sum())
    assert f"inception_3a/3x3: {gone} of {len(filters)} channels masked" in done.stdout and 0 < gone < len(filters)
    images = np.random.default_rng(0).normal(0, 40, (10, 3, 64, 64)).astype(np.float32)
    answers = [
        ENGINES["opencv"](read_deploy(model, weights), None)(images)
        for model, weights in (
            (folder / "whole/deploy.prototxt", folder / "whole/net.caffemodel"),
            (folder / "whole/deploy.prototxt", masked),
            (folder / "cut/deploy.prototxt", folder / "cut/net.caffemodel"),
        )
    ]
    assert np.abs(answers[1] - answers[2]).max() < 1e-5
    assert np.abs(answers[0] - answers[2]).max() > 1e-3  # the channels counted for something


def test_bad_input_is_one_line_and_exit_2(root: Path, folder: Path, tmp_path: Path) -> None:
    other = mask(root, folder, "cut/net.caffemodel", tmp_path / "out.caffemodel")
    assert other.returncode == 2 and other.stderr.count("\n") == 1
    weights = read_weights(folder / "whole/net.caffemodel")
    blob = next(layer for layer in weights.layer if layer.blobs).blobs[0]
    set_blob(blob, blob_array(blob) + 1)
    write_weights(folder / "whole" / "changed.caffemodel", weights)
    changed = mask(root, folder, "whole/changed.caffemodel", tmp_path / "out.caffemodel")
    assert changed.returncode == 2 and "pruned other weights than" in changed.stderr
    (tmp_path / "out.caffemodel").touch()
    there = mask(root, folder, "whole/net.caffemodel", tmp_path / "out.caffemodel")
    assert there.returncode == 2 and "exists already" in there.stderr
