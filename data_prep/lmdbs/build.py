"""From a manifest to the LMDBs of one branch: DIR/train, DIR/val, DIR/test and DIR/manifest.csv, whole or not at all.

If no image validates, DIR/monitor has some of the training images, as they are, for the learning curve.

Per image: decode, stain normalise, augment (training only), resize, cut, encode. The stain target (see stain_target.py)
and the mean, which comes from the training images alone, are the same in every split.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
from numpy.typing import NDArray

from data_prep.datasets.splits import check_classes, monitor
from data_prep.lmdbs.augment import COPIES, MAX_SHEAR, ZOOM, AugmentationKind, augmentations
from data_prep.lmdbs.writer import Spool, encode_record, lmdb_bytes
from pyhisto import __version__
from pyhisto.errors import InputError
from pyhisto.files import leftovers, whole_folder
from pyhisto.lmdb_folder import MANIFEST, MEAN, Augmentation, Provenance
from pyhisto.manifest import MONITOR, SPLITS, Row, check_disjoint, class_counts, manifest_text, resolve, write_manifest
from pyhisto.parallel import with_progress
from pyhisto.preprocessing.images import Image, read_image
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proto import BlobProto, write_binary

JOB_RECORDS = 64
"""Records per job, about: with fewer the sums of their pixels would be most of what a worker sends."""


@dataclass(frozen=True)
class BuildSettings:
    """How LMDBs are built, beside the recipe itself."""

    copies: int = COPIES
    """Augmented images per training image, instead of it; 0: the training image itself."""
    augmentation: AugmentationKind = "zhu2019"
    """How they are made."""
    seed: int = 0
    workers: int = 1
    mean: tuple[float, float, float] | None = None
    """B, G, R: for a network that starts from weights trained with it; None: the mean of the training records."""
    splits: tuple[str, ...] = SPLITS
    """Of which there are LMDBs; train is one of them. The manifest has the others' images all the same."""
    monitor: int = 0
    """If no image validates: about how many training images the LMDB `monitor` has; 0: there is none."""


@dataclass(frozen=True)
class Written:
    """An LMDB's records, before they were encoded."""

    total: NDArray[np.uint64]
    """Their sum, size x size x 3."""
    count: int


@dataclass(frozen=True)
class Built:
    """What a worker makes of the images of a job."""

    records: list[tuple[str, bytes]]
    """(key's end, Datum)."""
    total: NDArray[np.uint64]
    """Sum of the records' pixels, size x size x 3."""


def build(rows: Sequence[Row], root: Path, recipe: Preprocessing, settings: BuildSettings, out: Path) -> Preprocessing:
    """Build the LMDBs of every split that has images; returns the finished recipe, with its mean.

    `recipe` says branch, size, interpolation, stain and encoding; its mean is replaced. Raises InputError for a class
    without training images, patients in two splits, a file that is missing or does not decode, an `out` that exists.
    """
    rows = [row for row in rows if row.split]
    check_classes(rows)
    check_disjoint(rows)
    for row in rows:
        resolve(root, row.path)  # a missing file is better found before an hour's work
    with _disk_errors(out), whole_folder(out) as folder:
        images = {split: [row for row in rows if row.split == split] for split in settings.splits}
        if settings.monitor and not any(row.split == "val" for row in rows):
            images[MONITOR] = monitor(rows, settings.monitor, settings.seed)
        images = {split: chosen for split, chosen in images.items() if chosen}
        written = {
            split: _write_split(split, chosen, root, recipe, settings, folder) for split, chosen in images.items()
        }
        total, count = written["train"].total, written["train"].count
        blue, green, red = (float(level) / (count * recipe.size**2) for level in total.sum((0, 1)))
        recipe = replace(
            recipe,
            mean=settings.mean or (blue, green, red),
            provenance=Provenance(
                seed=settings.seed,
                augmentation=Augmentation(
                    settings.copies,
                    settings.augmentation,
                    *((MAX_SHEAR, ZOOM) if settings.augmentation == "zhu2019" else ()),
                ),
                images={split: class_counts(chosen) for split, chosen in images.items()},
                records={split: written[split].count for split in images},
                monitor=settings.monitor if MONITOR in images else None,
                manifest_sha256=hashlib.sha256(manifest_text(rows).encode()).hexdigest(),
                pyhisto=__version__,
            ),
        )
        for split in images:
            recipe.save(folder / split)
            write_binary(folder / split / MEAN, mean_blob(total, count))
            write_manifest(folder / split / MANIFEST, rows)
        write_manifest(folder / MANIFEST, rows)
    return recipe


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """A full or failing disk as one line."""
    try:
        yield
    except (OSError, lmdb.Error) as error:
        left = leftovers(out)
        rest = f"; part of it is left in {left[0]}, remove it" if left else "; nothing is left of it"
        raise InputError(f"{out}: cannot be written: {error}{rest}") from None


def mean_blob(total: NDArray[np.uint64], count: int) -> Any:
    """The BlobProto, 1 x 3 x size x size, that Caffe's compute_image_mean writes for `count` images of sum `total`.

    (It reads the records; see `_make` for those of JPEG.)

    Caffe adds up in float32, which is exact for 65,793 images (2^24 / 255); these sums are exact for any number.
    """
    height, width, channels = total.shape
    mean = total.transpose(2, 0, 1).astype(np.float32) / np.float32(count)
    return BlobProto(num=1, channels=channels, height=height, width=width, data=mean.astype("<f4").tobytes())


def _write_split(
    split: str, chosen: Sequence[Row], root: Path, recipe: Preprocessing, settings: BuildSettings, folder: Path
) -> Written:
    """Write folder/<split>, the LMDB alone."""
    copies = settings.copies if split == "train" else 0
    order = np.arange(len(chosen) * max(1, copies) * recipe.patches_per_image)
    if split == "train":  # Caffe reads in key order and never shuffles
        np.random.Generator(np.random.PCG64(settings.seed)).shuffle(order)
    make = partial(_make, root=root, recipe=recipe, settings=replace(settings, copies=copies))
    total = np.zeros((recipe.size, recipe.size, 3), np.uint64)
    ranks = iter(order.tolist())
    spool = Spool(folder / "spool", len(order))
    per_job = max(1, JOB_RECORDS * len(chosen) // len(order))
    jobs = [tuple(chosen[start : start + per_job]) for start in range(0, len(chosen), per_job)]
    try:
        for index, built in enumerate(with_progress(split, make, jobs, settings.workers, per_job=per_job)):
            if index == 0:
                _check_space(folder, built, len(order))
            for name, record in built.records:
                spool.add(next(ranks), name, record)
            total += built.total
        spool.write_lmdb(folder / split)
    finally:
        spool.close()
    return Written(total, len(order))


def _check_space(folder: Path, first: Built, records: int) -> None:
    """Raise InputError where the disk will not hold the spool and the LMDB, judged by the first job."""
    lengths = [len(record) for _, record in first.records]
    needed = records / len(lengths) * (sum(lengths) + lmdb_bytes(lengths))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{folder.parent}: needs about {needed / 1e9:.2g} GB, has {free / 1e9:.2g} GB free; make room")


def record_pixels(
    row: Row, root: Path, recipe: Preprocessing, copies: int, seed: int, augmentation: AugmentationKind = "zhu2019"
) -> Iterator[tuple[str, Image]]:
    """(key's end, size x size x 3 pixels) of every record of one image (resolved before), before they are encoded.

    The key's end says where the record comes from: `<path>_`, the patch (`11` ... `35`; global: nothing), and for an
    augmented image `a` and its index.
    """
    image = recipe.normalise(read_image(Path(root) / row.path))
    for index, turned in enumerate(augmentations(image, seed, row.path, copies, augmentation) if copies else [image]):
        for patch, pixels in recipe.cut(turned):
            yield f"{row.path}_{patch}a{index}" if copies else f"{row.path}_{patch}", pixels


def _make(rows: Sequence[Row], root: Path, recipe: Preprocessing, settings: BuildSettings) -> Built:
    """All records of a job's images, encoded."""
    records = []
    # Before encoding: JPEG moves the mean by hundredths of a level, and decoding every record to follow it there would
    # take a third of the time.
    total = np.zeros((recipe.size, recipe.size, 3), np.float64)
    for row in rows:
        for name, pixels in record_pixels(row, root, recipe, settings.copies, settings.seed, settings.augmentation):
            records.append((name, encode_record(pixels, row.label, recipe.record)))
            cv2.accumulate(pixels, total)
    return Built(records, total.astype(np.uint64))
