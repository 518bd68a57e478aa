"""The snapshots that `caffe train` leaves: which there are, and which are whole.

Caffe writes a snapshot's two files one after the other and in place, so that a run that was killed may leave a
truncated one, or a caffemodel without its solverstate.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.proto import blob_array, layer_blobs, read_weights
from pyhisto.solver_state import read_state

ITERATION = re.compile(r"_iter_(\d+)\.(?:caffemodel|solverstate)(?:\.h5)?$")
"""How Caffe ends the names of a snapshot's files."""


@dataclass(frozen=True)
class Snapshot:
    """A solver state and the weights that belong to it."""

    iteration: int
    state: Path
    weights: Path


def newest_whole(prefix: str, note: Callable[[str], None]) -> Snapshot | None:
    """The newest whole snapshot of a solver's prefix; `note` is told of each newer one that is not, and why."""
    for state in reversed(solver_states(prefix)):
        try:
            return read_snapshot(state)
        except InputError as error:
            note(f"passed over: {error}")
    return None


def remove_older(prefix: str, keep: int) -> list[Path]:
    """Remove what lies before the newest `keep` whole snapshots of a solver's prefix; the files that are gone.

    With fewer whole ones than that nothing goes.
    """
    whole = 0
    for state in reversed(solver_states(prefix)):
        with suppress(InputError):
            oldest, whole = read_snapshot(state).iteration, whole + 1
        if whole == keep:
            break
    else:
        return []
    gone = [path for iteration, path in _files(prefix) if iteration < oldest]
    for path in gone:
        path.unlink()
    return gone


def read_snapshot(state: Path) -> Snapshot:
    """Check that a solver state and its weights are whole, finite, and of one iteration. Raises InputError."""
    iteration, learned, history = _read(state)
    weights = Path(learned)  # relative to the working directory, as Caffe itself takes it
    for file in (state, weights):
        named = ITERATION.search(file.name)
        if named and int(named[1]) != iteration:
            raise InputError(
                f"{state}: is of iteration {iteration}, but {'its weights are' if file is weights else 'it is'} called "
                f"{file}; which of the two is meant?"
            )
    if not weights.is_file():
        raise InputError(f"{state}: its weights {weights} are not there")
    try:
        blobs = layer_blobs(read_weights(weights))
    except InputError as error:
        raise InputError(f"{weights}: {error}" if str(weights) not in str(error) else str(error)) from None
    check_finite(blobs, weights)
    if not all(np.isfinite(array).all() for array in history):
        raise InputError(f"{state}: holds nan or inf")
    return Snapshot(iteration, state, weights)


def check_finite(blobs: dict[str, list[Floats]], path: Path) -> None:
    """Raise InputError if a weight is NaN or infinite."""
    for name, arrays in blobs.items():
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError(f"{path}: layer '{name}' holds nan or inf: the training had diverged")


def solver_states(prefix: str) -> list[Path]:
    """The solver states of a prefix, whole or not, by iteration."""
    return [path for _, path in _files(prefix) if path.name.removesuffix(".h5").endswith(".solverstate")]


def _files(prefix: str) -> list[tuple[int, Path]]:
    """The files of the snapshots of a prefix, by iteration: weights, solver states, and a method's own state."""
    folder, name = Path(f"{prefix}_").parent, Path(f"{prefix}_").name
    pattern = re.compile(re.escape(name) + r"iter_(\d+)\.(?:(?:caffemodel|solverstate)(?:\.h5)?|state)")
    if not folder.is_dir():
        return []
    found = [(pattern.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in found if match)


def _read(path: Path) -> tuple[int, str, list[Floats]]:
    """Iteration, the name of the weights, and the history."""
    state = read_state(path)
    # current_step is the last field that Caffe writes: without it a file cut between two fields would pass for whole.
    if not state.HasField("iter") or not state.learned_net or not state.HasField("current_step"):
        raise InputError(f"{path}: not a solver state, or cut short")
    try:
        return state.iter, state.learned_net, [blob_array(blob) for blob in state.history]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
