"""A finished LMDB read back through Caffe's own Data layer and compared with the images that it was made of."""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from data_prep.datasets.splits import monitor
from data_prep.lmdbs.augment import KINDS, AugmentationKind
from data_prep.lmdbs.build import record_pixels
from data_prep.lmdbs.writer import decode_record, encode_record
from pyhisto import pycaffe
from pyhisto.errors import InputError
from pyhisto.files import sha256
from pyhisto.lmdb_folder import RECIPE, LmdbFolder
from pyhisto.manifest import LMDBS, MONITOR, Row, read_manifest, resolve
from pyhisto.parallel import with_progress
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.recipe import Preprocessing

BATCH = 50


def verify(folder: Path, root: Path, workers: int) -> int:
    """Compare every record of `folder` (DIR/train, say), as Caffe reads it, with its image; returns how many.

    Raises InputError at the first difference: a record too many or too few, another label, another pixel, a manifest
    that is not the one it was built from; and where there is no pycaffe.
    """
    folder, lmdb = Path(folder), LmdbFolder(Path(folder))
    recipe, manifest = Preprocessing.load(folder), lmdb.manifest
    built = recipe.provenance
    seed, augmentation, records = built.seed, built.augmentation, built.records.get(folder.name)
    if seed is None or augmentation is None or records is None:
        raise InputError(f"{folder}: its {RECIPE} does not say how the LMDB was built")
    if sha256(manifest) != built.manifest_sha256:
        raise InputError(f"{manifest}: not the manifest that the LMDB was built from")
    every = read_manifest(manifest)
    rows = [row for row in every if row.split == folder.name]
    if folder.name == MONITOR:
        rows = monitor(every, built.monitor or 0, seed)
    copies = augmentation.copies if folder.name == "train" else 0
    kind = next((known for known in KINDS if known == augmentation.kind), None)
    if kind is None:
        raise InputError(
            f"{folder}: its {RECIPE} names the augmentation {augmentation.kind!r}, not one of {', '.join(KINDS)}"
        )
    work = partial(_digests, root=root, recipe=recipe, copies=copies, seed=seed, kind=kind)
    for row in rows:
        resolve(root, row.path)
    expected: dict[str, bytes] = {}
    for digests in with_progress(f"{folder.name}: images", work, rows, workers):
        expected.update(digests)

    count = 0
    for (key, _), (pixels, label) in zip(lmdb.items(), caffe_records(folder, recipe.size), strict=False):
        if expected.pop(key.partition("_")[2], None) != _digest(pixels, label):
            raise InputError(f"{folder}: record {key} is not what its image gives; build the LMDB again")
        count += 1
    if expected or count != records:
        raise InputError(f"{folder}: has {count} records and should have {records}; build the LMDB again")
    return count


def verify_splits(folder: Path, root: Path, workers: int) -> Iterator[str]:
    """Verify the LMDBs of every split under `folder` (the --out of build_lmdb.py); yield a line about each."""
    splits = [folder / split for split in LMDBS if (folder / split).is_dir()]
    if not splits:
        raise InputError(f"{folder}: holds none of {', '.join(LMDBS)}; give the --out of build_lmdb.py")
    for split in splits:
        yield f"{split}: {verify(split, root, workers)} records, as Caffe reads them, are what their images give"


def caffe_records(folder: Path, size: int) -> Iterator[tuple[Image, int]]:
    """(pixels, label) of an LMDB's records as Caffe's Data layer reads them; at the end it begins again, for ever."""
    caffe = pycaffe.load()
    with TemporaryDirectory() as place:
        model = Path(place) / "read.prototxt"
        model.write_text(
            'layer { name: "data" type: "Data" top: "data" top: "label" '
            f'data_param {{ source: "{folder.resolve()}" backend: LMDB batch_size: {BATCH} }} }}\n'
        )
        with pycaffe.runs(folder, "Caffe cannot read its records", "build the LMDB again"):
            net = caffe.Net(str(model), caffe.TRAIN)
        while True:
            with pycaffe.runs(folder, "Caffe cannot read its records", "build the LMDB again"):
                net.forward()
            data, labels = net.blobs["data"].data, net.blobs["label"].data
            if data.shape[1:] != (3, size, size):
                raise InputError(f"{folder}: Caffe reads images of shape {data.shape[1:]}, not 3 x {size} x {size}")
            for planes, label in zip(data, labels, strict=True):
                yield planes.transpose(1, 2, 0).astype(np.uint8), int(label)


def _digests(
    row: Row, root: Path, recipe: Preprocessing, copies: int, seed: int, kind: AugmentationKind
) -> list[tuple[str, bytes]]:
    """(key's end, digest) of the records that one image gives, after the loss of the encoding."""
    return [
        (name, _digest(*decode_record(encode_record(pixels, row.label, recipe.record))))
        for name, pixels in record_pixels(row, root, recipe, copies, seed, kind)
    ]


def _digest(pixels: Image, label: int) -> bytes:
    return hashlib.blake2b(pixels.tobytes() + b"%d" % label, digest_size=16).digest()
