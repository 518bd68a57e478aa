"""What the training programs share: options, progress, what is said if a run was stopped."""

import argparse
import math
import sys
from contextlib import closing
from pathlib import Path

from pyhisto.cli import Parser, natural, positive
from pyhisto.errors import InputError
from pyhisto.training.groups import LAST, MIDDLE, Groups, groups_by_pattern, read_groups
from pyhisto.training.phases import read_training_net
from pyhisto.training.progress import Progress
from pyhisto.training.run import Run, TrainingOutcome
from pyhisto.training.solver_loop import MODEL, TrainingMethod, train


def add_run_options(parser: Parser) -> None:
    """--restart, --restart-if-changed, --keep-snapshots and --out."""
    parser.add_argument("--restart", action="store_true", help="begin anew, without the snapshots in OUT")
    parser.add_argument("--restart-if-changed", action="store_true",
                        help="begin anew if they are of other settings, networks, data or weights")  # fmt: skip
    add_keep_snapshots(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder for all results")


def add_keep_snapshots(parser: Parser) -> None:
    """--keep-snapshots."""
    parser.add_argument(
        "--keep-snapshots",
        type=positive,
        metavar="N",
        help="remove all but the newest N whole snapshots, those of earlier runs too; default: all stay",
    )


def run_of(args: argparse.Namespace) -> Run:
    """What `add_run_options` was given, for args.solver and args.weights."""
    return Run(args.solver, args.out, args.weights, args.restart, args.restart_if_changed, args.keep_snapshots)


def train_to_the_end(run: Run, method: TrainingMethod, iterations: int | None = None) -> Path:
    """Train over `solver_loop`, showing progress; the trained weights.

    If a signal stopped the training, says so and exits with 130.
    """
    with closing(Progress()) as progress:
        outcome = train(run, method, progress.watch(), iterations)
    exit_if_stopped(outcome)
    return run.folder / MODEL


def exit_if_stopped(outcome: TrainingOutcome) -> None:
    """If a signal stopped the training: say so, and exit with 130."""
    if outcome.stopped:
        print(f"stopped at iteration {outcome.snapshot.iteration}; run the same command to go on", file=sys.stderr)
        sys.exit(130)


def add_group_options(parser: Parser) -> None:
    """--groups, --middle and --last."""
    parser.add_argument("--last", nargs="+", default=[], metavar="P",
                        help="the last layers, by name or pattern (quoted): those that are new")  # fmt: skip
    parser.add_argument("--middle", nargs="+", default=[], metavar="P", help="the middle layers; others are the first")
    parser.add_argument("--groups", type=Path, metavar="F",
                        help='instead of both: JSON, {"layer": "first", "middle" or "last", ...}')  # fmt: skip


def groups_of(args: argparse.Namespace) -> Groups:
    """What `add_group_options` was given, for the network of args.solver; empty: nothing. Raises InputError."""
    if args.groups and (args.last or args.middle):
        raise InputError("give --groups, or --last and --middle, not both")
    net, file = read_training_net(args.solver)
    if args.groups:
        return read_groups(args.groups, net, file)
    return groups_by_pattern(net, {MIDDLE: args.middle, LAST: args.last}, file)


def card_numbers(text: str) -> tuple[int, ...]:
    """argparse type: cards as `caffe train --gpu` takes them, as in 0,1; none twice."""
    numbers = tuple(natural(number) for number in text.split(","))
    if len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"{text} names a card twice")
    return numbers


def learning_rate(text: str) -> float:
    """argparse type: a number above 0."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value
