"""Run the networks of a tree (and a flat one beside it) over the images of a manifest and write their probabilities.

    predict_tree.py --network Carci init net/deploy.prototxt init.caffemodel lmdb/Carci/train \\
                    --network NorBe carci ... --manifest all.csv --root DIR --split test --out predictions.csv

The manifest is make_tree_manifests.py's all.csv. A network's probabilities of several crops of an image are averaged.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

import pyhisto
from pyhisto.cli import Parser, positive, run
from pyhisto.errors import InputError
from pyhisto.files import sha256, whole_files, write_text
from pyhisto.hierarchy.predictions import Row, write_predictions
from pyhisto.hierarchy.tree import FLAT, NODES, PATHOLOGIES, class_count, class_in, pathology_of
from pyhisto.inference.deploy import Deploy, read_deploy
from pyhisto.inference.engines import ENGINES
from pyhisto.inference.predict import check_agreement, check_unseen, predict
from pyhisto.lmdb_folder import RECIPE, LmdbFolder
from pyhisto.manifest import SPLITS, read_manifest
from pyhisto.manifest import Row as Image
from pyhisto.preprocessing.recipe import Preprocessing


@dataclass(frozen=True)
class Network:
    """One of the command line's networks, checked."""

    node: str
    name: str
    deploy: Deploy
    preprocessing: Preprocessing
    source: Path


def main() -> None:
    """Parse, check everything, predict, write."""
    args = parse()
    with whole_files(args.out, args.out.with_suffix(".json")) as (table, beside):
        run_networks(args, table, beside)


def run_networks(args: argparse.Namespace, table: Path, beside: Path) -> None:
    """Check everything, predict, and write the predictions and what they come from."""
    images = [
        replace(image, subtype=pathology_of(image.subtype, f"{args.manifest}: {image.path}"))
        for image in read_manifest(args.manifest)
        if image.split == args.split
    ]
    if not images:
        raise InputError(f"{args.manifest}: has no image of split {args.split}")
    networks = [read_network(entry, images, args.split) for entry in args.network]
    if len({(network.node, network.name) for network in networks}) < len(networks):
        raise InputError("two networks of one node have the same name")
    with tqdm(total=len(networks) * len(images), desc="predict", unit=" images", mininterval=1) as bar:
        rows = (row for network in networks for row in answers(network, images, args, bar))
        write_predictions(table, rows)
    write_text(beside, json.dumps(trail(args, networks, len(images)), indent=2) + "\n")
    print(f"{args.out}: {len(networks)} networks, {len(images)} images of split {args.split}")


def read_network(entry: Sequence[str], images: list[Image], split: str) -> Network:
    """Check one --network against its node, its preprocessing and what it was trained on. Raises InputError."""
    node, name, (model, weights, source) = entry[0], entry[1], map(Path, entry[2:])
    if node not in (*NODES, FLAT):
        raise InputError(f"--network {node}: not a node; give {', '.join((*NODES, FLAT))}")
    deploy, preprocessing = read_deploy(model, weights), Preprocessing.load(source)
    labels = [(image, class_in(node, image.subtype)) for image in images]
    own = [replace(image, label=label) for image, label in labels if label is not None]
    check_agreement(deploy, preprocessing, preprocessing.branch, own or [replace(images[0], label=0)])
    if deploy.classes != class_count(node):
        raise InputError(f"{model}: has {deploy.classes} classes, {node} asks for {class_count(node)}")
    trained_on = LmdbFolder.of_recipe(source).manifest
    if split != "train" and trained_on.is_file():
        check_unseen(images, read_manifest(trained_on))
    return Network(node, name, deploy, preprocessing, source)


def answers(network: Network, images: list[Image], args: argparse.Namespace, bar: tqdm) -> Iterator[Row]:
    """A network's answer to every image, the mean over its crops."""
    engine = ENGINES[args.engine](network.deploy)
    crops = network.preprocessing.patches_per_image
    collected: list[tuple[float, ...]] = []
    for image, _, probabilities in predict(images, args.root, network.preprocessing, engine, args.batch_size):
        collected.append(probabilities)
        if len(collected) == crops:
            mean = tuple(np.mean(collected, axis=0).tolist())
            collected.clear()
            bar.update()
            split_by = image.extra.get("split_by", "patient" if image.patient else "image")
            yield Row(image.path, image.group, image.subtype, split_by, network.node, network.name, mean)


def trail(args: argparse.Namespace, networks: list[Network], images: int) -> dict[str, object]:
    """Where the predictions come from; written beside them."""
    return {
        "program": "predict_tree",
        "pyhisto": pyhisto.__version__,
        "manifest_sha256": sha256(args.manifest),
        "split": args.split,
        "images": images,
        "engine": args.engine,
        "networks": [
            {
                "node": network.node,
                "name": network.name,
                "model_sha256": sha256(network.deploy.model),
                "weights_sha256": sha256(network.deploy.weights),
                "preprocessing_sha256": sha256(network.source / RECIPE if network.source.is_dir() else network.source),
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
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the images")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default %(default)s")
    parser.add_argument("--engine", choices=list(ENGINES), default="caffe", help="default %(default)s")
    parser.add_argument("--batch-size", type=positive, default=12, metavar="N", help="default %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="predictions.csv")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
