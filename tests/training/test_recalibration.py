"""tools/recalibrate.py: statistics of what each BatchNorm is given, beside numpy's."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyhisto.proto import layer_blobs, read_weights
from tests.labelled import BATCH, BODY, FACTOR, MEAN, write_labelled
from tests.windows import windows_of

pytestmark = pytest.mark.caffe

TWICE = BODY.replace(
    'layer { name: "pool"', 'layer { name: "bn2" type: "BatchNorm" bottom: "conv2" top: "bn2" }\nlayer { name: "pool"'
).replace('"conv2" top: "pool"', '"bn2" top: "pool"')
BATCHES = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("recalibration"), TWICE)


def recalibrate(root: Path, folder: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "tools" / "recalibrate.py", "--model", folder / "train_val.prototxt",
               "--weights", folder / "net.caffemodel", "--batches", BATCHES, "--out", out, *more]  # fmt: skip
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_every_value_counts_alike(root: Path, folder: Path, tmp_path: Path) -> None:
    done = recalibrate(root, folder, tmp_path / "new.caffemodel", "--test")
    assert done.returncode == 0, done.stderr
    assert "2 BatchNorm layers over 3 batches" in done.stdout
    assert [line.split(":")[0] for line in done.stdout.splitlines() if "on 23 validation" in line] == [
        "before",
        "after",
    ]
    old, new = (layer_blobs(read_weights(path)) for path in (folder / "net.caffemodel", tmp_path / "new.caffemodel"))
    pixels = (np.load(folder / "records.npz")["pixels"][: BATCHES * BATCH].astype(np.float64) - MEAN) * FACTOR
    windows = windows_of(pixels, 3)
    conv1 = np.einsum("ncyxij,ocij->noyx", windows, old["conv1"][0].astype(np.float64))
    conv1 += old["conv1"][1].reshape(1, -1, 1, 1)
    assert new["bn1"][0] == pytest.approx(conv1.mean(axis=(0, 2, 3)), rel=1e-4, abs=1e-5)
    assert new["bn1"][1] == pytest.approx(conv1.transpose(1, 0, 2, 3).reshape(6, -1).var(axis=1, ddof=1), rel=1e-4)
    assert new["bn1"][2] == [1]
    # What bn2 is given has been normalised batch by batch, as in training.
    batches = conv1.reshape(BATCHES, BATCH, *conv1.shape[1:])
    mean, variance = (batches.mean(axis=(1, 3, 4), keepdims=True), batches.var(axis=(1, 3, 4), keepdims=True))
    normal = ((batches - mean) / np.sqrt(variance + 1e-5)).reshape(conv1.shape)
    gamma, beta = (blob.reshape(1, -1, 1, 1) for blob in old["scale1"])
    hidden = np.maximum(normal * gamma + beta, 0)
    conv2 = np.einsum("ncyx,oc->noyx", hidden, old["conv2"][0][:, :, 0, 0]) + old["conv2"][1].reshape(1, -1, 1, 1)
    assert new["bn2"][0] == pytest.approx(conv2.mean(axis=(0, 2, 3)), rel=1e-3, abs=1e-4)
    assert new["bn2"][1] == pytest.approx(conv2.transpose(1, 0, 2, 3).reshape(8, -1).var(axis=1, ddof=1), rel=1e-3)


def test_nothing_else_changes(root: Path, folder: Path, tmp_path: Path) -> None:
    assert recalibrate(root, folder, tmp_path / "new.caffemodel").returncode == 0
    old, new = (layer_blobs(read_weights(path)) for path in (folder / "net.caffemodel", tmp_path / "new.caffemodel"))
    assert old.keys() == new.keys()
    for name in old.keys() - {"bn1", "bn2"}:
        assert all(np.array_equal(one, other) for one, other in zip(old[name], new[name], strict=True))


def test_bad_input_is_one_line(root: Path, folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    write_labelled(bare, BODY.replace("BatchNorm", "AbsVal"))
    for where, words in ((bare, "has no BatchNorm layer"), (folder / "none", "cannot be read")):
        done = recalibrate(root, where, tmp_path / "new.caffemodel")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert words in done.stderr
        assert not (tmp_path / "new.caffemodel").exists()
