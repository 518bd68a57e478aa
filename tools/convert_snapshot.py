#!/usr/bin/env python3
"""Convert a solver state after pruning, so that `caffe train --snapshot` goes on with the pruned network.

The weights that belong to the state are those that tools/prune.py pruned: prune snapshot_iter_N.caffemodel, convert
snapshot_iter_N.solverstate.
"""

import argparse
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.pruning.plan import Plan
from pyhisto.pruning.snapshot import check_pair, convert, pruned_weights
from pyhisto.solver_state import read_state, write_state


def main() -> None:
    """Parse, convert, write."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, required=True, metavar="plan.json")
    parser.add_argument("--snapshot", type=Path, required=True, metavar="F.solverstate", help="binary, or HDF5 (.h5)")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="HDF5 if the name ends in .h5")
    arguments = parser.parse_args()
    plan, state = Plan.load(arguments.plan), read_state(arguments.snapshot)
    weights = pruned_weights(plan, arguments.plan)
    check_pair(state, plan, arguments.snapshot)
    write_state(arguments.out, convert(state, plan, str(weights), arguments.snapshot))
    print(f"{arguments.out}: iteration {state.iter}, goes on from {weights}")


if __name__ == "__main__":
    run(main)
