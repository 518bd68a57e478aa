"""Run a network over the images of a manifest and write their probabilities (from which evaluate.py makes tables)."""

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
from tqdm import tqdm

import pyhisto
from pyhisto.cli import Parser, positive, run
from pyhisto.errors import InputError
from pyhisto.evaluation.predictions import Row as PredictionRow
from pyhisto.evaluation.predictions import write_predictions
from pyhisto.evaluation.strategies import FUSIONS
from pyhisto.files import sha256, whole_files, write_text
from pyhisto.inference.deploy import read_deploy
from pyhisto.inference.engines import AUTO, ENGINES, fastest_engine
from pyhisto.inference.predict import Prediction, check_agreement, check_unseen, predict
from pyhisto.lmdb_folder import RECIPE, LmdbFolder
from pyhisto.manifest import SPLITS, read_manifest
from pyhisto.preprocessing.recipe import CUTS, Preprocessing


def main() -> None:
    """Parse, check, predict, write."""
    args = parse()
    with whole_files(args.out, args.out.with_suffix(".json")) as (table, beside):
        run_network(args, table, beside)


def run_network(args: argparse.Namespace, table: Path, beside: Path) -> None:
    """Check, predict, and write the predictions and what they come from."""
    rows = [row for row in read_manifest(args.manifest) if row.split == args.split]
    if not rows:
        raise InputError(f"{args.manifest}: has no image of split {args.split}")
    if args.branch == "random" and not args.merge:
        raise InputError("--branch random: every image has patches of its own, which no table can hold; give --merge")
    source = args.preprocessing or default_preprocessing(args.manifest, args.split)
    preprocessing = Preprocessing.load(source)
    deploy = read_deploy(args.model, args.weights)
    check_agreement(deploy, preprocessing, args.branch, rows)
    trained_on = LmdbFolder.of_recipe(source).manifest
    if args.split != "train" and trained_on.is_file():
        check_unseen(rows, read_manifest(trained_on))
    if args.engine == AUTO:
        args.engine, engine, why = fastest_engine(deploy, args.gpu)
        if why:
            print(f"by {args.engine}, not {why.rstrip('; ')}", file=sys.stderr)
    else:
        engine = ENGINES[args.engine](deploy, args.gpu)

    predictions = predict(rows, args.root, preprocessing, engine, args.batch_size)
    if args.merge:
        predictions = merged(predictions)
    write_predictions(table, written(predictions, args, len(rows)), deploy.classes)
    write_text(beside, json.dumps(trail(args, source, len(rows)), indent=2) + "\n")
    print(f"{args.out}: {len(rows)} images, {args.branch} branch, by {args.engine}")


def trail(args: argparse.Namespace, preprocessing: Path, images: int) -> dict[str, object]:
    """Where the predictions come from; written beside them."""
    sources = {"manifest": args.manifest, "model": args.model, "weights": args.weights, "preprocessing": preprocessing}
    return {
        "program": "predict",
        "pyhisto": pyhisto.__version__,
        "sha256": {name: sha256(path / RECIPE if path.is_dir() else path) for name, path in sources.items()},
        "engine": args.engine,
        "branch": args.branch,
        "name": args.name,
        "split": args.split,
        "images": images,
    }


def merged(predictions: Iterator[Prediction]) -> Iterator[Prediction]:
    """The patches of each image by each of FUSIONS, whose name then stands for the patch: three rows an image."""
    for _, patches in groupby(predictions, key=lambda prediction: prediction.row.path):
        whole = list(patches)
        probabilities = [np.array([patch.probabilities]) for patch in whole]
        for rule, fuse in FUSIONS.items():
            yield Prediction(whole[0].row, rule, tuple(map(float, fuse(probabilities)[0])))


def written(predictions: Iterator[Prediction], args: argparse.Namespace, images: int) -> Iterator[PredictionRow]:
    """The rows of the file, with a progress bar over images."""
    last, branch = None, "global" if args.branch == "global" else "local"
    with tqdm(total=images, desc=f"predict {args.branch}", unit=" images", mininterval=1) as bar:
        for row, patch, probabilities in predictions:
            bar.update(row.path != last)
            last = row.path
            yield PredictionRow(row.path, row.group, row.label, branch, args.name, patch, probabilities)


def default_preprocessing(manifest: Path, split: str) -> Path:
    """The preprocessing.json of the LMDBs that a manifest came with: beside it, or in the split's folder beside it."""
    places = [manifest.parent / RECIPE, manifest.parent / split / RECIPE]
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"{places[0]}: no such file; give --preprocessing the one that the network was trained with")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, metavar="F", help="deploy.prototxt")
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="its caffemodel")
    parser.add_argument(
        "--engine", choices=[AUTO, *ENGINES], default=AUTO, help="auto (default): the fastest installed"
    )
    parser.add_argument("--gpu", type=int, metavar="N", help="run on this GPU (default: on the CPU)")
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="F", help="the images, their classes and splits"
    )
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the images")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default %(default)s")
    parser.add_argument(
        "--branch",
        choices=CUTS,
        required=True,
        help="global: whole images; local: 15 patches each; else: see build_lmdb.py",
    )
    parser.add_argument(
        "--merge",
        action="store_true",
        help=f"instead of a row a patch, an image's patches merged by {', '.join(FUSIONS)}: for very many patches",
    )
    parser.add_argument("--preprocessing", type=Path, metavar="F", help=f"default: {RECIPE} beside the manifest")
    parser.add_argument("--name", default="model", help="the model's name in the file, one for both branches")
    parser.add_argument("--batch-size", type=positive, default=15, metavar="N", help="default %(default)s")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="F",
        help="predictions.csv; predictions.json beside it says from what",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
