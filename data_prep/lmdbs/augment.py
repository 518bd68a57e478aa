"""Training augmentation: that of Zhu et al. 2019 and that of Kone & Boulmane 2018.

zhu2019 (section Data augmentation): rotation by any angle, flips, shear, zoom per direction. kone2018 (section 3.2):
rotation by any angle, reflection, cropping at random: the central square of the image that is made lies anywhere along
the longer side of the original.
"""

import hashlib
import math
from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto.preprocessing.images import Image

AugmentationKind: TypeAlias = Literal["zhu2019", "kone2018"]
KINDS: tuple[AugmentationKind, ...] = get_args(AugmentationKind)

COPIES = 8
"""Images made of one training image."""
MAX_SHEAR = 0.15
"""Largest shift per pixel of the other direction."""
ZOOM = (0.85, 1.2)
"""Smallest and largest enlargement in each direction: `zooms in or zooms out images in different directions`."""

REACH = 1 / (ZOOM[0] * (1 - MAX_SHEAR))
"""How far from the centre an output pixel can look, in lengths of its own way from the centre: the norms of the inverse
zoom and the inverse shear, multiplied."""


def augmentations(
    image: Image, seed: int, name: str, copies: int, kind: AugmentationKind = "zhu2019"
) -> Iterator[Image]:
    """`copies` augmented forms of an image, each of its shape; the i-th is a function of (image, seed, name, i) alone.

    One affine map each, about the image's centre or, of kone2018, about that of the crop; what comes from outside the
    image is its mirror image, never black.
    """
    height, width = image.shape[:2]
    reach = REACH * math.hypot(width, height) / 2 + 2 + (abs(width - height) / 2 if kind == "kone2018" else 0)
    right, down = math.ceil(reach - width / 2), math.ceil(reach - height / 2)
    # Mirrored once for all copies: the map then never meets a border, which makes it three times as fast.
    mirrored = cv2.copyMakeBorder(image, down, down, right, right, cv2.BORDER_REFLECT_101)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    for index in range(copies):
        linear = random_map(seed, name, index, kind)
        middle = centre + random_crop(seed, name, index, width, height) if kind == "kone2018" else centre
        shift = centre - linear @ (middle + (right, down))
        affine = np.hstack([linear, shift[:, np.newaxis]])
        yield np.asarray(cv2.warpAffine(mirrored, affine, (width, height), flags=cv2.INTER_LINEAR), np.uint8)


def random_map(seed: int, name: str, index: int, kind: AugmentationKind = "zhu2019") -> NDArray[np.float64]:
    """The 2 x 2 matrix of one augmentation, from image to augmented image."""
    rng = _generator(seed, name, index)
    angle = rng.uniform(0, 2 * math.pi)
    cos, sin = math.cos(angle), math.sin(angle)
    rotate = np.array([[cos, -sin], [sin, cos]])
    flip = np.diag(rng.choice([-1.0, 1.0], 2))
    if kind == "kone2018":
        return np.asarray(rotate @ flip)
    shear = np.array([[1.0, rng.uniform(-MAX_SHEAR, MAX_SHEAR)], [rng.uniform(-MAX_SHEAR, MAX_SHEAR), 1.0]])
    zoom = np.diag(np.exp(rng.uniform(math.log(ZOOM[0]), math.log(ZOOM[1]), 2)))
    return np.asarray(rotate @ flip @ shear @ zoom)


def random_crop(seed: int, name: str, index: int, width: int, height: int) -> NDArray[np.float64]:
    """How far the middle of one augmentation's crop lies from the image's (x, y): along the longer side alone."""
    part = _generator(seed, f"crop {name}", index).uniform(-1, 1)
    return np.array([max(0, width - height), max(0, height - width)]) / 2 * part


def _generator(seed: int, name: str, index: int) -> np.random.Generator:
    digest = hashlib.sha256(repr((seed, name, index)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))
