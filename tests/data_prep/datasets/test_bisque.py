"""BISQUE: classes and slides from the names, tiny pictures in the data set's real layout."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep.datasets import bisque
from pyhisto.errors import InputError
from pyhisto.manifest import read_manifest
from pyhisto.preprocessing.images import read_image


def test_names(tmp_path: Path) -> None:
    for name in ("benign/ytma10_010704_benign1_ccd.tif", "malignant/ytma10_010704_malignant2_ccd.tif", "Thumbs.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    data = bisque.load(tmp_path)
    assert [(row.label, row.slide, row.subtype) for row in data.rows] == [
        (0, "ytma10_010704", "benign"),
        (1, "ytma10_010704", "malignant"),
    ]
    assert data.notes == ["56 of the data set's 58 images are missing"]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no image named ytma"):
        bisque.load(tmp_path)


def test_real_files(shared_data: Path) -> None:
    data = bisque.load(shared_data / "bisque")
    assert [row.label for row in data.rows] == [0, 0, 1, 1]
    image = read_image(shared_data / "bisque" / data.rows[0].path)
    assert image.shape == (768, 896, 3)
    assert np.ptp(image) > 100


@pytest.mark.parametrize("fold", [1, 2, 3, 4, 5])
def test_five_folds_of_slides_that_hold_both_classes(root: Path, tmp_path: Path, fold: int) -> None:
    """58 images: ten arrays with three benign and two malignant cores each, one with two benign, two of malignant."""
    cores = {f"ytma{10 + number}_010704": {"benign": 3, "malignant": 2} for number in range(10)}
    cores |= {"ytma49_042003": {"benign": 2}, "ytma55_030603": {"malignant": 3}, "ytma55_030703": {"malignant": 3}}
    (tmp_path / "bisque").mkdir()
    for slide, counts in cores.items():
        for kind, count in counts.items():
            for number in range(1, count + 1):
                (tmp_path / "bisque" / f"{slide}_{kind}{number}_ccd.tif").touch()
    program = [
        sys.executable,
        root / "data_prep/make_manifest.py",
        "--dataset",
        "bisque",
        "--root",
        tmp_path / "bisque",
    ]
    options = ["--kfold", "5", "--fold", str(fold), "--out", tmp_path / "m.csv"]
    done = subprocess.run(list(map(str, [*program, *options])), check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    rows = read_manifest(tmp_path / "m.csv")
    assert len(rows) == 58
    for split in ("train", "val", "test"):
        assert {row.label for row in rows if row.split == split} == {0, 1}
    slides = {split: {row.slide for row in rows if row.split == split} for split in ("train", "val", "test")}
    assert 2 <= len(slides["val"]) <= 3  # a fifth of nine or so with benign cores, which hold malignant ones, too
