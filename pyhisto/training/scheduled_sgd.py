"""Caffe's SGD at the learning rates of a schedule that Caffe has no policy for.

Caffe updates a weight w with the gradient g (sgd_solver.cpp; lr and decay with the weight's multipliers) by

    V = momentum * V + lr * (g + decay * w),    w = w - V,

the learning rate being inside V: what an iteration adds to V keeps the rate of that iteration. pycaffe cannot set the
rate from outside, so that the solver's own is held at 1, its weight decay at 0, and between the backward passes and the
update the gradient is replaced by lr * (g + decay * w). That is the same V and w, but for the order of two float32
multiplications. lr_mult stays with Caffe; decay_mult is read from the network.

Statistics of BatchNorm are no weights: they never decay here. (A Caffe that does not know them as such lets weight
decay shrink all three blobs of a layer alike, which leaves their ratios as they were.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyhisto.errors import InputError
from pyhisto.graph import layers_in_phase
from pyhisto.proto import TRAIN, LayerParameter, read_net
from pyhisto.pycaffe import CaffeNet
from pyhisto.training.schedules import RateSchedule
from pyhisto.training.solver_loop import TrainingMethod


@dataclass
class _Weights:
    """A blob that is learned."""

    blob: Any
    decay: float
    """Of the solver, times decay_mult."""


class ScheduledSgd(TrainingMethod):
    """SGD at a schedule's rates, as a method of `solver_loop.train`. It has no state of its own."""

    name = "sgd"

    def __init__(self, schedule: RateSchedule) -> None:
        self._schedule = schedule
        self._iteration = 0
        self._passes = 1
        self._decay = 0.0
        self._learned: list[_Weights] = []

    @property
    def settings(self) -> Mapping[str, Any]:
        """See TrainingMethod."""
        return self._schedule.settings

    def configure(self, solver: Any, path: Path) -> None:
        """Take over rate and weight decay. Raises InputError for solvers of which the above does not hold."""
        kind = solver.SolverType.Name(solver.solver_type) if solver.HasField("solver_type") else solver.type
        if kind.upper() != "SGD":
            raise InputError(f'{path}: its type is {kind}; a schedule is for type: "SGD"')
        if solver.clip_gradients > 0:
            raise InputError(f"{path}: clip_gradients does not go with a schedule; take it out")
        if solver.weight_decay and solver.regularization_type != "L2":
            raise InputError(f"{path}: regularization_type is {solver.regularization_type}; a schedule is for L2")
        self._decay, self._passes = solver.weight_decay, solver.iter_size
        solver.base_lr, solver.lr_policy, solver.weight_decay = 1, "fixed", 0

    def attach(self, net: CaffeNet, solver: Any) -> None:
        """Find the weights that are learned, each once, and their decay."""
        layers = {layer.name: layer for layer in _training_layers(solver)}
        by_address: dict[int, _Weights] = {}
        for name, blobs in net.params.items():
            layer = layers.get(name, LayerParameter())
            for index, blob in enumerate(blobs if layer.type != "BatchNorm" else ()):
                given = layer.param[index] if index < len(layer.param) else LayerParameter().param.add()
                if given.lr_mult == 0:
                    continue
                weights = _Weights(blob, self._decay * given.decay_mult)
                shared = by_address.setdefault(
                    blob.data.ctypes.data, weights
                )  # `param { name }`: the first one owns it
                if given.HasField("decay_mult"):
                    shared.decay = weights.decay
        self._learned = list(by_address.values())

    def on_start(self, net: CaffeNet, iteration: int) -> None:
        """Note the iteration."""
        self._iteration = iteration

    def on_gradients_ready(self, net: CaffeNet) -> None:
        """Put lr * (g + decay * w) in the place of g; the solver divides by the passes of iter_size."""
        rate = np.float32(self._schedule.rate(self._iteration))
        with np.errstate(over="ignore", invalid="ignore"):  # a training that diverges shows in its loss
            for weights in self._learned:
                gradient = weights.blob.diff
                if weights.decay:
                    gradient += np.float32(weights.decay * self._passes) * weights.blob.data
                gradient *= rate

    def rate(self, iteration: int) -> float:
        """See TrainingMethod."""
        return self._schedule.rate(iteration)


def _training_layers(solver: Any) -> list[Any]:
    """The layers of the solver's training net, as Caffe finds it."""
    if file := solver.train_net or solver.net:
        net = read_net(Path(file))
    else:
        net = solver.train_net_param if solver.HasField("train_net_param") else solver.net_param
    state = solver.train_state
    level = state.level if state.HasField("level") else None
    return [layer for layer, _ in layers_in_phase(net, TRAIN, stages=state.stage, level=level, source=file)]
