"""Training augmentation (paper, section Data augmentation): rotation by any angle, flips, shear, zoom per direction."""

import hashlib
import math

import cv2
import numpy as np

from pyhisto.preprocessing.images import Image

COPIES = 8
"""Images made of one training image."""
MAX_SHEAR = 0.15
"""Largest shift per pixel of the other direction."""
ZOOM = (0.85, 1.2)
"""Smallest and largest enlargement in each direction: `zooms in or zooms out images in different directions`."""


def augmented(image: Image, seed: int, name: str, index: int) -> Image:
    """The `index`-th augmented form of an image, same shape: a function of (image, seed, name, index) alone.

    One affine map about the centre; what comes from outside the image is its mirror image, never black.
    """
    height, width = image.shape[:2]
    digest = hashlib.sha256(repr((seed, name, index)).encode()).digest()
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))
    angle = rng.uniform(0, 2 * math.pi)
    cos, sin = math.cos(angle), math.sin(angle)
    rotate = np.array([[cos, -sin], [sin, cos]])
    flip = np.diag(rng.choice([-1.0, 1.0], 2))
    shear = np.array([[1.0, rng.uniform(-MAX_SHEAR, MAX_SHEAR)], [rng.uniform(-MAX_SHEAR, MAX_SHEAR), 1.0]])
    zoom = np.diag(np.exp(rng.uniform(math.log(ZOOM[0]), math.log(ZOOM[1]), 2)))
    linear = rotate @ flip @ shear @ zoom
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    affine = np.hstack([linear, (centre - linear @ centre)[:, np.newaxis]])
    turned = cv2.warpAffine(image, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(turned, np.uint8)
