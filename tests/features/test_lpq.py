"""LPQ: the definition written out slowly, the decorrelation, and what the descriptor promises."""

import cmath

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pyhisto.features import lpq as module
from pyhisto.features.lpq import filters, fourier_basis, lpq, pixel_correlation

Gray = NDArray[np.uint8]
SIDE = module.WINDOW
HALF = SIDE // 2


def noise(seed: int, height: int = 15, width: int = 17) -> Gray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def short_term_fourier(gray: Gray, y: int, x: int) -> NDArray[np.float64]:
    """Eq. 1 at the four frequencies of eq. 3, real parts then imaginary ones; a term at a time."""
    a = 1 / SIDE
    responses = []
    for u, v in ((a, 0), (0, a), (a, a), (a, -a)):  # horizontal, vertical
        total = 0j
        for dy in range(-HALF, HALF + 1):
            for dx in range(-HALF, HALF + 1):
                total += float(gray[y - dy, x - dx]) * cmath.exp(-2j * cmath.pi * (u * dx + v * dy))
        responses.append(total)
    return np.array([r.real for r in responses] + [r.imag for r in responses])


def test_basis_is_the_transform() -> None:
    gray = noise(1)
    window = gray[5 - HALF : 5 + HALF + 1, 6 - HALF : 6 + HALF + 1].ravel()
    assert fourier_basis() @ window == pytest.approx(short_term_fourier(gray, 5, 6), abs=1e-9)


def test_slow_formulation() -> None:
    gray = noise(2)
    turn = filters().reshape(8, -1) @ np.linalg.pinv(fourier_basis())  # V transposed
    assert turn @ turn.T == pytest.approx(np.eye(8), abs=1e-9)
    expected = np.zeros(256)
    for y in range(HALF, gray.shape[0] - HALF):
        for x in range(HALF, gray.shape[1] - HALF):
            decorrelated = turn @ short_term_fourier(gray, y, x)
            expected[sum(1 << bit for bit in range(8) if decorrelated[bit] >= 0)] += 1
    assert lpq(gray) == pytest.approx(expected / expected.sum(), abs=1e-7)


def test_filters_decorrelate() -> None:
    """Eq. 7-9: under the model C the eight responses have no covariance, and the vectors are those of the SVD of D."""
    kernels = filters().reshape(8, -1)
    covariance = kernels @ pixel_correlation() @ kernels.T
    variances = np.diag(covariance)
    assert covariance - np.diag(variances) == pytest.approx(np.zeros((8, 8)), abs=1e-3)
    assert (np.diff(variances) < 0).all()
    place = np.array([(y, x) for y in range(SIDE) for x in range(SIDE)], float)
    isotropic = 0.9 ** np.linalg.norm(place[:, None] - place, axis=2)
    _, singular, _ = np.linalg.svd(fourier_basis() @ isotropic @ fourier_basis().T)
    assert variances == pytest.approx(singular, rel=1e-5)


def test_filters_do_not_hang_on_a_choice_of_the_linear_algebra_library() -> None:
    """Vertical and horizontal structure is told apart, though isotropy leaves any rotation of the two free."""
    for kernel in filters():
        for axis in (0, 1):
            mirrored = np.flip(kernel, axis)
            assert min(np.abs(kernel - mirrored).max(), np.abs(kernel + mirrored).max()) < 1e-6


@pytest.mark.parametrize("level", [0, 100, 255])
def test_flat_image_is_one_code(level: int) -> None:
    """Every response is 0, which counts as positive: all eight bits."""
    assert np.flatnonzero(lpq(np.full((20, 30), level, np.uint8))).tolist() == [255]


def two_dots() -> Gray:
    """One of its responses is zero but for the filters' stretch: -7e-7, and twice that in twice the contrast."""
    gray = np.zeros((11, 12), np.uint8)
    gray[1, 1], gray[2, 2] = 41, 12
    return gray


@example(two_dots(), 0)
@given(arrays(np.uint8, (11, 12), elements=st.integers(0, 120)), st.integers(0, 15))
def test_brightness_and_contrast_change_nothing(gray: Gray, offset: int) -> None:
    histogram = lpq(gray)
    assert histogram.shape == (256,)
    assert histogram.sum() == pytest.approx(1)
    assert np.array_equal(lpq(2 * gray + np.uint8(offset)), histogram)


def test_symmetric_blur_changes_little() -> None:
    """The paper's point: phase survives a centrally symmetric blur. Other noise of the kind is much further off."""
    smooth = [np.asarray(cv2.GaussianBlur(noise(seed, 200, 200), (0, 0), 2), np.uint8) for seed in (3, 4)]
    blurred = np.asarray(cv2.GaussianBlur(smooth[0], (0, 0), 1), np.uint8)

    def codes(gray: Gray) -> NDArray[np.bool_]:
        return np.stack([cv2.filter2D(gray.astype(np.float64), -1, kernel) >= 0 for kernel in filters()])

    same, other = ((codes(smooth[0]) == codes(image)).mean() for image in (blurred, smooth[1]))
    assert same > 0.9
    assert other == pytest.approx(0.5, abs=0.05)
