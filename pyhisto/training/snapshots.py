"""The snapshots that `caffe train` leaves: which there are, and which are whole.

Caffe writes a snapshot's two files one after the other and in place, so that a run that was killed may leave a
truncated one, or a caffemodel without its solverstate.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.proto import SolverState, blob_array, layer_blobs, read_binary, read_weights

Array: TypeAlias = NDArray[np.floating]


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


def read_snapshot(state: Path) -> Snapshot:
    """Check that a solver state and its weights are whole and finite. Raises InputError where they are not."""
    iteration, learned, history = _read_hdf5(state) if state.suffix == ".h5" else _read_binary(state)
    weights = Path(learned)  # relative to the working directory, as Caffe itself takes it
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


def check_finite(blobs: dict[str, list[Array]], path: Path) -> None:
    """Raise InputError where a weight is NaN or infinite."""
    for name, arrays in blobs.items():
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError(f"{path}: layer '{name}' holds nan or inf: the training had diverged")


def solver_states(prefix: str) -> list[Path]:
    """The solver states of a prefix, whole or not, by iteration."""
    folder, name = Path(f"{prefix}_").parent, Path(f"{prefix}_").name
    pattern = re.compile(re.escape(name) + r"iter_(\d+)\.solverstate(\.h5)?")
    if not folder.is_dir():
        return []
    found = [(pattern.fullmatch(path.name), path) for path in folder.iterdir()]
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def _read_binary(path: Path) -> tuple[int, str, list[Array]]:
    state = read_binary(path, SolverState)
    # current_step is the last field that Caffe writes: without it a file cut between two fields would pass for whole.
    if not state.HasField("iter") or not state.learned_net or not state.HasField("current_step"):
        raise InputError(f"{path}: not a solver state, or cut short")
    try:
        return state.iter, state.learned_net, [blob_array(blob) for blob in state.history]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read_hdf5(path: Path) -> tuple[int, str, list[Array]]:
    try:
        with h5py.File(path, "r") as file:
            history = [file["history"][name][()] for name in file["history"]]
            learned = file["learned_net"][()]
            name = learned.decode() if isinstance(learned, bytes) else str(learned)
            return int(np.ravel(file["iter"][()])[0]), name.rstrip("\0"), history
    except (OSError, KeyError, ValueError, RuntimeError, IndexError):
        raise InputError(f"{path}: not an HDF5 solver state, or cut short") from None
