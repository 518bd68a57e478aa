"""A second label for every record, of the same keys, read by Caffe in step with the first."""

import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.lmdbs.writer import decode_record
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.nets.magnification_cnn import MagnificationCNN
from pyhisto.proto import to_text


@pytest.fixture
def lmdbs(root: Path, tree: Path, tmp_path: Path) -> Path:
    """LMDBs of all magnifications with their magnification as a second label."""
    out = tmp_path / "lmdb"
    subprocess.run(
        [sys.executable, root / "data_prep/build_lmdb.py", "--dataset", "breakhis", "--root", tree / "BreaKHis_v1",
         "--folds", tree / "breakhis_folds", "--fold", "1", "--branch", "global", "--size", "64", "--augment", "2",
         "--stain", "none", "--val-fraction", "0.5", "--workers", "1", "--out", out],
        check=True, capture_output=True,
    )  # fmt: skip
    command = [sys.executable, str(root / "data_prep/label_lmdb.py"), "--lmdb", str(out), "--column", "magnification"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "magnification: 40 is 0, 100 is 1\n"
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 2 and "exists already" in again.stderr
    return out


def test_same_keys_and_the_images_magnification(lmdbs: Path) -> None:
    for split in ("train", "val", "test"):
        records = [key for key, _ in LmdbFolder(lmdbs / split).items()]
        labels = {key: decode_record(record)[1] for key, record in LmdbFolder(lmdbs / split / "magnification").items()}
        assert list(labels) == records
        assert {label for label in labels.values()} == {0, 1}
        assert all(label == ("-100-" in key) for key, label in labels.items())


@pytest.mark.caffe
def test_caffe_reads_both_labels_in_step(lmdbs: Path, tmp_path: Path) -> None:
    import caffe

    model = tmp_path / "train_val.prototxt"
    network = MagnificationCNN("multi", magnifications=2, input_size=64, width=0.02)
    train = str(lmdbs / "train")
    model.write_text(to_text(network.train_val(train, train, 3, 3)))
    net = caffe.Net(str(model), caffe.TRAIN)
    keys = [key for key, _ in LmdbFolder(lmdbs / "train").items()]
    # 4 training patients (a half of each class validates): one of each class, 2 + 1 images, 2 copies.
    assert len(keys) == 2 * (2 + 1) * 2
    for first in range(0, 2 * len(keys), 3):  # round twice
        net.forward()
        batch = [keys[(first + offset) % len(keys)] for offset in range(3)]
        assert net.blobs["label"].data.tolist() == ["_M_" in key for key in batch]
        assert net.blobs["magnification"].data.tolist() == ["-100-" in key for key in batch]
