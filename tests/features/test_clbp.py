"""CLBP: values worked by hand, a slow formulation, scikit-image's LBP, and the laws of the operator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from skimage.feature import local_binary_pattern

from pyhisto.features.clbp import clbp, clbp_codes

Gray = NDArray[np.uint8]


def noise(seed: int, side: int = 60) -> Gray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def test_by_hand() -> None:
    gray = np.array([[100, 30, 100], [10, 20, 25], [100, 5, 100]], np.uint8)
    sign, magnitude, centre = clbp_codes(gray, points=4, radius=1)
    # Right, up, left, down: differences 5, 10, -10, -15. Signs 1 1 0 0: two changes around the circle, two ones.
    assert sign.tolist() == [[2]]
    # Magnitudes 5, 10, 10, 15; their mean is 10. 0 1 1 1: two changes, three ones.
    assert magnitude.tolist() == [[3]]
    # 20 is below the image's mean, 470 / 9.
    assert centre.tolist() == [[0]]
    # Bin (0 * 6 + 3) * 6 + 2.
    assert np.flatnonzero(clbp(gray, 4, 1)).tolist() == [20]


def test_more_than_two_changes_have_one_code() -> None:
    gray = np.array([[0, 10, 0], [30, 20, 30], [0, 10, 0]], np.uint8)
    # Signs right, up, left, down: 1 0 1 0, four changes: P + 1. All magnitudes are their mean, 10: 1 1 1 1: four ones.
    sign, magnitude, _ = clbp_codes(gray, points=4, radius=1)
    assert (sign.tolist(), magnitude.tolist()) == ([[5]], [[4]])


@pytest.mark.parametrize("level", [0, 7, 255])
def test_flat_image_is_all_ties(level: int) -> None:
    """Interpolation with weights that do not sum to 1 in floating point must not break them."""
    histogram = clbp(np.full((30, 40), level, np.uint8))
    assert np.flatnonzero(histogram).tolist() == [(1 * 26 + 24) * 26 + 24]


def slow_codes(gray: Gray, points: int, radius: float) -> tuple[NDArray[np.int64], ...]:
    """Guo et al.'s eq. 1, 4, 6, 7, a pixel and a neighbour at a time, on scipy's interpolation."""
    pixels, margin = gray.astype(np.float64), int(np.ceil(radius))
    places = [
        (y, x) for y in range(margin, gray.shape[0] - margin) for x in range(margin, gray.shape[1] - margin)
    ]  # fmt: skip
    angles = [2 * np.pi * p / points for p in range(points)]
    differences = {
        (y, x): [
            map_coordinates(pixels, [[y - radius * np.sin(a)], [x + radius * np.cos(a)]], order=1)[0] - pixels[y, x]
            for a in angles
        ]
        for y, x in places
    }
    threshold = np.mean([abs(d) for ds in differences.values() for d in ds])

    def code(bits: list[bool]) -> int:
        changes = sum(bits[i] != bits[i - 1] for i in range(points))
        return sum(bits) if changes <= 2 else points + 1

    shape = (gray.shape[0] - 2 * margin, -1)
    sign = [code([d >= 0 for d in differences[place]]) for place in places]
    magnitude = [code([abs(d) >= threshold for d in differences[place]]) for place in places]
    centre = [int(pixels[place] >= pixels.mean()) for place in places]
    return tuple(np.array(codes).reshape(shape) for codes in (sign, magnitude, centre))


@pytest.mark.parametrize(("points", "radius"), [(8, 1.0), (16, 3.0), (24, 5.0), (8, 1.5)])
def test_slow_formulation(points: int, radius: float) -> None:
    gray = noise(1, 18)
    for ours, slow in zip(clbp_codes(gray, points, radius), slow_codes(gray, points, radius), strict=True):
        assert np.array_equal(ours, slow)


@pytest.mark.parametrize(("points", "radius"), [(8, 1), (16, 3), (24, 5)])
def test_sign_is_scikit_image_s_uniform_lbp(points: int, radius: int) -> None:
    gray = noise(2)
    sign, _, _ = clbp_codes(gray, points, radius)
    theirs = local_binary_pattern(gray, points, radius, "uniform")[radius:-radius, radius:-radius]
    assert np.array_equal(sign, theirs)


@given(arrays(np.uint8, (14, 15)), st.integers(1, 3))
def test_quarter_turns_change_nothing(gray: Gray, turns: int) -> None:
    histogram = clbp(gray)
    assert histogram.shape == (1352,)
    assert histogram.sum() == pytest.approx(1)
    assert np.array_equal(clbp(np.rot90(gray, turns)), histogram)


@given(arrays(np.uint8, (14, 15), elements=st.integers(0, 120)), st.integers(0, 15))
def test_brightness_and_contrast_change_nothing(gray: Gray, offset: int) -> None:
    assert np.array_equal(clbp(2 * gray + np.uint8(offset)), clbp(gray))
