"""Solver states of a pruned network: `caffe train --snapshot` goes on at the same iteration, with its momentum.

A solver state holds, for each blob that the solver trains and in their order, one history blob of its shape (SGD,
Nesterov, AdaGrad, RMSProp) or, after all of those, a second one (AdaDelta, Adam). Each is cut as its weights were.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.files import sha256
from pyhisto.graph.types import dims
from pyhisto.proto import CONTROL, SolverState, blob_array, layer_blobs, read_weights, set_blob
from pyhisto.pruning.plan import Parameter, Plan
from pyhisto.pruning.surgery import Keeps, cut_blob

BlobRewrite = Callable[[Floats, Keeps, str], Floats]


def convert(state: Any, plan: Plan, learned_net: str, source: object, rewrite: BlobRewrite = cut_blob) -> Any:
    """The solver state of the pruned network, which trains on from the weights file `learned_net`.

    Raises InputError if the state's history does not fit the plan.
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
    converted = SolverState()
    converted.CopyFrom(state)
    converted.learned_net = learned_net
    for blob, parameter in zip(converted.history, parameters * rounds, strict=True):
        what = f"{source}: history of layer '{parameter.layer}' blob {parameter.blob}"
        values = blob_array(blob)
        if values.shape != parameter.shape:
            raise InputError(f"{what}: is of shape {values.shape}, the plan's network has {parameter.shape}")
        set_blob(blob, rewrite(values, _keeps(parameter), what))
    return converted


def pruned_weights(plan: Plan, plan_path: Path) -> Path:
    """The weights that the pruning wrote, where the plan says or beside it. Raises InputError if they do not fit it."""
    written = plan.outputs.get("weights")
    if not isinstance(written, str) or CONTROL.search(written):
        raise InputError(f"{plan_path}: names no pruned weights; tools/prune.py writes them beside it")
    places = Path(written), plan_path.parent / Path(written).name
    weights = next((place for place in places if place.is_file()), None)
    if weights is None:
        raise InputError(f"{plan_path}: its weights {written} are not there, nor beside it")
    blobs = layer_blobs(read_weights(weights))
    for parameter in plan.parameters:
        arrays = blobs.get(parameter.layer, [])
        wanted = tuple(
            size if kept is None else len(kept) for size, kept in zip(parameter.shape, parameter.kept, strict=True)
        )
        found = arrays[parameter.blob].shape if parameter.blob < len(arrays) else None
        if found is None or found[max(0, len(found) - len(wanted)) :] != wanted:  # the old format leads with axes of 1
            raise InputError(
                f"{weights}: layer '{parameter.layer}' blob {parameter.blob} is {dims(found) if found else 'missing'}, "
                f"and {plan_path} leaves {dims(wanted)} of it; are they another pruning's weights?"
            )
    return weights


def check_pair(state: Any, plan: Plan, source: object) -> None:
    """The weights that the state belongs to have to be those that were pruned. Raises InputError if it shows."""
    learned = state.learned_net
    if os.path.isfile(learned) and sha256(Path(learned)) not in plan.sources.values():
        raise InputError(f"{source}: belongs to {learned}, but the plan pruned other weights; prune that file")


def _keeps(parameter: Parameter) -> Keeps:
    keeps: list[Any] = []
    for kept, size in zip(parameter.kept, parameter.shape, strict=True):
        keeps.append(None if kept is None else np.isin(np.arange(size), kept))
    return keeps
