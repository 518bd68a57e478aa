"""LPQ: Ojansivu & Heikkila, Blur insensitive texture classification using local phase quantization, ICISP 2008."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats, Gray

WINDOW = 7
"""M, the side of the window; the lowest frequency is a = 1 / M."""
CORRELATION = 0.9
"""rho, the correlation of neighbouring pixels that the decorrelation assumes."""

LEVEL = 1e-6
"""A response of no more than this, times the image's range of gray levels, is zero but for rounding, as everywhere in
flat regions; and zero counts as >= 0."""

STRETCH = 1 + 1e-6
"""Makes vertical distances a trace longer. Exactly isotropic correlation gives pairs of equal eigenvalues, and any
rotation between their vectors would be right: another one on every machine."""


def lpq(gray: Gray) -> NDArray[np.float32]:
    """The histogram of the decorrelated phase codes: H x W -> shape (256,), sum 1.

    Bit j of a pixel's code says whether its response to filter j is 0 or more (eq. 11); only pixels whose window lies
    inside the image count.
    """
    margin = WINDOW // 2
    pixels = gray.astype(np.float64)
    zero = LEVEL * max(1.0, float(np.ptp(pixels)))
    codes = np.zeros(gray.shape, np.uint8)
    for bit, kernel in enumerate(filters()):
        codes |= np.where(cv2.filter2D(pixels, -1, kernel) >= -zero, np.uint8(1 << bit), np.uint8(0))
    inner = codes[margin:-margin, margin:-margin]
    return (np.bincount(inner.ravel(), minlength=256) / inner.size).astype(np.float32)


@cache
def filters() -> Floats:
    """The eight decorrelated filters V^T W (eq. 5-9), to be correlated with the image; shape (8, M, M)."""
    basis = fourier_basis()
    covariance = basis @ pixel_correlation() @ basis.T
    values, vectors = np.linalg.eigh(covariance)
    vectors = vectors[:, np.argsort(-values)]
    # A vector's sign is free too: its first component that is not zero is to be positive.
    first = np.argmax(np.abs(vectors) > 1e-3, axis=0)
    vectors *= np.sign(vectors[first, np.arange(8)])
    return np.ascontiguousarray((vectors.T @ basis).reshape(8, WINDOW, WINDOW))


def fourier_basis() -> Floats:
    """W of eq. 4: real, then imaginary parts of the short-term Fourier transform at four frequencies; shape (8, M * M).

    The frequencies (horizontal, vertical) are (a, 0), (0, a), (a, a) and (a, -a). Rows are to be correlated with the
    image, which turns eq. 1's exp(-2 pi i u y) of f(x - y) into exp(2 pi i u y).
    """
    offset = np.arange(WINDOW) - WINDOW // 2
    down, right = np.meshgrid(offset, offset, indexing="ij")
    angles = 2 * np.pi / WINDOW * np.stack([right, down, right + down, right - down]).reshape(4, -1)
    return np.concatenate([np.cos(angles), np.sin(angles)])


def pixel_correlation() -> Floats:
    """C of eq. 6: rho to the power of the distance of two pixels of the window; shape (M * M, M * M)."""
    place = np.arange(WINDOW)
    down, right = (axis.ravel() for axis in np.meshgrid(place, place, indexing="ij"))
    distance = np.hypot((down[:, None] - down) * STRETCH, right[:, None] - right)
    return np.asarray(CORRELATION**distance)
