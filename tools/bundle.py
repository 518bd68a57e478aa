#!/usr/bin/env python3
"""Make a model one thing: a folder with networks, ONNX files, preprocessing, temperature, checksums and a model card.

--network is given once for a branch, or for a bag of models once for every member and branch. Its four parts: the
branch (global or local), deploy.prototxt, the caffemodel, and the folder that data_prep/build_lmdb.py made for it.
"""

import argparse
import os
from pathlib import Path

from pyhisto.bundle import open_bundle, pack
from pyhisto.cli import Parser, positive, run, share
from pyhisto.errors import InputError
from pyhisto.files import refuse_existing, whole_file
from pyhisto.inference.bundling import About, Source, make_bundle
from pyhisto.preprocessing.recipe import BRANCHES
from pyhisto.roots import add_root_options

CAUTION = (
    "Diagnosis, treatment or any other decision about patients; tissue, stains or magnifications other than those it "
    "was trained on."
)


def main() -> None:
    """Parse, make, check what was made."""
    args = parse()
    sources = [Source(branch, Path(model), Path(weights), Path(lmdb)) for branch, model, weights, lmdb in args.network]
    for source in sources:
        if source.branch not in BRANCHES:
            raise InputError(f"--network {source.branch}: a bundle's branches are {' and '.join(BRANCHES)}")
    if args.zip:
        refuse_existing(args.zip)
    about = About(
        args.name, args.purpose, tuple(args.classes), args.weight, args.mpp, args.data, args.licence, args.caution,
        args.notes.read_text(encoding="utf-8").strip() if args.notes else "",
    )  # fmt: skip
    made = make_bundle(sources, args.root, about, args.workers, args.out)
    with open_bundle(args.out) as bundle:
        if test := made.results["test"]:
            print(
                f"test: {test['right']} of {test['images']} right ({test['accuracy']:.1%}, {test['low']:.1%} to "
                f"{test['high']:.1%}; the most frequent class {test['majority']:.1%}); expected calibration error "
                f"{test['ece_before']:.1%}, at temperature {made.temperature:g} {test['ece']:.1%}"
            )
        print(f"{args.out}: {made.name}, version {bundle.version}")
    if args.zip:
        with whole_file(args.zip) as partial:
            pack(args.out, partial)
        print(args.zip)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--network", nargs=4, action="append", required=True, metavar=("BRANCH", "MODEL", "WEIGHTS", "LMDB")
    )
    add_root_options(parser, "folder of the manifest's images")
    parser.add_argument("--name", required=True, help="what the model is called")
    parser.add_argument("--purpose", required=True, help="what it was trained for, in a sentence without its full stop")
    parser.add_argument("--classes", nargs="+", required=True, metavar="NAME", help="names of the classes, from 0")
    parser.add_argument(
        "--lambda", dest="weight", type=share, default=0.6, metavar="L", help="local's part (default %(default)s)"
    )
    parser.add_argument(
        "--mpp", type=float, metavar="UM", help="micrometres per pixel of the training images; slides need it"
    )
    parser.add_argument("--data", default="Not stated", help="what it was trained on, for the card")
    parser.add_argument("--licence", default="not stated", help="of these data")
    parser.add_argument("--caution", default=CAUTION, help="what it must not be used for")
    parser.add_argument("--notes", type=Path, metavar="F", help="a text on how it was made, for the card")
    parser.add_argument("--workers", type=positive, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--zip", type=Path, metavar="F", help="write it as a zip, too")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
