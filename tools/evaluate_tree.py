"""Score a tree's predictions, without running a network again: nodes, whole systems, ensembles, the flat network.

    evaluate_tree.py --predictions test.csv --validation val.csv --out results \\
        --system single Carci=init 'NorBe=imagenet|carci' 'InvIs=imagenet|carci' \\
        --system ensemble Carci=init,ext,whole,snapshot NorBe=... InvIs=... --system flat Flat=flat

A|B is the better of the two on the validation images; A,B are an ensemble. Without --system: an ensemble of all models
that there are; each network by itself, if they make no tree.
"""

import argparse
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.files import read_object
from pyhisto.hierarchy.decide import PAPERS_ROUTING, ROUTINGS
from pyhisto.hierarchy.predictions import TreePredictions, read_predictions
from pyhisto.hierarchy.report import Evaluation, all_tables, verdicts, write_report
from pyhisto.hierarchy.systems import Choice, System, choose, evaluate, parse_system
from pyhisto.hierarchy.tree import FLAT, NODES
from pyhisto.tables.formats import to_text


def main() -> None:
    """Read, score, print, write."""
    args = parse()
    predictions = read_predictions(args.predictions)
    validation = read_predictions(args.validation) if args.validation else None
    systems = [parse_system(words[0], words[1:]) for words in args.system or []] or everything(predictions)
    scores, choices = [], list[Choice]()
    for system in systems:
        models, made = choose(system, validation)
        choices += made
        routings = args.routing if system.is_tree else args.routing[:1]
        scores += [evaluate(system, models, predictions, routing) for routing in routings]
    evaluation = Evaluation(scores, choices, predictions, validation, args.split)
    if args.out:
        path, tables = write_report(args.out, evaluation, read_object(args.settings) if args.settings else {})
    else:
        path, tables = None, all_tables(evaluation, beside_paper=False)
    print(to_text(tables[0]))
    for line in verdicts(scores):
        print(line)
    if path:
        print(path)


def everything(predictions: TreePredictions) -> list[System]:
    """An ensemble of all models of every node, and the flat network, as far as there are any.

    If nodes are missing, there is no tree; then each network is scored by itself alone.
    """
    found = []
    if all(predictions.models(node) for node in NODES):
        found.append(parse_system("tree", [f"{node}={','.join(predictions.models(node))}" for node in NODES]))
    if predictions.models(FLAT):
        found.append(parse_system("flat", [f"{FLAT}={','.join(predictions.models(FLAT))}"]))
    return found


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=Path, required=True, metavar="F", help="from predict_tree.py")
    parser.add_argument("--validation", type=Path, metavar="F", help="of the validation images, to choose by")
    parser.add_argument(
        "--split", default="test", choices=("test", "val"), help="what the predictions are of (default %(default)s)"
    )
    parser.add_argument(
        "--system", nargs="+", action="append", metavar=("NAME", "NODE=MODELS"), help="may be given many times"
    )
    parser.add_argument(
        "--routing", nargs="+", choices=list(ROUTINGS), default=[PAPERS_ROUTING],
        help="path: the more probable answer says who asks next, as in the paper (default); product: probabilities are "
        "multiplied along each way",
    )  # fmt: skip
    parser.add_argument("--settings", type=Path, metavar="F", help="the run's settings (JSON), for the report")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write tables/, figures/ and report.html")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
