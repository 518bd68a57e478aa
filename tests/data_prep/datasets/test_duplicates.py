"""Duplicates: copies are found however they were disguised, neighbours are not taken for copies."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.datasets.duplicates import describe, find_duplicates
from pyhisto.manifest import Row
from pyhisto.preprocessing.images import Image


def picture(seed: int) -> Image:
    noise = np.random.default_rng(seed).normal(128, 400, (92, 140, 3))
    return np.asarray(np.clip(cv2.GaussianBlur(noise, (0, 0), 6), 0, 255), np.uint8)


def save(folder: Path, name: str, image: Image) -> Row:
    cv2.imwrite(str(folder / name), image)
    return Row(name, 0, patient=name.partition("-")[0], split="train")


@pytest.mark.parametrize("disguise", ["turned", "mirrored", "brighter", "smaller", "compressed"])
def test_near_copies(tmp_path: Path, disguise: str) -> None:
    image = picture(0)
    copy = {
        "turned": np.ascontiguousarray(np.rot90(image)),
        "mirrored": np.ascontiguousarray(image[:, ::-1]),
        "brighter": np.clip(0.8 * image + 30, 0, 255).astype(np.uint8),
        "smaller": cv2.resize(image, (70, 46), interpolation=cv2.INTER_AREA),
        "compressed": cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_COLOR),
    }[disguise]
    rows = [
        save(tmp_path, "a-1.png", image),
        save(tmp_path, "b-1.png", picture(1)),
        save(tmp_path, "c-1.png", np.asarray(copy, np.uint8)),
    ]
    (pair,) = find_duplicates(rows, tmp_path, 1)
    assert (pair.first.path, pair.second.path, pair.exact, pair.crosses) == ("a-1.png", "c-1.png", False, "patients")


def test_exact_copies_in_another_format_and_of_one_colour(tmp_path: Path) -> None:
    white = np.full((20, 30, 3), 255, np.uint8)
    rows = [
        save(tmp_path, "a-1.png", picture(0)),
        save(tmp_path, "a-2.tif", picture(0)),
        save(tmp_path, "b-1.png", white),
        save(tmp_path, "c-1.bmp", white),
    ]
    pairs = find_duplicates(rows, tmp_path, 1)
    assert [(pair.first.path, pair.second.path, pair.exact) for pair in pairs] == [
        ("a-1.png", "a-2.tif", True),
        ("b-1.png", "c-1.bmp", True),
    ]
    assert describe(pairs) == [
        "exact duplicate across patients (1.000): b-1.png and c-1.bmp",
        "1 duplicate pairs within one patient",
    ]


def test_real_images_have_none(shared_data: Path) -> None:
    paths = sorted((shared_data / "BreaKHis_v1").rglob("*-100-00*.png"))[:40]
    rows = [Row(str(path.relative_to(shared_data)), 0, path.name) for path in paths]
    assert find_duplicates(rows, shared_data, 1) == []


def test_check_program(root: Path, tree: Path) -> None:
    command = [sys.executable, str(root / "data_prep/check_data.py"), "--dataset", "breakhis", "--workers", "1"]
    command += ["--root", str(tree / "BreaKHis_v1")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "no duplicates")
    assert "100X class 1: 6 of 1437 images, 3 patients or slides" in done.stdout
    source, target = next(tree.rglob("SOB_B_A-14-1-100-001.png")), next(tree.rglob("SOB_M_DC-15-4-100-001.png"))
    target.write_bytes(source.read_bytes())
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "exact duplicate across classes" in done.stdout
