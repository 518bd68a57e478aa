"""The six descriptors of Spanhol et al. (ref. [9]), each with the length that is reported for it, and a control's.

LBP, CLBP, GLCM, LPQ and ORB look at gray levels, PFTAS at the three colour channels (its 162 numbers are
3 x 54). What the publication leaves open is chosen here: neighbours on a circle of radius 1 for LBP; CLBP's scale by
its length; 256 gray levels at distance 1 for GLCM, the mean of four directions; LPQ's window of 7. ORB's 32 numbers are
one descriptor's bytes, while an image has hundreds of keypoints: the mean over them. All this is a reading; the
publication was not at hand.

The control, Lab, is what Reinhard's normalisation makes equal in all images: what it predicts, colour alone predicts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import mahotas.features
import numpy as np
from numpy.typing import NDArray
from skimage import feature

from pyhisto.arrays import Floats, Gray
from pyhisto.features.clbp import POINTS, clbp
from pyhisto.features.lpq import lpq
from pyhisto.features.pftas import pftas
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.reinhard import measure

scikit_image_feature: Any = feature  # has no types

KEYPOINTS = 500
"""At most so many an image; OpenCV's own default."""

MIN_SIDE = 32
"""Pixels. ORB describes patches of 31; CLBP's circle takes 11."""


@dataclass(frozen=True)
class Descriptor:
    """One descriptor.

    Attributes:
        dimension: how many numbers describe an image.
        describe: H x W x 3 BGR, uint8, no side below MIN_SIDE -> shape (dimension,), float32, all finite.
    """

    dimension: int
    describe: Callable[[Image], Floats]


def lbp(gray: Gray) -> Floats:
    """The histogram of rotation-invariant uniform patterns, P = 8, R = 1 (Ojala et al. 2002): shape (10,), sum 1.

    Pixels at the border, which have no eight neighbours, do not count.
    """
    codes: NDArray[np.float64] = scikit_image_feature.local_binary_pattern(gray, 8, 1, "uniform")[1:-1, 1:-1]
    return (np.bincount(codes.astype(np.intp).ravel(), minlength=10) / codes.size).astype(np.float32)


def glcm(gray: Gray) -> Floats:
    """Haralick's first 13 features of the co-occurrence matrix, the mean of four directions: shape (13,)."""
    features: NDArray[Any] = mahotas.features.haralick(gray, return_mean=True)
    return features.astype(np.float32)


def orb(gray: Gray) -> Floats:
    """The mean of the keypoints' descriptors, byte by byte, 0 .. 255: shape (32,); zeros where there is no keypoint."""
    _, found = cv2.ORB_create(KEYPOINTS).detectAndCompute(gray, None)  # type: ignore[attr-defined]
    return np.zeros(32, np.float32) if found is None else found.mean(axis=0, dtype=np.float64).astype(np.float32)


def lab(image: Image) -> Floats:
    """Mean, then deviation of OpenCV's 8-bit L, a and b: shape (6,). What Reinhard's normalisation makes equal."""
    return measure(image, "reinhard").astype(np.float32).ravel()


def _of_gray(describe: Callable[[Gray], Floats]) -> Callable[[Image], Floats]:
    return lambda image: describe(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8))


DESCRIPTORS: Mapping[str, Descriptor] = MappingProxyType(
    {
        "LBP": Descriptor(10, _of_gray(lbp)),
        "CLBP": Descriptor(2 * (POINTS + 2) ** 2, _of_gray(clbp)),
        "GLCM": Descriptor(13, _of_gray(glcm)),
        "LPQ": Descriptor(256, _of_gray(lpq)),
        "ORB": Descriptor(32, _of_gray(orb)),
        "PFTAS": Descriptor(162, pftas),
        "Lab": Descriptor(6, lab),
    }
)
"""Name -> descriptor."""

SPANHOL_2015 = ("LBP", "CLBP", "GLCM", "LPQ", "ORB", "PFTAS")
"""Those of the publication."""
