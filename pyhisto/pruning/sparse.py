"""Sparse weights on disk: a bitmap and the values that are not zero; the size that fig. 13 compares.

A file is the bytes `PHSPARSE`, a version (1), the number of layers, and for each layer its name, the number of its
blobs, and each blob: its kind, its shape, and its numbers. The kind says float32 or float64, and dense (all numbers) or
sparse (a bit for each number, the first in the highest bit, then the numbers whose bit is set); each blob takes the
smaller of the two. All is little-endian. A number counts as zero if all its bits are: -0 is kept, so that what is
read is what was written, bit by bit. Layers are written without their settings: name and blobs are what Caffe copies.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.files import reading, whole_file
from pyhisto.proto import MAX_AXES, Net, NetParameter, layer_blobs, set_blob

MAGIC = b"PHSPARSE\x01"
SPARSE, DOUBLE = 1, 2
"""Bits of a blob's kind."""


def write_sparse(path: Path, weights: Net) -> int:
    """Write the blobs of a caffemodel (as a NetParameter), whole or not at all; gives the file's size in bytes."""
    data = encode(weights)
    with whole_file(path) as partial:
        partial.write_bytes(data)
    return len(data)


def encode(weights: Net) -> bytes:
    """The blobs of a caffemodel (as a NetParameter), as `write_sparse` writes them."""
    layers = layer_blobs(weights)
    parts = [MAGIC, struct.pack("<I", len(layers))]
    for name, arrays in layers.items():
        encoded = name.encode()
        parts.append(struct.pack("<H", len(encoded)) + encoded + struct.pack("<H", len(arrays)))
        parts += [_encode(array) for array in arrays]
    return b"".join(parts)


def read_sparse(path: Path) -> Net:
    """Read what `write_sparse` wrote, as a NetParameter to be written as a caffemodel. Raises InputError."""
    with reading(path):
        reader = _Reader(Path(path).read_bytes(), path)
    if reader.take(len(MAGIC)) != MAGIC:
        raise InputError(f"{path}: not a file of sparse weights")
    net = NetParameter()
    try:
        for _ in range(reader.number("<I")):
            layer = net.layer.add(name=reader.take(reader.number("<H")).decode())
            for _ in range(reader.number("<H")):
                set_blob(layer.blobs.add(), _decode(reader))
    except ValueError:  # a name that is not UTF-8, a shape that numpy cannot hold
        raise reader.damaged() from None
    if not reader.at_end():
        raise reader.damaged()
    return net


def _encode(array: Floats) -> bytes:
    double = array.dtype == np.float64
    values = np.ascontiguousarray(array, "<f8" if double else "<f4").ravel()
    kept = values.view("<u8" if double else "<u4") != 0
    dense, sparse = values.tobytes(), np.packbits(kept).tobytes() + values[kept].tobytes()
    kind = DOUBLE * double + SPARSE * (len(sparse) < len(dense))
    header = struct.pack(f"<BB{array.ndim}I", kind, array.ndim, *array.shape)
    return header + (sparse if kind & SPARSE else dense)


def _decode(reader: "_Reader") -> Floats:
    kind, axes = reader.number("<B"), reader.number("<B")
    if kind & ~(SPARSE | DOUBLE) or axes > MAX_AXES:
        raise reader.damaged()
    shape = tuple(reader.number("<I") for _ in range(axes))
    count, dtype = math.prod(shape), np.dtype("<f8" if kind & DOUBLE else "<f4")
    if not kind & SPARSE:
        return np.frombuffer(reader.take(count * dtype.itemsize), dtype).reshape(shape)
    bits = np.frombuffer(reader.take(-(-count // 8)), np.uint8)
    kept = np.unpackbits(bits, count=count).astype(bool)
    values = np.zeros(count, dtype)
    values[kept] = np.frombuffer(reader.take(int(kept.sum()) * dtype.itemsize), dtype)
    return values.reshape(shape)


@dataclass
class _Reader:
    """Bytes, taken from the front; more than there are is an InputError, before anything is allocated for them."""

    data: bytes
    path: Path
    place: int = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.place:
            raise self.damaged()
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def at_end(self) -> bool:
        return self.place == len(self.data)

    def damaged(self) -> InputError:
        return InputError(f"{self.path}: sparse weights that are damaged or cut short; write them again")
