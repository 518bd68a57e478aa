"""The LMDB folder, on which data preparation and training agree: records, their recipe, and what they were made of.

    data.mdb, lock.mdb     the records, Caffe's Datum messages, in the order in which Caffe reads them
    preprocessing.json     the recipe: what turns an image into network input, the mean among it, which is read by
                           `preprocessing.recipe.Preprocessing`; and its provenance
    mean.binaryproto       the mean of the training records, pixel by pixel
    manifest.csv           the images of all splits

data_prep/build_lmdb.py writes all of it. An LMDB that another program made has records alone, which suffices to train.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import lmdb

from pyhisto import watched
from pyhisto.errors import InputError
from pyhisto.files import parse_json, reading
from pyhisto.manifest import LMDBS

DATABASE, RECIPE, MEAN, MANIFEST = "data.mdb", "preprocessing.json", "mean.binaryproto", "manifest.csv"

LEAST_ENTRY = 8
"""Bytes that LMDB writes of itself with every key."""
REMEDY = "fetch it again, or build it again"


@dataclass(frozen=True)
class Augmentation:
    """How training images were augmented."""

    copies: int
    """Augmented images per training image, in place of it; 0: the training image itself."""
    kind: str = "zhu2019"
    """Whose: one of data_prep.lmdbs.augment.KINDS. Older files do not say it."""
    max_shear: float | None = None
    """Largest shift per pixel of the other direction; None: not sheared."""
    zoom: tuple[float, float] | None = None
    """Smallest and largest enlargement in each direction; None: not enlarged."""

    @classmethod
    def from_json(cls, value: Any, where: str) -> "Augmentation":
        """Read what `to_json` gives. Raises InputError, which names `where`."""
        try:
            shear, zoom = value.get("max_shear"), value.get("zoom")
            if zoom is not None:
                smallest, largest = map(float, zoom)
                zoom = smallest, largest
            return cls(
                _count(value["copies"]), str(value.get("kind", cls.kind)), None if shear is None else float(shear), zoom
            )
        except (AttributeError, TypeError, ValueError, KeyError):
            raise InputError(f"{where}: its augmentation is not copies, kind, max_shear and zoom") from None

    def to_json(self) -> dict[str, Any]:
        """As it stands in a preprocessing.json: what is known."""
        told = {"kind": self.kind, "copies": self.copies, "max_shear": self.max_shear}
        told["zoom"] = None if self.zoom is None else list(self.zoom)
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True)
class Provenance:
    """What the LMDBs of one branch were made of. What is not known is empty, or None."""

    seed: int | None = None
    """Of augmentation and order."""
    augmentation: Augmentation | None = None
    images: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    """Split -> class -> images."""
    records: Mapping[str, int] = field(default_factory=dict)
    """Split -> records."""
    monitor: int | None = None
    """How many training images the monitor was to hold, if there is one."""
    manifest_sha256: str | None = None
    """SHA-256 of the manifest that they were built from."""
    pyhisto: str | None = None
    """Version of the program."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """What else the file says, kept as it is."""

    @classmethod
    def from_json(cls, value: Any, where: str) -> "Provenance":
        """Read what `to_json` gives; fields may be missing. Raises InputError, which names `where`."""
        if not isinstance(value, dict):
            raise InputError(f"{where}: provenance is not an object")
        known = ("seed", "augmentation", "images", "records", "monitor", "manifest_sha256", "pyhisto")
        seed, augmentation, images, records, monitor, manifest, version = map(value.get, known)
        try:
            return cls(
                None if seed is None else _count(seed),
                None if augmentation is None else Augmentation.from_json(augmentation, where),
                {
                    str(split): {int(label): _count(count) for label, count in own.items()}
                    for split, own in (images or {}).items()
                },
                {str(split): _count(count) for split, count in (records or {}).items()},
                None if monitor is None else _count(monitor),
                None if manifest is None else str(manifest),
                None if version is None else str(version),
                {name: own for name, own in value.items() if name not in known},
            )
        except (TypeError, ValueError, AttributeError):
            raise InputError(f"{where}: provenance does not say how an LMDB was built; build the LMDB again") from None

    def to_json(self) -> dict[str, Any]:
        """As it stands in a preprocessing.json: what is known."""
        told = {
            "seed": self.seed,
            "augmentation": None if self.augmentation is None else self.augmentation.to_json(),
            "images": {split: dict(counts) for split, counts in self.images.items()} or None,
            "records": dict(self.records) or None,
            "monitor": self.monitor,
            "manifest_sha256": self.manifest_sha256,
            "pyhisto": self.pyhisto,
        }
        return {**{name: value for name, value in told.items() if value is not None}, **self.others}


@dataclass(frozen=True)
class LmdbFolder:
    """A folder that holds an LMDB, or will: it need not exist yet."""

    path: Path

    @classmethod
    def of_recipe(cls, path: Path) -> "LmdbFolder":
        """The folder of a preprocessing.json, which is given itself or by its folder."""
        return cls(path if path.is_dir() else path.parent)

    @property
    def exists(self) -> bool:
        """Whether there are records."""
        return (self.path / DATABASE).is_file()

    @property
    def recipe(self) -> Path:
        """Its preprocessing.json."""
        return self.path / RECIPE

    @property
    def manifest(self) -> Path:
        """Its manifest.csv."""
        return self.path / MANIFEST

    @contextmanager
    def open(self) -> Iterator[lmdb.Environment]:
        """Open the LMDB to read. Raises InputError if there is none, or it is found to be damaged in the block.

        On some damage LMDB ends the process; the folder is then `watched`.
        """
        file = self.path / DATABASE
        if not file.is_file():
            raise InputError(f"{self.path}: holds no LMDB ({DATABASE})")
        try:
            with (
                watched.at(self.path, "the LMDB is damaged", REMEDY),
                lmdb.open(str(self.path), readonly=True, lock=False) as environment,
            ):
                needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
                if file.stat().st_size < needed:
                    raise InputError(f"{self.path}: the LMDB is cut short, {needed} bytes are wanted; {REMEDY}")
                if environment.stat()["entries"] * LEAST_ENTRY > needed:
                    raise InputError(f"{self.path}: the LMDB is damaged: it has no room for its entries; {REMEDY}")
                yield environment
        except lmdb.Error as error:
            raise InputError(f"{self.path}: not an LMDB, or damaged: {error}; {REMEDY}") from None

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every (key, record), in key order. Raises InputError if there is no LMDB, or it is damaged."""
        with self.open() as environment, environment.begin() as transaction, transaction.cursor() as cursor:
            for key, record in cursor:
                try:
                    name = bytes(key).decode("utf-8")
                except UnicodeDecodeError:
                    said = f"the key {bytes(key)[:60]!r} is not UTF-8"
                    raise InputError(f"{self.path}: {said}; build the LMDB again") from None
                yield name, bytes(record)

    def records(self) -> int:
        """How many records it holds. Raises InputError."""
        with self.open() as environment:
            return int(environment.stat()["entries"])

    @cached_property
    def provenance(self) -> Provenance:
        """What its preprocessing.json says of its making; empty without one. Raises InputError if it is damaged."""
        content = self._content
        said = content.get("provenance", {}) if isinstance(content, dict) else {}
        return Provenance.from_json(said, str(self.recipe))

    @property
    def mean(self) -> tuple[float, float, float] | None:
        """The mean of the B, G and R channels, by its preprocessing.json; None without one. Raises InputError."""
        if self._text is None:
            return None
        try:
            mean = [float(value) for value in self._content["mean"]]
        except (ValueError, KeyError, TypeError, OverflowError):
            raise InputError(f"{self.recipe}: holds no mean per channel; build the LMDB again") from None
        if len(mean) != 3 or not all(map(math.isfinite, mean)):
            raise InputError(f"{self.recipe}: the mean must be three numbers (B, G, R)")
        blue, green, red = mean
        return blue, green, red

    @property
    def split(self) -> str | None:
        """Which of LMDBS it is; None if it is not data_prep's, which names folders so. Raises InputError."""
        return self.path.name if self.path.name in LMDBS and self.path.name in self.provenance.images else None

    def shares(self) -> tuple[float, ...]:
        """The classes' shares of its images, by class; empty if they are not known. Raises InputError."""
        counts = self.provenance.images.get(self.path.name, {}).values()
        total = sum(counts)
        return tuple(count / total for count in counts) if total else ()

    def sha256(self) -> str:
        """What stands for its content: the SHA-256 of its recipe, which names manifest and seed; else of its size."""
        if self._text is not None:
            return hashlib.sha256(self._text).hexdigest()
        size = (self.path / DATABASE).stat().st_size if self.exists else None
        return hashlib.sha256(str(size).encode()).hexdigest()

    @cached_property
    def _text(self) -> bytes | None:
        """What its preprocessing.json holds, read once; None without one."""
        if not self.recipe.is_file():
            return None
        with reading(self.recipe):
            return self.recipe.read_bytes()

    @cached_property
    def _content(self) -> Any:
        return {} if self._text is None else parse_json(self._text, self.recipe)


def _count(value: Any) -> int:
    """A whole number of 0 or more. Raises ValueError."""
    if type(value) is not int or value < 0:
        raise ValueError
    return value
