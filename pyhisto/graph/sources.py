"""Shapes of the layers that read data. Where the files are missing, the reason stands for the shape.

The libraries that open the files are imported only where there is one: most graphs are built without any.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError

from pyhisto.errors import InputError
from pyhisto.graph.types import Counts, Shape
from pyhisto.proto import Datum

Known: TypeAlias = Shape | str
"""A shape, or, as one phrase, why it is not known."""

Reader: TypeAlias = Callable[[Any, int, Path | None], list[Known]]
"""(layer, number of tops, the folder that relative paths start from, or None: touch no file) -> a shape a top."""

_NO_FILES = "the data are not looked at"


def _input(layer: Any, tops: int, root: Path | None) -> list[Known]:
    shapes: list[Known] = [tuple(shape.dim) for shape in layer.input_param.shape]
    if not shapes:
        return ["the Input layer gives no shape"] * tops
    if len(shapes) not in (1, tops):
        return [f"the Input layer gives {len(shapes)} shapes for {tops} tops"] * tops
    return shapes if len(shapes) == tops else shapes * tops


def _data(layer: Any, tops: int, root: Path | None) -> list[Known]:
    parameters = layer.data_param
    image: Known = _NO_FILES
    if root is not None:
        image = first_lmdb_image(root / parameters.source, layer.transform_param)
    labels: Known = (parameters.batch_size,)
    if layer.type == "AnnotatedData":
        labels = "the number of annotations depends on the data"
    return [_batch(layer.transform_param, parameters.batch_size, image), *[labels] * (tops - 1)]


def _image_data(layer: Any, tops: int, root: Path | None) -> list[Known]:
    parameters = layer.image_data_param
    channels = 3 if parameters.is_color else 1
    image: Known = _NO_FILES
    if parameters.new_height and parameters.new_width:
        image = (channels, parameters.new_height, parameters.new_width)
    elif layer.transform_param.crop_size:
        image = (channels, layer.transform_param.crop_size, layer.transform_param.crop_size)
    elif root is not None:
        image = _first_listed_image(root / parameters.source, Path(root, parameters.root_folder), channels)
    return [_batch(layer.transform_param, parameters.batch_size, image), *[(parameters.batch_size,)] * (tops - 1)]


def _hdf5_data(layer: Any, tops: int, root: Path | None) -> list[Known]:
    parameters = layer.hdf5_data_param
    if root is None:
        return [_NO_FILES] * tops
    import h5py

    try:
        names = (root / parameters.source).read_text().split()
        with h5py.File(root / names[0], "r") as file:
            return [(parameters.batch_size, *file[name].shape[1:]) for name in layer.top]
    except (OSError, IndexError, KeyError, AttributeError, ValueError):
        return [f"no HDF5 data can be read through '{parameters.source}'"] * tops


def _window_data(layer: Any, tops: int, root: Path | None) -> list[Known]:
    parameters = layer.window_data_param
    crop = layer.transform_param.crop_size
    image: Known = _NO_FILES
    if root is not None:
        try:
            with open(root / parameters.source, encoding="utf-8") as file:
                _, _, _, channels = file.read(65536).split()[:4]  # "#", index, path, channels
            image = (int(channels), crop, crop)
        except (OSError, ValueError):
            image = f"no window file can be read at '{parameters.source}'"
    return [_batch(layer.transform_param, parameters.batch_size, image), (parameters.batch_size,)]


def _batch(transform: Any, batch_size: int, image: Known) -> Known:
    """A batch of images (channels x height x width) after the crop; the settings may give the channel count away."""
    height = transform.crop_size or transform.crop_h
    width = transform.crop_size or transform.crop_w
    if isinstance(image, str):
        channels = 3 if transform.force_color else 1 if transform.force_gray else len(transform.mean_value)
        if not (height and width and (channels > 1 or transform.force_gray)):
            return image
        image = (channels, height, width)
    channels, rows, columns = image
    rows = transform.resize_param.height or rows
    columns = transform.resize_param.width or columns
    if height > rows or width > columns:
        return f"the crop {height}x{width} is larger than the images, {rows}x{columns}"
    return batch_size, channels, height or rows, width or columns


def first_lmdb_image(folder: Path, transform: Any) -> Known:
    """Channels, height and width of an LMDB's first image as Caffe reads it, before the crop."""
    unreadable = f"no LMDB can be read at '{folder.name}'"
    import cv2

    from pyhisto.lmdb_folder import LmdbFolder

    try:
        with (
            LmdbFolder(folder).open() as database,
            database.begin() as transaction,
            transaction.cursor() as cursor,
        ):
            if not cursor.first():
                return f"the LMDB '{folder.name}' is empty"
            datum = Datum.FromString(cursor.value())
    except (InputError, DecodeError):
        return unreadable
    if not datum.encoded:
        return datum.channels, datum.height, datum.width
    flag = cv2.IMREAD_COLOR if transform.force_color else cv2.IMREAD_UNCHANGED
    if transform.force_gray:
        flag = cv2.IMREAD_GRAYSCALE
    return _decoded(datum.data, flag) or f"the first image of the LMDB '{folder.name}' does not decode"


def _first_listed_image(listing: Path, folder: Path, channels: int) -> Known:
    import cv2

    unreadable = f"no image can be read through '{listing.name}'"
    try:
        with open(listing, encoding="utf-8") as file:
            name = file.readline().rstrip("\n").rpartition(" ")[0]
        data = (folder / name).read_bytes()
    except (OSError, ValueError):
        return unreadable
    return _decoded(data, cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE) or unreadable


def _decoded(data: bytes, flag: int) -> Shape | None:
    """Channels, height and width of an encoded image."""
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        return None
    if image is None:
        return None
    return (1 if image.ndim == 2 else image.shape[2]), image.shape[0], image.shape[1]


SOURCES: dict[str, tuple[Reader, Counts]] = {
    "AnnotatedData": (_data, (1, None)),
    "Data": (_data, (1, 2)),
    "HDF5Data": (_hdf5_data, (1, None)),
    "ImageData": (_image_data, (2, 2)),
    "Input": (_input, (1, None)),
    "WindowData": (_window_data, (2, 2)),
}
"""The layer types without bottoms that read data: how their shapes are found, and how many tops they take."""
