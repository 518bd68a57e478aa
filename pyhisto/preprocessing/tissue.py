"""Where a picture shows tissue: stained, it has colour, and glass has none."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto.preprocessing.images import Image

Mask = NDArray[np.uint8]
"""0 and 1."""

MIN_SATURATION = 20
"""Of 255; glass has less, whatever Otsu's method says about a slide that is all glass."""


def tissue_mask(picture: Image) -> Mask:
    """Where an overview of a slide shows tissue (1): saturated colours, by Otsu's threshold, smoothed."""
    saturation = _saturation(picture, 7)
    threshold, _ = cv2.threshold(saturation, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return (saturation > max(threshold, MIN_SATURATION)).astype(np.uint8)


def coloured_pixels(image: Image) -> Mask:
    """Where an image has more colour than glass (1). It may be tissue all over, which Otsu's method would divide."""
    return (_saturation(image, 5) > MIN_SATURATION).astype(np.uint8)


def coarser(mask: Mask, factor: float) -> Mask:
    """A mask of 0 and 1 with `factor` of its pixels per pixel: 1 where at least half of them are."""
    height, width = (max(1, round(side / factor)) for side in mask.shape)
    return (cv2.resize(mask * np.uint8(255), (width, height), interpolation=cv2.INTER_AREA) >= 128).astype(np.uint8)


def _saturation(picture: Image, blur: int) -> Mask:
    saturation = cv2.extractChannel(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV), 1)
    return np.asarray(cv2.medianBlur(saturation, blur), np.uint8)
