"""CLBP: Guo, Zhang & Zhang, A completed modeling of local binary pattern operator, IEEE TIP 19 (6), 2010."""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats, Gray

POINTS, RADIUS = 24, 5.0
"""The largest of Guo et al.'s three scales; the only one whose joint histogram has [9]'s 1352 = 26 x 26 x 2 bins."""

LEVEL = 1e-3
"""Gray levels. A difference below it is a tie: interpolation is exact in flat regions, but for rounding."""

Codes = NDArray[np.uint8]


def clbp(gray: Gray, points: int = POINTS, radius: float = RADIUS) -> Floats:
    """The joint histogram CLBP_S/M/C (Guo et al., section III) of the pixels whose circle lies inside the image.

    Args:
        gray: H x W.
        points: P, neighbours on the circle.
        radius: R, in pixels.

    Returns:
        Shape (2 * (P + 2)^2,), sum 1; bin (c * (P + 2) + m) * (P + 2) + s counts pixels of centre c, magnitude code m
        and sign code s.
    """
    sign, magnitude, centre = clbp_codes(gray, points, radius)
    bins = points + 2
    joint = (centre.astype(np.intp) * bins + magnitude) * bins + sign
    return (np.bincount(joint.ravel(), minlength=2 * bins * bins) / joint.size).astype(np.float32)


def clbp_codes(gray: Gray, points: int, radius: float) -> tuple[Codes, Codes, Codes]:
    """CLBP_S, CLBP_M (rotation-invariant uniform, 0 .. P + 1; eq. 4, 6) and CLBP_C (0 or 1; eq. 7) of inner pixels.

    Each has shape (H - 2 ceil(R), W - 2 ceil(R)). Magnitudes are compared with their mean over the image, centres with
    the image's mean.
    """
    difference = _differences(gray, points, radius)
    magnitude = np.abs(difference)
    margin = math.ceil(radius)
    centre = gray[margin:-margin, margin:-margin]
    return (
        _uniform(difference >= -LEVEL),
        _uniform(magnitude >= magnitude.mean(dtype=np.float64) - LEVEL),
        (centre >= gray.mean()).astype(np.uint8),
    )


def _differences(gray: Gray, points: int, radius: float) -> Floats:
    """Bilinear neighbour minus centre, for P neighbours counter-clockwise from the right; shape (P, h, w)."""
    margin = math.ceil(radius)
    height, width = gray.shape[0] - 2 * margin, gray.shape[1] - 2 * margin
    pixels = gray.astype(np.float32)
    centre = pixels[margin:-margin, margin:-margin]
    result = np.empty((points, height, width), np.float32)
    for point in range(points):
        angle = 2 * math.pi * point / points
        # Five decimals: 5 * cos(90 degrees) is then 0 and not 3e-16, and no neighbour lies outside the margin.
        down, right = round(-radius * math.sin(angle), 5), round(radius * math.cos(angle), 5)
        top, left = math.floor(down), math.floor(right)
        total = result[point]
        total[:] = 0
        for row, row_weight in ((top, top + 1 - down), (top + 1, down - top)):
            for column, column_weight in ((left, left + 1 - right), (left + 1, right - left)):
                if weight := row_weight * column_weight:
                    y, x = margin + row, margin + column
                    total += np.float32(weight) * (pixels[y : y + height, x : x + width] - centre)
    return result


def _uniform(bits: NDArray[np.bool_]) -> Codes:
    """Rotation-invariant uniform codes of circular patterns, (P, h, w) -> (h, w).

    The number of ones where the pattern changes at most twice around the circle, else P + 1.
    """
    ones = bits.sum(axis=0, dtype=np.uint8)
    changes = (bits[0] != bits[-1]).astype(np.uint8)
    for before, after in pairwise(bits):
        changes += before != after
    return np.where(changes <= 2, ones, np.uint8(len(bits) + 1))
