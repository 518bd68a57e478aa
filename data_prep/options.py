"""The options by which every program of this folder is told which images: a data set with its folds, or a manifest."""

import argparse
from pathlib import Path

from data_prep import breakhis
from data_prep.splits import carve_validation, check_classes
from pyhisto.cli import Parser
from pyhisto.errors import InputError
from pyhisto.manifest import Row, check_disjoint, read_manifest

DATA_SETS = ("breakhis",)


def add_manifest_options(parser: Parser) -> None:
    """Add the options that `manifest_rows` reads."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", choices=DATA_SETS)
    source.add_argument("--manifest", type=Path, metavar="F", help="a manifest with its splits")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the images")
    parser.add_argument("--folds", type=Path, metavar="DIR", help="BreaKHis: folder of dsfold1.txt to dsfold5.txt")
    parser.add_argument("--fold", type=int, choices=breakhis.FOLDS, help="BreaKHis: official fold")
    parser.add_argument("--magnification", type=int, choices=[int(m) for m in breakhis.MAGNIFICATIONS], help="BreaKHis")
    parser.add_argument("--allow-missing", action="store_true", help="go on where images of the fold are missing")
    parser.add_argument(
        "--val-fraction", type=float, default=0.2, metavar="F",
        help="part of each class's training patients that becomes validation; 0: none (default 0.2; --dataset only)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)


def manifest_rows(arguments: argparse.Namespace) -> list[Row]:
    """The rows that the options name, split and verified; prints what is to be known about them."""
    if arguments.manifest is not None:
        rows = read_manifest(arguments.manifest)
        check_disjoint(rows)
        return rows
    if not 0 <= arguments.val_fraction < 1:
        raise InputError(f"--val-fraction {arguments.val_fraction}: give 0 or more, less than 1")
    missing = [f"--{name}" for name in ("folds", "fold", "magnification") if getattr(arguments, name) is None]
    if missing:
        raise InputError(f"--dataset {arguments.dataset} needs {', '.join(missing)}")
    data = breakhis.load(
        arguments.root, arguments.folds, arguments.fold, arguments.magnification, arguments.allow_missing
    )
    for note in data.notes:
        print(f"note: {note}")
    check_classes(data.rows)
    return carve_validation(data.rows, arguments.val_fraction, arguments.seed)
