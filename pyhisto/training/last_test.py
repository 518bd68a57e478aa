"""The test of the trained network.

Caffe tests at the end only if max_iter is a multiple of test_interval; else nobody has seen how good the weights are
that a training leaves. A solver that has nothing left to do but its tests closes the gap: its log is read as any other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pyhisto.files import write_text
from pyhisto.proto import read_solver, to_text
from pyhisto.training.snapshots import Snapshot


@contextmanager
def solver_of_last_test(solver_path: Path, end: Snapshot) -> Iterator[Path]:
    """While it lasts, a solver file with which Caffe, going on from `end`, tests once and writes nothing."""
    solver = read_solver(solver_path)
    solver.max_iter = end.iteration
    solver.test_interval = 1
    solver.display = solver.snapshot = 0
    solver.snapshot_after_train = False
    with TemporaryDirectory() as folder:
        path = Path(folder, "solver.prototxt")
        write_text(path, to_text(solver))
        yield path
