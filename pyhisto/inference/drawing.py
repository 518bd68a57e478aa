"""Pictures of predictions: colours of probabilities and evidence, overlays."""

import cv2
import numpy as np

from pyhisto.arrays import Floats
from pyhisto.preprocessing.encoding import encode
from pyhisto.preprocessing.images import Image

AGAINST, NEUTRAL, FOR = (33, 102, 172), (247, 247, 247), (178, 24, 43)
"""Ends and middle of the diverging scale, R, G, B: ColorBrewer's RdBu, which the colour-blind can read."""


def diverging(values: Floats) -> Image:
    """Values from -1 to 1 as colours (..., 3), B, G, R: AGAINST, NEUTRAL at 0, FOR. What lies outside is cut off."""
    values = np.clip(values, -1, 1)[..., np.newaxis]
    ends = np.where(values < 0, np.array(AGAINST, float), np.array(FOR, float))
    mixed = np.array(NEUTRAL, float) * (1 - np.abs(values)) + ends * np.abs(values)
    return np.asarray(np.rint(mixed[..., ::-1]), np.uint8)


def css_colour(probability: float) -> str:
    """The colour of a probability from 0 to 1, as CSS writes it."""
    blue, green, red = diverging(np.array(2 * probability - 1)).tolist()
    return f"rgb({red},{green},{blue})"


def overlay(image: Image, values: Floats, opacity: float = 0.6) -> Image:
    """A map of values from -1 to 1 over an image's grey levels: one flat square a position, as exact as the map is."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    colours = cv2.resize(diverging(values), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.addWeighted(colours, opacity, grey, 1 - opacity, 0), np.uint8)


def thumbnail(image: Image, longest: int) -> Image:
    """An image whose longer side is `longest`, smaller or larger than it was."""
    scale = longest / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8)


def jpeg(image: Image) -> bytes:
    """An image as a JPEG file."""
    return encode(image, "jpeg444")


def png(image: Image) -> bytes:
    """An image as a PNG file."""
    return encode(image, "png")
