"""A tiny BreaKHis tree: real names and folders, pictures of 70x46."""

from pathlib import Path

import cv2
import numpy as np
import pytest

PATIENTS = {
    "benign": [("A", "adenosis", "14-1"), ("F", "fibroadenoma", "14-2"), ("PT", "phyllodes_tumor", "14-3")],
    "malignant": [
        ("DC", "ductal_carcinoma", "15-4"),
        ("LC", "lobular_carcinoma", "15-5"),
        ("MC", "mucinous_carcinoma", "15-6"),
    ],
}
TEST_PATIENTS = ("14-3", "15-6")


def write_tree(folder: Path, images: int = 2) -> Path:
    """Write BreaKHis_v1 and breakhis_folds with one fold: each patient has `images` images at 100X, one at 40X."""
    lines = []
    rng = np.random.default_rng(0)
    for kind, patients in PATIENTS.items():
        for subtype, name, patient in patients:
            letter = kind[0].upper()
            for magnification, count in ((100, images), (40, 1)):
                place = folder / "BreaKHis_v1/histology_slides/breast" / kind / "SOB" / name
                place = place / f"SOB_{letter}_{subtype}_{patient}" / f"{magnification}X"
                place.mkdir(parents=True)
                for number in range(1, count + 1):
                    file = place / f"SOB_{letter}_{subtype}-{patient}-{magnification}-{number:03d}.png"
                    cv2.imwrite(str(file), cv2.GaussianBlur(rng.integers(0, 256, (46, 70, 3), np.uint8), (5, 5), 1))
                    lines.append(f"{file.name}|{magnification}|1|{'test' if patient in TEST_PATIENTS else 'train'}")
    (folder / "breakhis_folds").mkdir()
    (folder / "breakhis_folds/dsfold1.txt").write_text("\r\n".join(lines) + "\r\n")  # the official files have CRLF
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with BreaKHis_v1 and breakhis_folds."""
    return write_tree(tmp_path / "data")
