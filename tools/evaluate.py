"""Score predictions by the paper's strategies, without running a network: IL, PL, kappa, PPV, F1, intervals."""

import argparse
import json
from contextlib import nullcontext
from pathlib import Path

from pyhisto.cli import Parser, natural, run, share
from pyhisto.evaluation.predictions import read_predictions
from pyhisto.evaluation.score_tables import evaluation_table
from pyhisto.evaluation.strategies import FUSIONS, NOTEBOOK, STRATEGIES, evaluate, list_strategies
from pyhisto.evaluation.voting import LAMBDA, NOTEBOOK_WEIGHTS
from pyhisto.files import filled_folder, read_json, sha256, write_text
from pyhisto.tables.formats import to_text, write_tables
from pyhisto.versions import versions


def main() -> None:
    """Read the predictions, print and write the table."""
    args = parse()
    with filled_folder(args.out) if args.out else nullcontext() as out:
        score(args, out)


def score(args: argparse.Namespace, out: Path | None) -> None:
    """Score the predictions, print the table, and write it into the folder `out`."""
    predictions = read_predictions(args.predictions)
    strategies = args.strategy or list_strategies(predictions)
    results = evaluate(predictions, strategies, args.weight, args.models, args.magnification, args.seed)
    table = evaluation_table(predictions, results, args.weight)
    print(to_text(table))
    if out:
        write_tables(out, [table])
        settings = {
            "program": "evaluate",
            "predictions": {str(path): describe_source(path) for path in args.predictions},
            "strategies": strategies,
            "lambda": args.weight,
            "fusions": args.models,
            "magnification": args.magnification,
            "bootstrap_seed": args.seed,
            "versions": versions(),
        }
        write_text(out / "run.json", json.dumps(settings, indent=2) + "\n")


def describe_source(path: Path) -> dict[str, object]:
    """What a predictions file is, and what predict.py wrote beside it: from which manifest, network and weights."""
    beside = path.with_suffix(".json")
    made_from = read_json(beside) if beside.is_file() else None
    return {"sha256": sha256(path), "made_from": made_from}


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, metavar="F", help="from predict.py")
    parser.add_argument(
        "--strategy",
        nargs="+",
        choices=[*STRATEGIES, NOTEBOOK],
        help="1 global, 2 local (average), 2max local (majority), 3 and 3max hybrid, notebook: the authors' published "
        "rule; default: all but notebook for which the files have the branches",
    )
    parser.add_argument("--lambda", type=share, default=LAMBDA, dest="weight", metavar="L", help="default %(default)s")
    parser.add_argument(
        "--models", nargs="+", choices=[*FUSIONS], default=[*FUSIONS], help="fusion of several models; default all"
    )
    parser.add_argument("--magnification", choices=[*NOTEBOOK_WEIGHTS], help="for the notebook's weights")
    parser.add_argument("--seed", type=natural, default=0, help="of the bootstrap over patients; default %(default)s")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write tables/evaluation.csv and .md, and run.json")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
