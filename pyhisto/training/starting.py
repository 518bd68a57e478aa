"""Starting a training from given weights.

`caffe train --weights` is not to be relied on: some Caffes, the one that `make setup` builds among them, read the
option and start from noise without a word. All of them go on from a snapshot: so one of iteration 0 is written first.
"""

import subprocess
import sys
from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.training.caffe_program import caffe_environment
from pyhisto.training.log import failure
from pyhisto.training.snapshots import Snapshot, read_snapshot, solver_states
from pyhisto.training.solver import Solver

PROGRAM = """
import sys
import caffe
solver = caffe.get_solver(sys.argv[1])
solver.net.copy_from(sys.argv[2])
solver.snapshot()
"""
"""In a process of its own: where Caffe refuses something it aborts."""


def snapshot_of_weights(solver: Solver, weights: Path) -> Snapshot:
    """Write the solver's snapshot of iteration 0, with the weights (matched by layer name) and nothing else learned.

    Raises InputError where Caffe refuses the network or the weights.
    """
    Path(f"{solver.prefix}_").parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", PROGRAM, str(solver.path), str(weights)]
    done = subprocess.run(command, capture_output=True, text=True, env=caffe_environment(), check=False)
    if done.returncode:
        raise InputError(f"{solver.path}: cannot start from {weights}: {failure(done.stderr.splitlines())}")
    return read_snapshot(solver_states(solver.prefix)[0])
