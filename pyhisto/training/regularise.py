"""Network slimming, [26]: an L1 penalty on the scales of BatchNorm while the network trains.

Loss = L + lambda * sum |gamma| over the Scale layers behind BatchNorm. The subgradient lambda * sign(gamma) (0 at 0) is
added to gamma's gradient before the solver clips, decays and updates. Channels whose gamma ends near zero do little;
tools/prune.py --criterion slimming cuts them.

The penalty moves a gamma by at most lambda * (sum of the learning rates) / (1 - momentum). If that is far below
gamma's start, usually 1, channels do not come apart: [26] trains long; a short run wants a larger lambda.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pyhisto.errors import InputError
from pyhisto.pycaffe import CaffeNet
from pyhisto.training.solver_loop import TrainingMethod

SMALL = 0.01
"""Of the largest |gamma|: below it a channel is counted as small in the progress that is shown."""


class Slimming(TrainingMethod):
    """The L1 penalty, as a method of `solver_loop.train`."""

    name = "slimming"

    def __init__(self, lambda_l1: float) -> None:
        self._lambda = lambda_l1
        self._passes = 1
        self._gammas: list[Any] = []

    @property
    def settings(self) -> Mapping[str, Any]:
        """See TrainingMethod."""
        return {"lambda_l1": self._lambda}

    def attach(self, net: CaffeNet, solver: Any) -> None:
        """Find the gammas. Raises InputError if there are none."""
        self._passes = solver.iter_size
        self._gammas = [net.params[layer][0] for layer in scales_behind_batch_norm(net)]
        if not self._gammas:
            network = solver.net or solver.train_net or "the solver's network"
            raise InputError(f"{network}: has no BatchNorm with a Scale behind it: nothing to slim")

    def on_gradients_ready(self, net: CaffeNet) -> None:
        """Add the subgradient, once for each pass of iter_size: the solver divides the sum by their number."""
        for gamma in self._gammas:
            gamma.diff[...] += np.float32(self._lambda * self._passes) * np.sign(gamma.data)

    def status(self, net: CaffeNet) -> str:
        """The mean |gamma|, and the share of small ones."""
        sizes = np.abs(np.concatenate([gamma.data.ravel() for gamma in self._gammas]))
        return f"mean |gamma| {sizes.mean():.4f}, {np.mean(sizes < SMALL * sizes.max()):.1%} of the channels small"


def scales_behind_batch_norm(net: CaffeNet) -> Iterator[str]:
    """The Scale layers with weights of their own whose input a BatchNorm made, in order."""
    maker: dict[str, str] = {}
    for name, layer in zip(net._layer_names, net.layers, strict=True):
        bottoms = net.bottom_names[name]
        if layer.type == "Scale" and len(bottoms) == 1 and maker.get(bottoms[0]) == "BatchNorm":
            yield name
        # Caffe puts a Split behind a blob that several layers read.
        made_by = maker.get(bottoms[0], "") if layer.type == "Split" else layer.type
        maker.update(dict.fromkeys(net.top_names[name], made_by))
