"""Solver states of a pruned network: `caffe train --snapshot` goes on at the same iteration, with its momentum.

A solver state holds, for each blob that the solver trains and in their order, one history blob of its shape (SGD,
Nesterov, AdaGrad, RMSProp) or, after all of those, a second one (AdaDelta, Adam). Each is cut as its weights were.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pyhisto import watched
from pyhisto.errors import InputError
from pyhisto.files import sha256, whole_file
from pyhisto.hdf5 import hdf5_arrays, hdf5_item, numbered, open_hdf5
from pyhisto.proto import Array, SolverState, blob_array, read_binary, set_blob
from pyhisto.pruning.plan import Parameter, Plan
from pyhisto.pruning.surgery import Keeps, cut_blob

Rewrite = Callable[[Array, Keeps, str], Array]


def convert(state: Any, plan: Plan, learned_net: str, source: object, rewrite: Rewrite = cut_blob) -> Any:
    """The solver state of the pruned network, which trains on from the weights file `learned_net`.

    Raises InputError where the state's history does not fit the plan.
    """
    parameters = plan.parameters
    if not parameters:
        raise InputError("the plan knows no training network; prune again with --also train_val.prototxt")
    rounds, rest = divmod(len(state.history), len(parameters))
    if rest or rounds not in (1, 2):
        raise InputError(
            f"{source}: holds {len(state.history)} history blobs, but the plan's network trains {len(parameters)} "
            "weight blobs (solvers keep one or two for each); is it of another network?"
        )
    converted = SolverState(iter=state.iter, learned_net=learned_net, current_step=state.current_step)
    for blob, parameter in zip(state.history, parameters * rounds, strict=True):
        what = f"{source}: history of layer '{parameter.layer}' blob {parameter.blob}"
        values = blob_array(blob)
        if values.shape != parameter.shape:
            raise InputError(f"{what}: is of shape {values.shape}, the plan's network has {parameter.shape}")
        copy = converted.history.add()
        copy.CopyFrom(blob)
        set_blob(copy, rewrite(values, _keeps(parameter), what))
    return converted


def check_pair(state: Any, plan: Plan, source: object) -> None:
    """The weights that the state belongs to have to be those that were pruned. Raises InputError where it shows."""
    learned = state.learned_net
    if os.path.isfile(learned) and sha256(Path(learned)) not in plan.sources.values():
        raise InputError(f"{source}: belongs to {learned}, but the plan pruned other weights; prune that file")


def read_state(path: Path) -> Any:
    """Read a solver state, binary or HDF5 (told apart by the name's ending, as Caffe does). Raises InputError."""
    if not str(path).endswith(".h5"):
        state = read_binary(path, SolverState)
        if not state.history:
            raise InputError(f"{path}: holds no history; is it a solver state?")
        return state
    with open_hdf5(path, "solver state") as file:
        learned = _single(file, "learned_net")
        state = SolverState(
            iter=int(_single(file, "iter")), current_step=int(_single(file, "current_step")),
            learned_net=learned.decode() if isinstance(learned, bytes) else str(learned),
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
        with watched.at(path, "HDF5 cannot write it", "is the disk full? make room"), h5py.File(partial, "w") as file:
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
    if item.size != 1:
        raise ValueError(f"'{name}' is not a single value")
    return np.asarray(item[()]).ravel()[0]


def _keeps(parameter: Parameter) -> Keeps:
    keeps: list[Any] = []
    for kept, size in zip(parameter.kept, parameter.shape, strict=True):
        keeps.append(None if kept is None else np.isin(np.arange(size), kept))
    return keeps
