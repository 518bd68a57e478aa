"""Solver states, the second half of a snapshot: the iteration, the name of the weights, and the solver's history.

Binary (a SolverState message) or HDF5, told apart by the name's ending, as Caffe does.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pyhisto.errors import InputError
from pyhisto.files import whole_file
from pyhisto.hdf5 import hdf5_arrays, hdf5_item, new_hdf5, numbered, open_hdf5
from pyhisto.proto import SolverState, blob_array, read_binary, set_blob

MAX_NAME = 1 << 16
"""Bytes of a file's name in an HDF5 state, or of its numbers."""


def read_state(path: Path) -> Any:
    """Read a solver state, as a SolverState. Raises InputError if it is none, or is cut short."""
    if not str(path).endswith(".h5"):
        state = read_binary(path, SolverState)
        if not state.history:
            raise InputError(f"{path}: holds no history; is it a solver state?")
        return state
    with open_hdf5(path, "solver state") as file:
        learned = _single(file, "learned_net")
        name = learned.decode() if isinstance(learned, bytes) else str(learned)
        state = SolverState(
            iter=int(_single(file, "iter")), current_step=int(_single(file, "current_step")),
            learned_net=name.rstrip("\0"),
        )  # fmt: skip
        for values in numbered(hdf5_arrays(file, "history"), "its history"):
            set_blob(state.history.add(), values)
        return state


def write_state(path: Path, state: Any) -> None:
    """Write a solver state: HDF5 where the name ends in .h5, else binary. Whole or not at all."""
    with whole_file(path) as partial:
        if not str(path).endswith(".h5"):
            partial.write_bytes(state.SerializeToString())
            return
        with new_hdf5(partial) as file:
            # Caffe reads scalars of these types, and a string of fixed length that has to end in a zero byte.
            file.create_dataset("iter", data=np.int32(state.iter))
            file.create_dataset("current_step", data=np.int32(state.current_step))
            learned = state.learned_net.encode()
            file.create_dataset("learned_net", data=np.array(learned, f"S{len(learned) + 1}"))
            for index, blob in enumerate(state.history):
                file.create_dataset(f"history/{index}", data=blob_array(blob))


def _single(file: h5py.File, name: str) -> Any:
    """A number or a string; Caffe writes an array of one."""
    item = hdf5_item(file, name)
    if item.size != 1 or item.nbytes > MAX_NAME:
        raise ValueError(f"'{name}' is not a single value")
    return np.asarray(item[()]).ravel()[0]
