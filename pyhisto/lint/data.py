"""What the data say that a network reads: how many, of what size, with which labels, prepared how."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from pyhisto.errors import InputError
from pyhisto.graph.sources import first_lmdb_image
from pyhisto.graph.types import Shape
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.proto import Datum

MAX_LABELS = 5_000  # records whose labels are looked at, evenly spread: a label stands inside its image's record


@dataclass(frozen=True)
class DataSource:
    """The records behind a Data or ImageData layer."""

    name: str
    records: int
    complete: bool
    """Whether `labels` are those of all records."""
    read_labels: Callable[[], frozenset[int]]
    image: Shape | None = None
    """Channels, height, width of the first record, before the crop."""
    mean: tuple[float, float, float] | None = None
    """B, G, R, by the preprocessing.json beside the records."""

    @cached_property
    def labels(self) -> frozenset[int]:
        """The labels that occur; read only when asked for, which takes a while if the records are many."""
        return self.read_labels()


def read_source(layer: Any, root: Path) -> DataSource | None:
    """The records that a layer reads, found from the folder that Caffe is started in; None if there are none."""
    if layer.type == "Data":
        return _read_lmdb(layer, root / layer.data_param.source)
    if layer.type == "ImageData":
        return _read_listing(root / layer.image_data_param.source)
    return None


def batch_size(layer: Any) -> int:
    """How many records a layer reads at a time."""
    parameters = layer.data_param if layer.type == "Data" else layer.image_data_param
    return int(parameters.batch_size)


def _read_lmdb(layer: Any, folder: Path) -> DataSource | None:
    lmdb = LmdbFolder(folder)
    try:
        records = lmdb.records()
    except InputError:
        return None
    step = -(-records // MAX_LABELS)
    image = first_lmdb_image(folder, layer.transform_param)
    known = None if isinstance(image, str) else image
    labels = partial(_lmdb_labels, lmdb, step)
    return DataSource(layer.data_param.source, records, step <= 1, labels, known, _mean(lmdb))


def _lmdb_labels(lmdb: LmdbFolder, step: int) -> frozenset[int]:
    labels = set()
    try:
        with lmdb.open() as database, database.begin() as transaction:
            cursor = transaction.cursor()
            for index, _ in enumerate(cursor.iternext(values=False)):
                if index % step == 0:
                    labels.add(Datum.FromString(cursor.value()).label)
    except (InputError, DecodeError):
        return frozenset()
    return frozenset(labels)


def _mean(lmdb: LmdbFolder) -> tuple[float, float, float] | None:
    try:
        return lmdb.mean
    except InputError:
        return None


def _read_listing(file: Path) -> DataSource | None:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        labels = frozenset(int(line.rpartition(" ")[2]) for line in lines)
    except (OSError, ValueError):
        return None
    return DataSource(file.name, len(lines), True, lambda: labels)
