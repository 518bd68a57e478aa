"""LMDBs of Caffe's Datum records, written in key order whatever order the records come in.

Records go to a spool file first, each with the place it will have; then the LMDB is written from first to last. Its
pages then lie in the order in which Caffe's Data layer, which never shuffles, reads them, and its bytes depend on
nothing but keys and records.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from google.protobuf.message import DecodeError

from pyhisto.errors import InputError
from pyhisto.preprocessing.encoding import Encoding, encode
from pyhisto.preprocessing.images import Image, decode_image
from pyhisto.proto import Datum

MAX_KEY = 511
"""Bytes; LMDB's own limit."""
BATCH = 32 << 20
"""Bytes per transaction: what LMDB holds in memory."""
FIRST_MAP = 16 << 20
PAGE = 4096


def encode_record(image: Image, label: int, encoding: Encoding) -> bytes:
    """An image (uint8, BGR) as the bytes of a Datum: an encoded file, or raw, channels first."""
    if encoding == "raw":
        height, width, channels = image.shape
        planes = image.transpose(2, 0, 1).tobytes()
        return _serialized(Datum(channels=channels, height=height, width=width, data=planes, label=label))
    return _serialized(Datum(data=encode(image, encoding), label=label, encoded=True))


def _serialized(datum: Any) -> bytes:
    return bytes(datum.SerializeToString())


def decode_record(record: bytes, where: str = "record") -> tuple[Image, int]:
    """A Datum's bytes back to (image, label), as Caffe's Data layer sees them.

    Raises InputError, which names `where`, if the record is damaged.
    """
    try:
        datum = Datum.FromString(record)
    except DecodeError:
        raise InputError(f"{where}: is not a Datum; build the LMDB again") from None
    if datum.encoded:
        return decode_image(datum.data, where), int(datum.label)
    shape = datum.channels, datum.height, datum.width
    if min(shape) < 1 or math.prod(shape) != len(datum.data):
        raise InputError(f"{where}: holds {len(datum.data)} bytes of a picture of shape {shape}; build the LMDB again")
    planes = np.frombuffer(datum.data, np.uint8).reshape(shape)
    return np.ascontiguousarray(planes.transpose(1, 2, 0)), int(datum.label)


class Spool:
    """A file of records, appended in any order, from which `write_lmdb` writes them in the order of their ranks.

    In memory a record is 16 bytes, whatever it holds.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._file = path, open(path, "w+b")  # noqa: SIM115 - closed by `close`
        self._places = np.zeros((count, 2), np.int64)  # offset, length; by rank
        self._end = 0

    def add(self, rank: int, name: str, record: bytes) -> None:
        """Append a record whose key will be `%010d_<name>`, once per rank. Raises InputError for a name too long."""
        key = f"{rank:010d}_{name}".encode()
        if len(key) > MAX_KEY:
            raise InputError(
                f"{name[:100]}...: too long for an LMDB key ({len(key)} bytes, {MAX_KEY} at most); rename it"
            )
        entry = len(key).to_bytes(2) + key + record
        self._file.write(entry)
        self._places[rank] = self._end, len(entry)
        self._end += len(entry)

    def write_lmdb(self, folder: Path) -> None:
        """Write all records to a new LMDB in `folder`, in key order. A full disk is an OSError or lmdb.Error."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file.flush()
        # The caller's folder appears only when it is whole, and is synced then: no need to sync every transaction.
        with lmdb.open(str(folder), map_size=FIRST_MAP, sync=False) as environment:
            for batch in self._batches():
                _put(environment, batch)

    def close(self) -> None:
        """Remove the spool file."""
        with suppress(OSError):  # what a full disk did not take is not wanted any more
            self._file.close()
        self._path.unlink(missing_ok=True)

    def _batches(self) -> Iterator[list[tuple[bytes, bytes]]]:
        batch: list[tuple[bytes, bytes]] = []
        size = 0
        for offset, length in self._places.tolist():
            self._file.seek(offset)
            entry = self._file.read(length)
            end = 2 + int.from_bytes(entry[:2])
            batch.append((entry[2:end], entry[end:]))
            size += length
            if size >= BATCH:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


def lmdb_bytes(lengths: Iterable[int]) -> int:
    """About the size of an LMDB of records of these lengths: each begins a page of its own."""
    return sum(-(-(length + 16) // PAGE) * PAGE for length in lengths)


def _put(environment: lmdb.Environment, batch: list[tuple[bytes, bytes]]) -> None:
    """Append a batch in one transaction; if the map is too small, enlarge it and begin the transaction again."""
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, record in batch:
                    transaction.put(key, record, append=True)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])
