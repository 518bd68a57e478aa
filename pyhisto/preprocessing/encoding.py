"""How an LMDB's records hold their pixels, and what is left of them when they are read.

JPEG changes pixels by tens of levels, and with them some decisions of a trained network (docs/measurements.md). What a
prediction gives to a network therefore goes through the encoding that the network's training records had.
"""

from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
import simplejpeg

from pyhisto.preprocessing.images import Image

Encoding: TypeAlias = Literal["jpeg444", "jpeg", "png", "raw"]
"""jpeg444: quality 95, colour at full resolution. jpeg: what Caffe's convert_imageset writes, the same with colour at
half the resolution (4:2:0). png: exact. raw: exact, not compressed."""
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
DEFAULT: Encoding = "jpeg444"

QUALITY = 95
"""OpenCV's own."""
FILES: dict[Encoding, tuple[str, list[int]]] = {
    "jpeg444": (
        ".jpg",
        [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
    ),
    "jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY]),
    "png": (".png", []),
}
"""File name ending and parameters of OpenCV's imencode."""


def encode(image: Image, encoding: Encoding) -> bytes:
    """An image as a file of this encoding (not raw, which is no file)."""
    ending, parameters = FILES[encoding]
    done, data = cv2.imencode(ending, image, parameters)
    if not done:
        raise ValueError(f"an image of shape {image.shape} does not encode as {encoding}")
    return data.tobytes()


def decode(data: bytes) -> Image:
    """An encoded record's pixels, as Caffe's Data layer sees them."""
    if data.startswith(b"\xff\xd8"):
        # The same pixels as OpenCV's (both are libjpeg-turbo's), in half the time.
        return np.asarray(simplejpeg.decode_jpeg(data, "BGR"), np.uint8)
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def as_read(image: Image, encoding: Encoding) -> Image:
    """The image as it is when it has been a record of this encoding."""
    return decode(encode(image, encoding)) if encoding in ("jpeg444", "jpeg") else image
