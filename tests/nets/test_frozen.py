"""Starting from a published GoogLeNet, with the convolutions frozen that the authors froze."""

import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest

from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import Frozen, InceptionSEP
from pyhisto.proto import Datum, layer_blobs, read_net, read_weights, write_weights
from tests.networks import random_weights

AUTHORS = [
    "conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3", "inception_3a/1x1", "inception_3a/3x3_reduce", "inception_3a/3x3",
    "inception_3a/5x5_reduce", "inception_3a/5x5", "inception_3a/pool_proj", "inception_3b/1x1",
]  # fmt: skip
"""The layers of the authors' published file with learning-rate multipliers 0."""


def test_the_authors_froze_ten_convolutions() -> None:
    cases: tuple[tuple[Frozen, list[str]], ...] = (("none", []), ("authors", AUTHORS))
    for frozen, expected in cases:
        net = InceptionSEP("released", frozen=frozen).train_val("t", "v", 2, 2)
        convolutions = [layer for layer in net.layer if layer.type == "Convolution"]
        still = [layer for layer in convolutions if [param.lr_mult for param in layer.param] == [0, 0]]
        assert [layer.name for layer in still] == expected
        assert all([param.decay_mult for param in layer.param] == [1, 0] for layer in still)
        moving = [[param.lr_mult for param in layer.param] for layer in convolutions if layer not in still]
        assert moving == [[1, 2]] * (len(convolutions) - len(expected))


def write_lmdb(folder: Path, size: int) -> None:
    """Four images of noise, two classes."""
    random = np.random.default_rng(0)
    with lmdb.open(str(folder), map_size=1 << 24) as database, database.begin(write=True) as transaction:
        for number in range(4):
            pixels = random.integers(0, 256, (3, size, size)).astype(np.uint8)
            datum = Datum(channels=3, height=size, width=size, data=pixels.tobytes(), label=number % 2)
            transaction.put(b"%d" % number, datum.SerializeToString())


@pytest.mark.caffe
def test_training_starts_from_a_googlenet_by_layer_name(root: Path, tmp_path: Path, caffe_models: Path) -> None:
    """The published network with random weights: of its 57 convolutions the 45 up to 4e have a place here."""
    published = random_weights([Graph.build(read_net(caffe_models / "bvlc_googlenet" / "deploy.prototxt"))])
    write_weights(tmp_path / "googlenet.caffemodel", published)
    for part in ("train", "val"):
        write_lmdb(tmp_path / part, 32)
    generate = ["prototxt/generate.py", "inception-sep", "--frozen", "authors", "--input-size", 32, "--batch-size", 2,
                "--train-lmdb", tmp_path / "train", "--val-lmdb", tmp_path / "val", "--max-iter", 2,
                "--random-seed", 1, "--solver-mode", "CPU", "--out", tmp_path / "net"]  # fmt: skip
    train = [
        "tools/train.py",
        "--solver",
        tmp_path / "net/solver.prototxt",
        "--weights",
        tmp_path / "googlenet.caffemodel",
    ]
    for command in (generate, train):
        done = subprocess.run(
            [sys.executable, *map(str, command)], cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    before = layer_blobs(published)
    after = layer_blobs(read_weights(tmp_path / "net/snapshot_iter_2.caffemodel"))
    common = [name for name in before if name in after]
    assert len(common) == 45
    for name in common:
        same = [np.array_equal(old, new) for old, new in zip(before[name], after[name], strict=True)]
        # (BatchNorm takes a mean away: a bias before it has no gradient, and may not move.)
        assert all(same) if name in AUTHORS else not same[0], name
        # What learns has moved by two steps, and no further.
        assert np.corrcoef(before[name][0].ravel(), after[name][0].ravel())[0, 1] > 0.99, name
