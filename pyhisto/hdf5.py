"""HDF5 snapshots (`snapshot_format: HDF5`): /data/<layer>/<index>, one data set a blob.

A layer name with a slash in it is a nested group. (Caffe itself cannot write such a name, and reads it.)
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import h5py
from numpy.typing import NDArray

from pyhisto import watched
from pyhisto.errors import InputError

AnyArray: TypeAlias = NDArray[Any]


def read_hdf5_weights(path: Path) -> dict[str, list[AnyArray]]:
    """The blobs of an HDF5 caffemodel, by layer. Raises InputError."""
    layers: dict[str, dict[str, AnyArray]] = {}
    with open_hdf5(path, "caffemodel") as file:
        for place, values in hdf5_arrays(file, "data").items():
            name, _, index = place.rpartition("/")
            layers.setdefault(name, {})[index] = values
        return {name: list(numbered(arrays, f"layer '{name}'")) for name, arrays in layers.items()}


def write_hdf5_weights(path: Path, layers: Iterable[tuple[str, Sequence[AnyArray]]]) -> None:
    """Write an HDF5 caffemodel from layers and their blobs.

    Raises TypeError or ValueError where HDF5 cannot hold the layers' names.
    """
    with new_hdf5(path) as file:
        for name, blobs in layers:
            group = file.require_group(f"data/{name}")
            for index, values in enumerate(blobs):
                group.create_dataset(str(index), data=values)


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file that is filled in memory and written when the block ends.

    On a full disk HDF5 itself would end the process, some time later, or say so where nobody can catch it.
    """
    with h5py.File(path, "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    Path(path).write_bytes(image)


@contextmanager
def open_hdf5(path: Path, what: str) -> Iterator[h5py.File]:
    """Open an HDF5 file to read. What goes wrong with it in the block is an InputError that says it is no `what`."""
    try:
        with watched.at(path, f"HDF5 cannot read it as {what}", "give a whole file"), h5py.File(path, "r") as file:
            yield file
    except (AttributeError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not an HDF5 {what}: {' '.join(str(error).split())}") from None


def hdf5_item(file: h5py.File, name: str) -> Any:
    """A data set or a group that lies in this file itself. Raises KeyError."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise KeyError(f"it has no '{name}' of its own")
    return file[name]


def hdf5_arrays(file: h5py.File, name: str) -> dict[str, AnyArray]:
    """The arrays of numbers in a group and the groups in it, by path.

    Each is read once, whatever links to it; links to other places are passed over. Raises ValueError where the arrays
    would take more memory than the file is large: Caffe writes them plain.
    """
    arrays: dict[str, AnyArray] = {}
    room = os.path.getsize(file.filename)

    def visit(place: str, item: h5py.Group | h5py.Dataset) -> None:
        nonlocal room
        if isinstance(item, h5py.Dataset):
            if item.shape is None or item.dtype.kind not in "fiu":
                raise ValueError(f"'{place}' is not an array of numbers")
            room -= item.nbytes
            if room < 0:
                raise ValueError(f"'{place}' is larger than the file: it is damaged, or compressed")
            arrays[place] = item[()]

    hdf5_item(file, name).visititems(visit)
    return arrays


def numbered(arrays: Mapping[str, AnyArray], what: str) -> Iterator[AnyArray]:
    """Arrays whose names are their indices, in order. Raises KeyError where the names are not 0, 1, 2, ..."""
    for index in range(len(arrays)):
        if str(index) not in arrays:
            raise KeyError(f"{what} has {len(arrays)} arrays, but none is called '{index}'")
        yield arrays[str(index)]
