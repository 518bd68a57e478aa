#!/usr/bin/env python3
"""Measure the BatchNorm statistics of a network anew over training batches, exactly, with nothing learned. Needs Caffe.

After a pruning they are still those of the network before it. The batches are those that the training network
(train_val.prototxt) reads; --test says what the validation records make of the network before and after.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from pyhisto.cli import Parser, positive, run
from pyhisto.errors import InputError
from pyhisto.proto import TEST, Net, read_net, read_weights, write_weights
from pyhisto.pruning.validation import Validation
from pyhisto.training.recalibration import recalibrate


def main() -> None:
    """Parse, measure, write, print."""
    arguments = _parse()
    if arguments.out.exists():
        raise InputError(f"{arguments.out}: exists already; remove it or choose another --out")
    if arguments.test:
        print(f"before: {_tested(arguments, read_weights(arguments.weights))}")

    def bar(batches: range) -> tqdm:
        return tqdm(batches, "recalibration", unit=" batches", mininterval=1)

    found = recalibrate(arguments.model, arguments.weights, arguments.batches, bar, arguments.gpu)
    write_weights(arguments.out, found.weights)
    print(
        f"{len(found.layers)} BatchNorm layers over {found.batches} batches; a mean moved by at most "
        f"{found.largest_shift:.2g} of its old standard deviation"
    )
    if arguments.test:
        print(f"after: {_tested(arguments, found.weights)}")
    print(arguments.out)


def _tested(arguments: argparse.Namespace, weights: Net) -> str:
    validation = Validation(read_net(arguments.model, lenient=True), TEST, weights, arguments.model, gpu=arguments.gpu)
    score = validation.score()
    accuracy = "" if score.accuracy is None else f", accuracy {score.accuracy:.4f}"
    return f"loss {score.loss:.4f}{accuracy} on {validation.records} validation records"


def _parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="F", help="train_val.prototxt")
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="its caffemodel")
    parser.add_argument("--batches", type=positive, default=100, metavar="N", help="to measure on (default 100)")
    parser.add_argument("--test", action="store_true", help="run the validation records before and after")
    parser.add_argument("--gpu", type=int, metavar="N", help="run on this card")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="caffemodel to write; must not exist yet")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
