#!/usr/bin/env python3
"""Run a command on a card (GPU) that no other such command has, waiting for one if need be.

The command sees its cards alone, as 0, 1, ... (CUDA_VISIBLE_DEVICES). So two trainings on a machine of two cards:

    python tools/on_card.py python tools/train.py --solver a/solver.prototxt &
    python tools/on_card.py python tools/train.py --solver b/solver.prototxt &
"""

import argparse
import os
import sys

from pyhisto.cli import Parser, positive, run
from pyhisto.devices.cards import find_cards
from pyhisto.devices.claims import VISIBLE, claim, lock_folder, visible
from pyhisto.errors import InputError


def main() -> None:
    """Claim, and become the command."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=positive, default=1, metavar="N", help="default %(default)s")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND ...")
    args = parser.parse_args()
    if not args.command:
        parser.error("give a COMMAND")
    cards = find_cards()
    if not cards.found:
        raise InputError(f"no card is to be had here, as {cards.reason}: use a machine with one")
    claimed = claim(cards.found, args.cards, lock_folder(), lambda text: print(text, file=sys.stderr, flush=True))
    os.environ[VISIBLE] = visible(claimed.cards)
    try:
        os.execvp(args.command[0], args.command)
    except OSError as error:
        raise InputError(f"{args.command[0]}: cannot be run: {error.strerror}") from None


if __name__ == "__main__":
    run(main)
