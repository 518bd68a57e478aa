"""BISQUE: classes and slides from the names, tiny pictures in the data set's real layout."""

from pathlib import Path

import numpy as np
import pytest

from data_prep import bisque
from pyhisto.errors import InputError
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
