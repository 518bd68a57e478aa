"""The options by which every program of this folder is told which images, and how they are split."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import get_args

from data_prep.datasets import bach, bisque, breakhis, folder
from data_prep.datasets.dataset import DataSet
from data_prep.datasets.splits import (
    BagBy,
    bagging,
    carve_validation,
    check_classes,
    k_fold,
    pseudo_patients,
    with_test_slides,
)
from pyhisto.cli import Parser, natural, positive
from pyhisto.errors import InputError
from pyhisto.manifest import Row, check_disjoint, read_manifest
from pyhisto.roots import add_root_options

DATA_SETS = ("breakhis", "breakhis-eva", "bach", "bisque", "folder")
MAGNIFICATIONS = [int(magnification) for magnification in breakhis.IMAGES]


def add_data_options(parser: Parser) -> None:
    """Add the options that `load_data` reads: which images."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--dataset", choices=DATA_SETS, help="breakhis-eva: the task of kaiko-ai/eva, 40X, four types, split as there"
    )
    source.add_argument(
        "--manifest", type=Path, metavar="F", help="a manifest; its splits count unless others are asked for"
    )
    add_root_options(parser, "folder of the images")
    parser.add_argument("--magnification", type=int, choices=MAGNIFICATIONS, help="BreaKHis: images at this one alone")
    parser.add_argument(
        "--folds", type=Path, metavar="DIR", help="BreaKHis: folder of the official dsfold1.txt to dsfold5.txt"
    )
    parser.add_argument("--fold", type=int, metavar="N", help="fold to be the test set, from 1")
    parser.add_argument(
        "--allow-missing", action="store_true", help="go on where images of an official fold are missing"
    )
    parser.add_argument(
        "--classes", type=int, choices=(2, 4), default=2, help="BACH: benign and cancer, or all four (default 2)"
    )
    patients = parser.add_mutually_exclusive_group()
    patients.add_argument(
        "--patient-pattern", metavar="REGEX",
        help="folder (a tree split/class/image or class/image): its first group finds the patient in an image's path",
    )  # fmt: skip
    patients.add_argument("--patients", type=Path, metavar="F", help="folder: CSV with the columns path and patient")
    parser.add_argument("--seed", type=natural, default=0)


def add_manifest_options(parser: Parser) -> None:
    """Add the options that `manifest_rows` reads: which images, and how they are split."""
    add_data_options(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--kfold", type=int, metavar="K", help="cross-validation by patient, with --fold N")
    how.add_argument(
        "--bags", type=int, metavar="B", help="the paper's bagging, with --bag N: one test set, B train/val pairs"
    )
    parser.add_argument("--bag", type=int, metavar="N", help="bag to write, from 1")
    parser.add_argument(
        "--test-fraction", type=float, default=0.25, metavar="F",
        help="bagging: part of the images to be test, where the data have no test set (default 0.25)",
    )  # fmt: skip
    parser.add_argument(
        "--bag-by", choices=get_args(BagBy), default="patient",
        help="what a bag's parts keep together: patients (slides, where none is known), or nothing (default patient)",
    )  # fmt: skip
    parser.add_argument(
        "--test-slides", nargs="+", metavar="SLIDE", help="all images of these slides, and no others, are the test part"
    )
    parser.add_argument(
        "--pseudo-patients", type=positive, metavar="N",
        help="count N made-up patients a test slide, images dealt to them in turn (the authors' on BACH: 12)",
    )  # fmt: skip
    parser.add_argument(
        "--val-fraction", type=float, default=0.2, metavar="F",
        help="part of each class's training patients to be validation in a fold, subtypes in proportion; 0: none "
        "(default 0.2)",
    )  # fmt: skip


def load_data(arguments: argparse.Namespace) -> DataSet:
    """The images that the options name, with what splits they have of themselves."""
    if arguments.manifest is not None:
        return DataSet(read_manifest(arguments.manifest), [])
    if arguments.dataset == "breakhis-eva":
        return breakhis.load_eva(arguments.root)
    if arguments.dataset == "bisque":
        return bisque.load(arguments.root)
    if arguments.dataset == "folder":
        return folder.load(arguments.root, arguments.patient_pattern, arguments.patients)
    if arguments.dataset == "bach":
        data = bach.load(arguments.root)
        return replace(data, rows=bach.two_classes(data.rows)) if arguments.classes == 2 else data
    if arguments.folds is None:
        return breakhis.load_all(arguments.root, arguments.magnification)
    _need(arguments, "--folds", "fold")
    _within("--fold", arguments.fold, breakhis.FOLDS[-1])
    return breakhis.load(
        arguments.root, arguments.folds, arguments.fold, arguments.magnification, arguments.allow_missing
    )


def manifest_rows(arguments: argparse.Namespace) -> list[Row]:
    """The rows that the options name, split and verified; prints what is to be known about them."""
    return split_data(arguments).rows


def split_data(arguments: argparse.Namespace) -> DataSet:
    """The images that the options name, split and verified; prints what is to be known about them."""
    for name in ("val_fraction", "test_fraction"):
        if not 0 <= getattr(arguments, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(arguments, name)}: give 0 or more, less than 1")
    data = load_data(arguments)
    for note in data.notes:
        print(f"note: {note}")
    rows = data.rows
    if arguments.test_slides:
        rows = with_test_slides(rows, arguments.test_slides)
    if arguments.bags is not None:
        _need(arguments, "--bags", "bag")
        _within("--bags", arguments.bags, 100, least=2)
        _within("--bag", arguments.bag, arguments.bags)
        every = bagging(rows, arguments.bags, arguments.test_fraction, arguments.seed, arguments.bag_by)
        rows = every[arguments.bag - 1]
    elif arguments.kfold is not None:
        _need(arguments, "--kfold", "fold")
        _within("--kfold", arguments.kfold, 100, least=2)
        _within("--fold", arguments.fold, arguments.kfold)
        rows = k_fold(rows, arguments.kfold, arguments.fold, arguments.seed)
        rows = _with_validation(rows, arguments)
    elif arguments.folds is not None:
        check_classes(rows)
        rows = _with_validation(rows, arguments)
    elif arguments.test_slides:
        rows = [replace(row, split=row.split or "train") for row in rows]
        rows = _with_validation(rows, arguments)
    elif arguments.dataset == "breakhis-eva":
        pass  # split as it is published
    elif arguments.manifest is None and not all(row.split for row in rows):
        raise InputError("say how to split: --folds DIR --fold N (BreaKHis), --kfold K --fold N, or --bags B --bag N")
    check_classes(rows)
    check_disjoint(rows)
    if arguments.pseudo_patients:
        rows = pseudo_patients(rows, arguments.pseudo_patients)
    return replace(data, rows=rows)


def _with_validation(rows: list[Row], arguments: argparse.Namespace) -> list[Row]:
    carved, notes = carve_validation(rows, arguments.val_fraction, arguments.seed)
    for note in notes:
        print(f"note: {note}")
    return carved


def _need(arguments: argparse.Namespace, option: str, *names: str) -> None:
    missing = [f"--{name}" for name in names if getattr(arguments, name) is None]
    if missing:
        raise InputError(f"{option} needs {', '.join(missing)}")


def _within(option: str, value: int, most: int, least: int = 1) -> None:
    if not least <= value <= most:
        raise InputError(f"{option} {value}: give {least} to {most}")
