"""The features file: numpy's npz, without pickle. `images` are the manifest's paths; then one array a descriptor."""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.features.descriptors import DESCRIPTORS
from pyhisto.files import reading, whole_file

IMAGES = "images"

DAMAGE = (ValueError, TypeError, AttributeError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise for a file of another kind or with a wrong byte, beside OSError."""


@dataclass(frozen=True)
class Features:
    """What was extracted from n images.

    Attributes:
        images: the images' paths, as the manifest has them.
        values: descriptor's name -> its numbers, shape (n, dimension), float32.
    """

    images: Sequence[str]
    values: Mapping[str, Floats]

    def rows(self, descriptor: str, images: Sequence[str]) -> Floats:
        """The numbers of some images, in their order. Raises InputError where one was not extracted."""
        place = {image: number for number, image in enumerate(self.images)}
        missing = [image for image in images if image not in place]
        if missing:
            raise InputError(
                f"{missing[0]}: no features of it ({len(missing)} such images); extract those of this manifest too"
            )
        return np.asarray(self.values[descriptor][[place[image] for image in images]])


def write_features(path: Path, features: Features) -> None:
    """Write a features file, whole or not at all. The same numbers give the same bytes."""
    with whole_file(path) as partial, open(partial, "wb") as file:
        arrays: dict[str, NDArray[np.generic]] = {IMAGES: np.array(features.images, np.str_), **features.values}
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_features(path: Path) -> Features:
    """Read a features file. InputError names the file and the fault."""
    try:
        with reading(path), np.load(path, allow_pickle=False) as file:
            arrays = dict(file.items())
    except DAMAGE:
        raise InputError(f"{path}: not a features file, or damaged; run extract_features.py again") from None
    images = arrays.pop(IMAGES, None)
    if images is None or images.dtype.kind != "U" or images.ndim != 1:
        raise InputError(f"{path}: has no list of images; run extract_features.py")
    if len(set(images.tolist())) != len(images):
        raise InputError(f"{path}: lists an image twice; run extract_features.py again")
    for name, values in arrays.items():
        if name not in DESCRIPTORS:
            raise InputError(f"{path}: '{name}' is none of {', '.join(DESCRIPTORS)}; run extract_features.py again")
        shape = (len(images), DESCRIPTORS[name].dimension)
        if values.shape != shape or values.dtype != np.float32:
            raise InputError(
                f"{path}: {name} is {values.dtype} of shape {values.shape}, not float32 of {shape}; extract again"
            )
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {name} has numbers that are not finite; extract again")
    if not arrays:
        raise InputError(f"{path}: holds no descriptor; run extract_features.py again")
    return Features(images.tolist(), arrays)
