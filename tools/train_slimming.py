#!/usr/bin/env python3
"""Network slimming: train with an L1 penalty on BatchNorm's scales; tools/prune.py --criterion slimming then cuts.

Writes OUT/model.caffemodel, metrics.jsonl, learning_curve.png, run.json and snapshots/. The
solver's snapshot_prefix is not used. Ctrl-C (or SIGTERM) writes a snapshot; the same command then goes on from it.

The penalty moves a scale by at most L * (sum of the learning rates) / (1 - momentum): choose an L that makes this about
1, which is where the scales start, or little will come of it.
"""

import argparse
import math
from pathlib import Path

from pyhisto.cli import Parser, positive, run
from pyhisto.cli.training import add_run_options, run_of, train_to_the_end
from pyhisto.training.regularise import Slimming


def main() -> None:
    """Train, and print where the weights are."""
    args = _parser().parse_args()
    print(train_to_the_end(run_of(args), Slimming(args.lambda_l1), args.iterations))


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solver", type=Path, required=True, metavar="F", help="solver.prototxt")
    parser.add_argument("--weights", type=Path, metavar="F", help="caffemodel to start from")
    parser.add_argument("--lambda-l1", type=_weight, default=1e-4, metavar="L",
                        help="weight of the penalty (default %(default)s)")  # fmt: skip
    parser.add_argument("--iterations", type=positive, metavar="N", help="default: the solver's max_iter")
    add_run_options(parser)
    return parser


def _weight(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is not a weight of 0 or more")
    return value


if __name__ == "__main__":
    run(main)
