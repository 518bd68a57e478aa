"""The table of descriptors: lengths as reported, numbers as the libraries have them, on all kinds of images."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.feature import graycomatrix, graycoprops

from pyhisto.errors import InputError
from pyhisto.features.clbp import clbp_codes
from pyhisto.features.descriptors import DESCRIPTORS, MIN_SIDE, SPANHOL_2015, glcm, lab, lbp, orb
from pyhisto.features.extract import extract_image
from pyhisto.preprocessing.images import Image, read_image
from pyhisto.preprocessing.reinhard import measure, target


def noise(seed: int, side: int = 80) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def pictures() -> dict[str, Image]:
    return {
        "noise": noise(1),
        "smallest": noise(2, MIN_SIDE),
        "smooth": np.asarray(cv2.GaussianBlur(noise(3), (0, 0), 2), np.uint8),
        "black": np.zeros((40, 50, 3), np.uint8),
        "white": np.full((40, 50, 3), 255, np.uint8),
    }


def test_lengths_as_reported() -> None:
    lengths = {name: DESCRIPTORS[name].dimension for name in SPANHOL_2015}
    assert lengths == {"LBP": 10, "CLBP": 1352, "GLCM": 13, "LPQ": 256, "ORB": 32, "PFTAS": 162}


@pytest.mark.parametrize("name", DESCRIPTORS)
@pytest.mark.parametrize("picture", pictures())
def test_shape_and_finite_and_the_same_again(name: str, picture: str) -> None:
    descriptor, image = DESCRIPTORS[name], pictures()[picture]
    numbers = descriptor.describe(image)
    assert numbers.shape == (descriptor.dimension,) and numbers.dtype == np.float32
    assert np.isfinite(numbers).all()
    assert np.array_equal(descriptor.describe(image), numbers)


def gray_of(image: Image) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def test_lbp_is_clbp_s_sign_at_its_scale() -> None:
    gray = noise(4)[..., 0]
    sign, _, _ = clbp_codes(gray, 8, 1)
    assert lbp(gray) == pytest.approx(np.bincount(sign.ravel(), minlength=10) / sign.size)


def test_lbp_by_hand() -> None:
    gray = np.zeros((3, 3), np.uint8)
    gray[1, 1] = 9
    assert lbp(gray).tolist() == [1] + [0] * 9  # all eight neighbours are darker: no one


@pytest.mark.parametrize("picture", ["noise", "smooth"])
def test_glcm_is_scikit_image_s_where_it_has_the_feature(picture: str) -> None:
    gray = gray_of(pictures()[picture])
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    matrix = graycomatrix(gray, [1], angles, symmetric=True, normed=True)
    theirs = {
        place: graycoprops(matrix, name).mean()
        for place, name in ((0, "ASM"), (1, "contrast"), (2, "correlation"), (4, "homogeneity"))
    }
    numbers = glcm(gray)
    assert {place: numbers[place] for place in theirs} == pytest.approx(theirs, rel=1e-5)


def test_orb_is_the_mean_descriptor_of_opencv() -> None:
    gray = gray_of(pictures()["noise"])
    keypoints, found = cv2.ORB_create().detectAndCompute(gray, None)  # type: ignore[attr-defined]
    assert len(keypoints) > 1
    assert orb(gray) == pytest.approx(found.astype(float).sum(axis=0) / len(keypoints))
    assert not orb(gray_of(pictures()["white"])).any()  # no keypoint


def test_lab_by_hand_and_equal_in_all_images_after_reinhard() -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, 32:] = 255
    assert lab(image).tolist() == [127.5, 128, 128, 127.5, 0, 0]  # half L 0, half 255; a and b are 128 for gray
    smooth = pictures()["smooth"]
    normalise = target([measure(smooth, "reinhard")], "reinhard", "smooth")
    other = np.asarray(smooth // 2 + np.array([60, 20, 90], np.uint8), np.uint8)
    assert np.abs(lab(other) - lab(smooth)).max() > 20
    assert lab(normalise(other)) == pytest.approx(lab(smooth), abs=1)


def test_file_to_numbers(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), noise(5))
    numbers = extract_image(tmp_path / "a.png", ["GLCM", "ORB"])
    assert {name: len(values) for name, values in numbers.items()} == {"GLCM": 13, "ORB": 32}
    cv2.imwrite(str(tmp_path / "b.png"), noise(5)[:MIN_SIDE, : MIN_SIDE - 1])
    with pytest.raises(InputError, match=r"b\.png: 31 x 32 pixels, too small"):
        extract_image(tmp_path / "b.png", ["GLCM"])


def test_real_images(shared_data: Path) -> None:
    """LBP at both scales is scikit-image's, but for ties, which its interpolation breaks by rounding."""
    paths = sorted((shared_data / "BreaKHis_v1").rglob("*-100-00[12].png"))[:3]
    assert paths
    for path in paths:
        gray = gray_of(read_image(path))
        sign, _, _ = clbp_codes(gray, 8, 1)
        ties = np.abs(lbp(gray) - np.bincount(sign.ravel(), minlength=10) / sign.size).sum()
        assert ties < 0.02
        for name, numbers in extract_image(path, [*DESCRIPTORS]).items():
            assert np.isfinite(numbers).all(), name
