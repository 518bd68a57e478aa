"""Run a network over the images of a manifest and write their probabilities (from which evaluate.py makes tables)."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from pyhisto.cli import Parser, positive, run
from pyhisto.errors import InputError
from pyhisto.evaluation.predictions import PredictionRow, write_predictions
from pyhisto.evaluation.strategies import FUSIONS
from pyhisto.files import whole_files
from pyhisto.inference.deploy import read_deploy
from pyhisto.inference.engines import AUTO, ENGINES, fastest_engine
from pyhisto.inference.inputs import check_split, find_recipe, images_of_split
from pyhisto.inference.merging import fuse_patches
from pyhisto.inference.predict import Prediction, check_agreement, predict
from pyhisto.lmdb_folder import RECIPE
from pyhisto.manifest import SPLITS
from pyhisto.preprocessing.recipe import CUTS, Preprocessing
from pyhisto.roots import add_root_options
from pyhisto.trail import checksums, write_trail


def main() -> None:
    """Parse, check, predict, write."""
    args = parse()
    with whole_files(args.out, args.out.with_suffix(".json")) as (table, beside):
        run_network(args, table, beside)


def run_network(args: argparse.Namespace, table: Path, beside: Path) -> None:
    """Check, predict, and write the predictions and what they come from."""
    rows = images_of_split(args.manifest, args.split)
    if args.branch == "random" and not args.merge:
        raise InputError("--branch random: every image has patches of its own, which no table can hold; give --merge")
    source = args.preprocessing or find_recipe(args.manifest, args.split)
    preprocessing = Preprocessing.load(source)
    deploy = read_deploy(args.model, args.weights)
    check_agreement(deploy, preprocessing, args.branch, rows)
    check_split(rows, args.split, source)
    if args.engine == AUTO:
        args.engine, engine, why = fastest_engine(deploy, args.gpu)
        if why:
            print(f"by {args.engine}, not {why.rstrip('; ')}", file=sys.stderr)
    else:
        engine = ENGINES[args.engine](deploy, args.gpu)

    predictions = predict(rows, args.root, preprocessing, engine, args.batch_size)
    if args.merge:
        predictions = fuse_patches(predictions)
    write_predictions(table, to_rows(predictions, args, len(rows)), deploy.classes)
    sources = {"manifest": args.manifest, "model": args.model, "weights": args.weights, "preprocessing": source}
    settings = {name: getattr(args, name) for name in ("engine", "branch", "name", "split")}
    write_trail(beside, "predict", {"sha256": checksums(sources), **settings, "images": len(rows)})
    print(f"{args.out}: {len(rows)} images, {args.branch} branch, by {args.engine}")


def to_rows(predictions: Iterator[Prediction], args: argparse.Namespace, images: int) -> Iterator[PredictionRow]:
    """The rows of the file, with a progress bar over images."""
    last, branch = None, "global" if args.branch == "global" else "local"
    with tqdm(total=images, desc=f"predict {args.branch}", unit=" images", mininterval=1) as bar:
        for row, patch, probabilities in predictions:
            bar.update(row.path != last)
            last = row.path
            yield PredictionRow(row.path, row.group, row.label, branch, args.name, patch, probabilities)


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
    add_root_options(parser, "folder of the images")
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
        help=f"instead of a row per patch, an image's patches merged by {', '.join(FUSIONS)}: for very many patches",
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
