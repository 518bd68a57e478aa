"""Turn published ResNeXt weights (torchvision's or timm's, .safetensors or .pth) into a caffemodel.

Every tensor has to find its layer and every layer its tensors. The caffemodel reads BGR images from 0 to 255 of which a
mean was subtracted: build the LMDBs with the mean that is printed.
"""

import argparse
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.nets.pretrained import IMAGENET_STD, convert, read_tensors
from pyhisto.nets.resnext import IMAGENET_MEAN
from pyhisto.proto import read_net, write_weights


def main() -> None:
    """Parse, read, convert, write."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="the published file")
    parser.add_argument(
        "--model", type=Path, required=True, metavar="F", help="deploy.prototxt from generate.py resnext"
    )
    parser.add_argument(
        "--without-classifier",
        action="store_true",
        help="for a network with another head, which starts from its fillers",
    )
    parser.add_argument(
        "--std", type=float, nargs=3, default=IMAGENET_STD, metavar=("R", "G", "B"),
        help="what the published training divided its inputs (0 to 1) by (default: ImageNet's)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="caffemodel to write")
    args = parser.parse_args()
    if not all(deviation > 0 for deviation in args.std):
        raise InputError(f"--std {' '.join(map(str, args.std))}: give three numbers above 0")
    tensors = read_tensors(args.weights)
    weights = convert(read_net(args.model), tensors, args.weights, args.without_classifier, args.std)
    write_weights(args.out, weights)
    used = sum(len(layer.blobs) - (layer.type == "BatchNorm") for layer in weights.layer)
    mean = " ".join(f"{level:g}" for level in IMAGENET_MEAN)
    print(f"{args.out}: {len(weights.layer)} layers from {used} tensors; made for inputs of mean (BGR) {mean}")


if __name__ == "__main__":
    run(main)
