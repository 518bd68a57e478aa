"""What the data say that a network reads: how many, of what size, with which labels, prepared how."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from pyhisto.graph.sources import first_lmdb_image
from pyhisto.graph.types import Shape
from pyhisto.proto import Datum

MAX_LABELS = 100_000  # records whose labels are looked at


@dataclass(frozen=True)
class DataSource:
    """The records behind a Data or ImageData layer."""

    name: str
    records: int
    labels: frozenset[int]
    complete: bool
    """Whether every record's label was looked at."""
    image: Shape | None = None
    """Channels, height, width of the first record, before the crop."""
    recipe: dict[str, Any] | None = None
    """The preprocessing.json beside the records."""


def read_source(layer: Any, root: Path) -> DataSource | None:
    """The records that a layer reads, found from the folder that Caffe is started in; None where there are none."""
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
    if not (folder / "data.mdb").is_file():
        return None
    try:
        with lmdb.open(str(folder), readonly=True, lock=False) as database, database.begin() as transaction:
            records = transaction.stat()["entries"]
            labels = frozenset(_labels(transaction.cursor()))
    except Exception:  # lmdb and protobuf raise classes of their own, which have no common base
        return None
    image = first_lmdb_image(folder, layer.transform_param)
    recipe = _read_recipe(folder / "preprocessing.json")
    known = None if isinstance(image, str) else image
    return DataSource(layer.data_param.source, records, labels, records <= MAX_LABELS, known, recipe)


def _labels(cursor: Any) -> Iterator[int]:
    for _, (_, value) in zip(range(MAX_LABELS), cursor, strict=False):
        yield Datum.FromString(value).label


def _read_recipe(file: Path) -> dict[str, Any] | None:
    try:
        recipe = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return recipe if isinstance(recipe, dict) else None


def _read_listing(file: Path) -> DataSource | None:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        labels = frozenset(int(line.rpartition(" ")[2]) for line in lines)
    except (OSError, ValueError):
        return None
    return DataSource(file.name, len(lines), labels, True)
