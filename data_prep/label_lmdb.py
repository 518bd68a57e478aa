"""Write a second label for every record of built LMDBs: for networks of two tasks, which need two labels a record.

Caffe's Data layer gives one label a record. The labels of a manifest's column go into LMDBs of their own, with the same
keys: DIR/train/COLUMN beside DIR/train's images, and so on. Two Data layers of one batch size then stay in step.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from data_prep.lmdbs.writer import Spool, encode_record
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.files import whole_folder
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.manifest import LMDBS, read_manifest


def main() -> None:
    """Parse, look up, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--lmdb", type=Path, required=True, metavar="DIR", help="the --out of build_lmdb.py")
    parser.add_argument(
        "--column", choices=("magnification", "subtype", "patient", "slide"), required=True, help="of the manifest"
    )
    arguments = parser.parse_args()
    rows = read_manifest(LmdbFolder(arguments.lmdb).manifest)
    values = {row.path: getattr(row, arguments.column) for row in rows}
    classes = {value: number for number, value in enumerate(sorted(set(values.values()), key=_order))}
    labels = {path: classes[value] for path, value in values.items()}
    folders = [arguments.lmdb / split for split in LMDBS if (arguments.lmdb / split).is_dir()]
    with ExitStack() as stack:  # they appear together
        for folder in folders:
            write_labels(folder, stack.enter_context(whole_folder(folder / arguments.column)), labels)
    print(f"{arguments.column}: " + ", ".join(f"{value or '(empty)'} is {number}" for value, number in classes.items()))


def write_labels(folder: Path, out: Path, labels: dict[str, int]) -> None:
    """Write an LMDB with the keys of that in `folder` and a pixel of 0 a record into the folder `out`.

    `labels`: image's path in the manifest -> label. Raises InputError where a record's image is not in it.
    """
    keys = [key for key, _ in LmdbFolder(folder).items()]
    spool = Spool(out / "spool", len(keys))
    try:
        for rank, (image, end) in enumerate(_split_keys(keys)):
            if image not in labels:
                raise InputError(f"{folder}: record {keys[rank]} is of no image in its manifest; build it again")
            spool.add(rank, end, encode_record(np.zeros((1, 1, 1), np.uint8), labels[image], "raw"))
        spool.write_lmdb(out)
    finally:
        spool.close()


def _split_keys(keys: list[str]) -> Iterator[tuple[str, str]]:
    """(image's path, key without its rank) of `%010d_<path>_<patch>`."""
    for key in keys:
        end = key.partition("_")[2]
        yield end.rpartition("_")[0], end


def _order(value: str) -> tuple[int, int, str]:
    """Numbers by their size (40 before 100), then the rest by name."""
    return (0, int(value), "") if re.fullmatch("[0-9]{1,9}", value) else (1, 0, value)


if __name__ == "__main__":
    run(main)
