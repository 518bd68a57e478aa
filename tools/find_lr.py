#!/usr/bin/env python3
"""Find a learning rate: train while it rises until the loss diverges, and suggest a tenth of where that starts.

Writes OUT/lr.json (the suggestion, and the curve), OUT/lr.png, and the prototxts that Caffe got; prints the suggestion.
The weights stay as they are. The solver's own base_lr and lr_policy do not count; its momentum and weight decay do.

With --last (and --weights), all other layers are frozen, as in the first phase of tools/train_phases.py.
"""

import argparse
from contextlib import closing
from pathlib import Path

from pyhisto.cli import Parser, positive, run
from pyhisto.cli.training import add_group_options, groups_of, learning_rate
from pyhisto.errors import InputError
from pyhisto.training.lr_finder import find_rate
from pyhisto.training.phases import epoch_iterations, head, write_phase
from pyhisto.training.progress import Progress
from pyhisto.training.schedules import Ramp
from pyhisto.training.solver import require_solver_cards

LEAST = 100
"""Iterations; an epoch may be a few only."""


def main() -> None:
    """Find the rate, and print it."""
    args = _parser().parse_args()
    solver = args.solver
    require_solver_cards(solver)
    iterations = args.iterations or max(LEAST, epoch_iterations(solver))
    if groups := groups_of(args):
        if args.weights is None:
            raise InputError("layers can only be frozen with --weights")
        solver = write_phase(solver, groups, head(1).shares, args.weights, args.out)
    with closing(Progress()) as progress:
        ramp = Ramp(iterations, args.start, args.end)
        curve = find_rate(solver, ramp, progress.watch(), args.out, weights=args.weights)
    print(f"{curve.suggestion:.4g}")


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solver", type=Path, required=True, metavar="F", help="solver.prototxt")
    parser.add_argument("--weights", type=Path, metavar="F", help="caffemodel to start from")
    add_group_options(parser)
    parser.add_argument(
        "--start", type=learning_rate, default=1e-5, metavar="L", help="the first rate (default %(default)s)"
    )
    parser.add_argument(
        "--end", type=learning_rate, default=10.0, metavar="L", help="the last one (default %(default)s)"
    )
    parser.add_argument("--iterations", type=positive, metavar="N",
                        help=f"default: an epoch, at least {LEAST}")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder for the results")
    return parser


if __name__ == "__main__":
    run(main)
