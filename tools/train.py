"""Train a network with `caffe train`: progress, learning curve, and resuming from the newest whole snapshot.

Caffe runs in the working directory: relative paths in the prototxts start from there. Ctrl-C (or SIGTERM) makes Caffe
write a snapshot and end; the same command then goes on from it.
"""

import argparse
import sys
from contextlib import closing
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.cli.training import add_keep_snapshots, card_numbers, exit_if_stopped
from pyhisto.training.caffe_train import default_folder, train
from pyhisto.training.progress import Progress
from pyhisto.training.run import Run


def main() -> None:
    """Train, and print where the trained weights are."""
    args = parse()
    with closing(Progress(args.time_limit * 60 if args.time_limit else None)) as progress:
        folder = args.out or default_folder(args.solver)
        asked = Run(args.solver, folder, args.weights, args.restart, args.restart_if_changed, args.keep_snapshots)
        outcome = train(asked, progress.watch(), args.snapshot, args.gpu)
    exit_if_stopped(outcome)
    if outcome.already:
        print("finished already", file=sys.stderr)
    print(outcome.snapshot.weights)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solver", type=Path, required=True, metavar="F", help="solver.prototxt")
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--weights", type=Path, metavar="F", help="caffemodel to start from (layers are matched by name)"
    )
    start.add_argument(
        "--snapshot", type=Path, metavar="F", help="solverstate to go on from; default: the newest whole"
    )
    parser.add_argument("--restart", action="store_true", help="begin anew, without the solver's existing snapshots")
    parser.add_argument(
        "--restart-if-changed",
        action="store_true",
        help="begin anew if the snapshots are of other solver settings, networks, data or weights (else: an error)",
    )
    add_keep_snapshots(parser)
    parser.add_argument(
        "--gpu",
        type=card_numbers,
        default=(),
        metavar="N[,N...]",
        help="train on these cards, whatever the solver says: each adds a batch of the network's file to an iteration, "
        "so that several want a network of generate.py --cards; default: the solver's mode and device",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="for metrics.jsonl, learning_curve.png, caffe.log, run.json; default: <snapshot_prefix>_training",
    )
    parser.add_argument(
        "--time-limit", type=float, metavar="MINUTES", help="say early if the run will not finish in it"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
