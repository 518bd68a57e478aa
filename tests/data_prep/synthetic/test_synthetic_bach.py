"""Synthetic photos of four pathologies: BACH's and BISQUE's names, the same bytes again, classes that differ."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep.datasets import bach, bisque
from data_prep.synthetic.bach import SIZE, draw, make_photos
from pyhisto.hierarchy.tree import LEAVES
from pyhisto.manifest import read_manifest


def test_the_readers_of_the_real_sets_read_it(root: Path, tmp_path: Path) -> None:
    program = [sys.executable, str(root / "data_prep" / "make_synthetic_bach.py"), "--workers", "1"]
    for name in ("a", "b"):
        settings = ["--patients", "2", "--images", "1", "--extension", "2", "--out", str(tmp_path / name)]
        subprocess.run([*program, *settings], check=True, capture_output=True)
    photos = bach.load(tmp_path / "a" / "Photos").rows
    assert [row.subtype for row in photos] == [kind for kind in sorted(LEAVES) for _ in range(2)]
    assert [row.label for row in bisque.load(tmp_path / "a" / "bisque").rows] == [0, 0, 1, 1]
    rows = read_manifest(tmp_path / "a" / "manifest.csv")
    assert len({row.patient for row in rows}) == 8
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.tif"))
    assert len(files) == 12
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_an_image_is_a_function_of_its_name_and_the_seed() -> None:
    photos = list(make_photos(1, 2, 0, 0.3, seed=1))
    first = draw(photos[0], seed=1)
    assert first.shape == (SIZE[1], SIZE[0], 3)
    assert np.array_equal(first, draw(photos[0], seed=1))
    assert not np.array_equal(first, draw(photos[1], seed=1))
    assert not np.array_equal(first, draw(photos[0], seed=2))


@pytest.mark.slow
def test_nuclei_take_more_room_from_normal_to_invasive() -> None:
    shares = dict.fromkeys(LEAVES, 0.0)
    for photo in make_photos(4, 1, 0, 0.0, seed=0):
        image = draw(photo, seed=0)
        shares[photo.pathology] += float((image[..., 2] < 120).mean()) / 4  # nuclei are blue: dark in red
    assert shares["Normal"] < shares["Benign"] < shares["Invasive"]
    assert shares["Normal"] < shares["InSitu"] < shares["Invasive"]
