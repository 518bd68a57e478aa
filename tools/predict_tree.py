"""Run the networks of a tree (and a flat one beside it) over the images of a manifest and write their probabilities.

    predict_tree.py --network Carci init net/deploy.prototxt init.caffemodel lmdb/Carci/train \\
                    --network NorBe carci ... --manifest all.csv --root DIR --split test --out predictions.csv

The manifest is make_tree_manifests.py's all.csv. A network's probabilities of several crops of an image are averaged.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from pyhisto.cli import Parser, positive, run
from pyhisto.errors import InputError
from pyhisto.files import sha256, whole_files
from pyhisto.hierarchy.networks import NodeNetwork, answer, images_with_pathologies, read_network
from pyhisto.hierarchy.predictions import write_predictions
from pyhisto.hierarchy.tree import FLAT, NODES, PATHOLOGIES
from pyhisto.inference.engines import ENGINES
from pyhisto.manifest import SPLITS
from pyhisto.roots import add_root_options
from pyhisto.trail import checksums, write_trail


def main() -> None:
    """Parse, check everything, predict, write."""
    args = parse()
    with whole_files(args.out, args.out.with_suffix(".json")) as (table, beside):
        run_networks(args, table, beside)


def run_networks(args: argparse.Namespace, table: Path, beside: Path) -> None:
    """Check everything, predict, and write the predictions and what they come from."""
    images = images_with_pathologies(args.manifest, args.split)
    networks = [read_network(words, images, args.split) for words in args.network]
    if len({(network.node, network.name) for network in networks}) < len(networks):
        raise InputError("two networks of one node have the same name")
    with tqdm(total=len(networks) * len(images), desc="predict", unit=" images", mininterval=1) as bar:
        rows = (
            row
            for network in networks
            for row in answer(network, images, args.root, args.engine, args.batch_size, bar.update)
        )
        write_predictions(table, rows)
    write_trail(beside, "predict_tree", facts(args, networks, len(images)))
    print(f"{args.out}: {len(networks)} networks, {len(images)} images of split {args.split}")


def facts(args: argparse.Namespace, networks: list[NodeNetwork], images: int) -> dict[str, object]:
    """Where the predictions come from."""
    return {
        "manifest_sha256": sha256(args.manifest),
        "split": args.split,
        "images": images,
        "engine": args.engine,
        "networks": [
            {
                "node": network.node,
                "name": network.name,
                **checksums(
                    {
                        "model_sha256": network.deploy.model,
                        "weights_sha256": network.deploy.weights,
                        "preprocessing_sha256": network.recipe,
                    }
                ),
            }
            for network in networks
        ],
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--network", nargs=5, action="append", required=True,
        metavar=("NODE", "NAME", "MODEL", "WEIGHTS", "PREPROCESSING"),
        help=f"{', '.join((*NODES, FLAT))}; a name of your own; deploy.prototxt; caffemodel; the folder of the LMDB "
        "that it was trained on. May be given many times",
    )  # fmt: skip
    parser.add_argument("--manifest", type=Path, required=True, metavar="F", help=f"images of {', '.join(PATHOLOGIES)}")
    add_root_options(parser, "folder of the images")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default %(default)s")
    parser.add_argument("--engine", choices=list(ENGINES), default="caffe", help="default %(default)s")
    parser.add_argument("--batch-size", type=positive, default=12, metavar="N", help="default %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="predictions.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
