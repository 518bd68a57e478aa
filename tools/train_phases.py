#!/usr/bin/env python3
"""Fine-tune a pretrained network as Kone & Boulmane 2018 do: its head alone, then middle and last layers, by SGDR.

Phase `head`: only the --last layers learn, for 3 epochs, with a restart after each. Phase `fine`: they and, at a share
of the rate, the --middle layers learn, in cycles. Other layers stay as they are, BatchNorm statistics included. The
learning rate falls along a cosine in each cycle and then jumps back; tools/find_lr.py finds the highest.

Writes OUT/head and OUT/fine, each with model.caffemodel, the network as trained, metrics.jsonl, learning_curve.png,
run.json and snapshots/, and OUT/schedule.png. Of the solver, base_lr, lr_policy, max_iter, test_interval and
snapshot_prefix do not count. Ctrl-C (or SIGTERM) writes a snapshot; the same command then goes on from it.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from pyhisto import cli
from pyhisto.cli import Parser, positive, ratio
from pyhisto.cli.training import add_group_options, add_run_options, groups_of, learning_rate, run_of, train_to_the_end
from pyhisto.errors import InputError
from pyhisto.training.lr_finder import read_suggestion
from pyhisto.training.phases import epoch_iterations, fine, head, save_schedule, write_phase
from pyhisto.training.scheduled_sgd import ScheduledSgd
from pyhisto.training.solver import require_solver_cards


def main() -> None:
    """Train phase by phase, and print where the weights are."""
    args = _parser().parse_args()
    require_solver_cards(args.solver)
    rate = args.lr or read_suggestion(args.lr_from)
    groups = groups_of(args)
    if not groups:
        raise InputError("say which layers are the --last ones")
    epoch = args.epoch_iterations or epoch_iterations(args.solver)
    phases = (head(args.head_epochs), fine(args.middle_share, args.cycles, args.cycle_epochs, args.cycle_mult))
    save_schedule(args.out / "schedule.png", phases, rate, epoch)
    weights = args.weights
    for phase in phases:
        schedule = phase.schedule(rate, epoch)
        solver = write_phase(
            args.solver, groups, phase.shares, weights, args.out / phase.name,
            base_lr=rate, max_iter=schedule.end(phase.cycles), test_interval=epoch,
        )  # fmt: skip
        run = replace(run_of(args), solver=solver, folder=solver.parent, weights=weights)
        weights = train_to_the_end(run, ScheduledSgd(schedule))
    print(weights)


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solver", type=Path, required=True, metavar="F", help="solver.prototxt")
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="caffemodel of the pretrained network")
    rates = parser.add_mutually_exclusive_group(required=True)
    rates.add_argument("--lr", type=learning_rate, metavar="L", help="the highest learning rate")
    rates.add_argument("--lr-from", type=Path, metavar="F", help="lr.json of tools/find_lr.py")
    add_group_options(parser)
    parser.add_argument("--head-epochs", type=positive, default=3, metavar="N", help="default %(default)s")
    parser.add_argument("--middle-share", type=ratio, default=1 / 3, metavar="S",
                        help="of the rate, for the middle layers (default 1/3)")  # fmt: skip
    parser.add_argument("--cycles", type=positive, default=3, metavar="N", help="of phase fine (default %(default)s)")
    parser.add_argument("--cycle-epochs", type=positive, default=1, metavar="N",
                        help="epochs of the first cycle (default %(default)s)")  # fmt: skip
    parser.add_argument("--cycle-mult", type=positive, default=2, metavar="N",
                        help="a cycle is so many times as long as the one before (default %(default)s)")  # fmt: skip
    parser.add_argument("--epoch-iterations", type=positive, metavar="N",
                        help="length of an epoch, if the training images are not in an LMDB")  # fmt: skip
    add_run_options(parser)
    return parser


if __name__ == "__main__":
    cli.run(main)
