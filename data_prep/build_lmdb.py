"""Build the LMDBs of one branch, DIR/train, DIR/val and DIR/test, from a data set or from a manifest."""

import argparse
import os
from pathlib import Path

from data_prep.datasets import breakhis
from data_prep.datasets.dataset import summary
from data_prep.datasets.options import add_manifest_options, manifest_rows
from data_prep.lmdbs import stain_target
from data_prep.lmdbs.augment import COPIES, KINDS
from data_prep.lmdbs.build import BuildSettings, build
from data_prep.lmdbs.verify import verify_splits
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.manifest import SPLITS, Row
from pyhisto.preprocessing import encoding
from pyhisto.preprocessing import stain as stains
from pyhisto.preprocessing.patches import MAX_RANDOM_PATCHES, RANDOM_PATCHES
from pyhisto.preprocessing.recipe import CUTS, INTERPOLATIONS, MAX_PATCH, MAX_SIZE, Preprocessing

MONITOR_IMAGES = 200
TARGETS = (stain_target.AUTHORS, stain_target.MEAN, "FILE")


def main() -> None:
    """Parse, read the manifest, build."""
    parser = Parser(description=__doc__)
    add_manifest_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--branch",
        choices=CUTS,
        required=True,
        help="the whole image, 15 patches, those of ref. [11], the central square, or three squares",
    )
    parser.add_argument("--size", type=int, default=224, help="side of the network's input (default 224)")
    parser.add_argument(
        "--random-patches", type=int, default=RANDOM_PATCHES, metavar="N",
        help="branch random: patches an image (default %(default)s, ref. [11]'s)",
    )  # fmt: skip
    parser.add_argument("--interpolation", choices=list(INTERPOLATIONS), default="linear")
    parser.add_argument(
        "--augment",
        type=int,
        default=COPIES,
        metavar="N",
        help=f"images made of a training image; 0: none (default {COPIES})",
    )
    parser.add_argument(
        "--augmentation", choices=KINDS, default=KINDS[0],
        help="rotation, flips, shear and zoom, or rotation, reflection and cropping at random (default %(default)s)",
    )  # fmt: skip
    parser.add_argument("--stain", choices=("none", *stains.METHODS), default="reinhard", help="(default reinhard)")
    parser.add_argument(
        "--stain-target", default=stain_target.AUTHORS, metavar="|".join(TARGETS),
        help=f"authors (default): {breakhis.STAIN_TARGET} if it is anywhere under the root, else as mean; "
        "mean: that of the training images; or an image, or a preprocessing.json with the target in it",
    )  # fmt: skip
    parser.add_argument(
        "--record", choices=encoding.ENCODINGS, default=encoding.DEFAULT,
        help="how records are encoded, which predictions then imitate: jpeg444, jpeg (as Caffe's convert_imageset: "
        "colour at half the resolution); png or raw, exact, if others will run the network (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--mean", type=float, nargs=3, metavar=("B", "G", "R"),
        help="of the images on which the weights to start from were trained (default: that of the training records)",
    )  # fmt: skip
    parser.add_argument(
        "--splits", nargs="+", choices=SPLITS, default=SPLITS, metavar="SPLIT",
        help="of which LMDBs are built, train always; predictions are made of images, and need none (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--monitor", type=int, default=MONITOR_IMAGES, metavar="N",
        help="if no image validates: training images, as they are, of which DIR/monitor is made for the learning "
        "curve; 0: none (default %(default)s)",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--verify", action="store_true", help="then read all back through Caffe's Data layer")
    arguments = parser.parse_args()
    largest = MAX_PATCH if arguments.branch in ("window", "random") else MAX_SIZE
    if not 1 <= arguments.size <= largest:
        raise InputError(f"--size {arguments.size}: give 1 to {largest}")
    if not 1 <= arguments.random_patches <= MAX_RANDOM_PATCHES:
        raise InputError(f"--random-patches {arguments.random_patches}: give 1 to {MAX_RANDOM_PATCHES}")
    if not 0 <= arguments.augment <= 1000:
        raise InputError(f"--augment {arguments.augment}: give 0 to 1000")
    if not 0 <= arguments.monitor <= 1_000_000:
        raise InputError(f"--monitor {arguments.monitor}: give 0 or more, up to a million")
    if arguments.mean and not all(0 <= level <= 255 for level in arguments.mean):
        raise InputError(f"--mean {' '.join(map(str, arguments.mean))}: give levels from 0 to 255")
    if arguments.out.exists():  # said before the stain target is measured
        raise InputError(f"{arguments.out}: exists already; remove it or choose another output")

    rows = manifest_rows(arguments)
    stain = choose_stain(arguments, rows)
    recipe = Preprocessing(
        arguments.branch,
        arguments.size,
        stain=stain,
        interpolation=arguments.interpolation,
        random_patches=arguments.random_patches,
        record=arguments.record,
    )
    mean = arguments.mean and tuple(arguments.mean)
    splits = tuple(split for split in SPLITS if split == "train" or split in arguments.splits)
    settings = BuildSettings(
        arguments.augment,
        arguments.augmentation,
        arguments.seed,
        arguments.workers,
        mean,
        splits,
        arguments.monitor,
    )
    recipe = build(rows, arguments.root, recipe, settings, arguments.out)
    for line in summary(rows):
        print(line)
    records = ", ".join(f"{count} {split}" for split, count in recipe.provenance.records.items())
    print(f"{arguments.out}: {records} records; mean (BGR) " + " ".join(f"{level:.3f}" for level in recipe.mean))
    if arguments.verify:
        for line in verify_splits(arguments.out, arguments.root, arguments.workers):
            print(line)


def choose_stain(arguments: argparse.Namespace, rows: list[Row]) -> stains.Stain | None:
    """The normalisation that the options ask for; says on stdout where its target comes from."""
    if arguments.stain == "none":
        return None
    stain = stain_target.choose(arguments.stain_target, arguments.stain, rows, arguments.root, arguments.workers)
    print(f"stain target: {stain.source}")
    return stain


if __name__ == "__main__":
    run(main)
