#!/usr/bin/env python3
"""Write a network as a chip's tool chain takes it, with proof that it computes the same, and name what it cannot take.

Writes OUT/: the network and its weights (ONNX for ncnn and mnn), the chain's settings with mean and scale in its own
terms, calibration images and their list (--manifest), and deploy.json. Exits with 1 if the chain cannot take a layer.
"""

import argparse
import sys
from pathlib import Path

from pyhisto.cli import Parser, input_shape, positive, run
from pyhisto.deploy.calibration import choose_rows
from pyhisto.deploy.chains import CHAINS
from pyhisto.deploy.deploying import CalibrationImages, prove, read, rewrite, write
from pyhisto.errors import InputError
from pyhisto.files import refuse_existing
from pyhisto.manifest import read_manifest
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proof.demand import demand
from pyhisto.roots import add_root_options


def main() -> None:
    """Parse, rewrite, prove, write."""
    arguments = _parse()
    refuse_existing(arguments.out)
    images = _images(arguments)
    chain = CHAINS[arguments.chain]
    original = read(arguments.model, arguments.weights, arguments.images, dict(arguments.input_shape))
    deployed = rewrite(original, chain, arguments.fold)
    print(f"For {chain.title}")
    for line in deployed.changes:
        print(f"Changed: {line}")
    proof = None
    if arguments.proof:
        proof = demand(lambda: prove(deployed), arguments.model)
        print(proof.describe("the network"))
    else:
        print("No proof was asked for; deploy.json says so")
    files = write(deployed, chain, arguments.model.stem, arguments.weights, images, proof, arguments.out)
    written = arguments.out / arguments.model.name
    for found in deployed.findings:
        print(f"{found.severity}: {written}:{found.line}: {found.rule}: {found.message}")
    print(f"{arguments.out}: {len(files)} files")
    if any(finding.severity == "error" for finding in deployed.findings):
        sys.stdout.flush()
        sys.exit(1)


def _images(arguments: argparse.Namespace) -> CalibrationImages | None:
    if arguments.preprocessing is None:
        if arguments.manifest is not None:
            raise InputError("--manifest: calibration images are made by a recipe; give --preprocessing")
        return None
    preprocessing = Preprocessing.load(arguments.preprocessing)
    if arguments.manifest is None:
        return CalibrationImages(preprocessing, [], Path())
    if arguments.root is None:
        raise InputError("--manifest: give the folder of its images, --root")
    rows = choose_rows(read_manifest(arguments.manifest), arguments.calibration)
    return CalibrationImages(preprocessing, rows, arguments.root)


def _parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="chain", choices=CHAINS, required=True, help="the tool chain")
    parser.add_argument("--model", type=Path, required=True, metavar="F", help="deploy.prototxt")
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="its caffemodel")
    parser.add_argument("--fold", action="store_true", help="BatchNorm and Scale into the layers that they follow")
    parser.add_argument("--images", type=positive, default=1, metavar="N", help="at once, as chips want it fixed (1)")
    parser.add_argument("--input-shape", type=input_shape, nargs="+", default=[], metavar="data=1x3x224x224",
                        help="instead of what the file says, if it does")  # fmt: skip
    parser.add_argument("--preprocessing", type=Path, metavar="F", help="preprocessing.json, or its folder: the mean")
    parser.add_argument("--manifest", type=Path, metavar="F", help="of images to calibrate on, with --root")
    add_root_options(parser, "folder of the manifest's images", required=False)
    parser.add_argument("--calibration", type=positive, default=100, metavar="N", help="at most N of them (100)")
    parser.add_argument("--no-proof", dest="proof", action="store_false", help="write without running the network")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="must not exist yet")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
