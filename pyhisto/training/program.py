"""What the programs over `solver_loop.train` share: their last options, progress, the word where a run was stopped."""

import argparse
import sys
from pathlib import Path

from pyhisto.cli import Parser
from pyhisto.training.progress import Progress
from pyhisto.training.solver_loop import MODEL, Method, train


def add_run_options(parser: Parser) -> None:
    """--restart, --restart-if-changed and --out."""
    parser.add_argument("--restart", action="store_true", help="begin anew, without the snapshots in OUT")
    parser.add_argument("--restart-if-changed", action="store_true",
                        help="begin anew where they are of other settings, networks, data or weights")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder for all results")


def train_to_the_end(
    args: argparse.Namespace, solver: Path, method: Method, folder: Path, weights: Path | None, iterations: int | None
) -> Path:
    """Train with the options of `add_run_options`, showing progress; the trained weights.

    Where a signal stopped the training, says so and exits with 130.
    """
    progress = Progress()
    try:
        outcome = train(
            solver, method, progress.watch(), folder, weights=weights, iterations=iterations,
            restart=args.restart, restart_if_changed=args.restart_if_changed,
        )  # fmt: skip
    finally:
        progress.close()
    if outcome.stopped:
        print(f"stopped at iteration {outcome.snapshot.iteration}; run the same command to go on", file=sys.stderr)
        sys.exit(130)
    return folder / MODEL
