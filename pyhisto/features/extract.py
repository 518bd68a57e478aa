"""From an image file to its features."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pyhisto.errors import InputError
from pyhisto.features.descriptors import DESCRIPTORS, MIN_SIDE
from pyhisto.preprocessing.images import read_image


def extract_image(path: Path, names: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
    """The numbers of the named descriptors of one image file, each of shape (dimension,).

    Raises InputError where the file cannot be read or the image is too small to be described.
    """
    image = read_image(path)
    if min(image.shape[:2]) < MIN_SIDE:
        raise InputError(
            f"{path}: {image.shape[1]} x {image.shape[0]} pixels, too small; give {MIN_SIDE} or more a side"
        )
    with threadpool_limits(1):  # one process a core: the threads of numpy's BLAS would wait for one another
        return {name: DESCRIPTORS[name].describe(image) for name in names}
