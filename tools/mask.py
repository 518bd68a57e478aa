#!/usr/bin/env python3
"""Zero the channels that a plan removes, in the network's own shape: what it computes before anything is cut out.

Weights that make, normalise or read a removed channel become zero, so that the squeeze of an SE block sees it no more,
either; the masked network then computes what the pruned one does (which tools/prune.py proves).
"""

import argparse
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.proto import write_weights
from pyhisto.pruning.masking import mask_weights
from pyhisto.pruning.plan import Plan
from pyhisto.pruning.pruner import LoadedNetwork


def main() -> None:
    """Parse, mask, write."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="F", help="the network before it was pruned")
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="its caffemodel")
    parser.add_argument("--plan", type=Path, required=True, metavar="plan.json", help="from tools/prune.py")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="caffemodel to write; must not exist yet")
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise InputError(f"{arguments.out}: exists already; remove it or choose another --out")
    network = LoadedNetwork.read(arguments.model, [], arguments.weights, {})
    plan = Plan.load(arguments.plan)
    write_weights(arguments.out, mask_weights(network, plan, arguments.plan))
    for layer, (channels, kept) in plan.layers.items():
        print(f"{layer}: {channels - len(kept)} of {channels} channels masked")
    print(arguments.out)


if __name__ == "__main__":
    run(main)
