"""Pruning until a share of the network's cost is left: what users mean, where the paper says a ratio of channels."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.pruning.budget import Budget, Quantity
from pyhisto.pruning.criteria import ChannelScores
from pyhisto.pruning.pruner import LoadedNetwork, with_hidden
from pyhisto.pruning.schedule import Schedule, choose

TOLERANCE = 0.01
"""How far from the target a pruning may end, as a share of the original."""

STEPS = 40
"""Halvings of an interval of 1: below what tells two ratios of any network apart."""

Removed: TypeAlias = NDArray[np.bool_]
"""Atom -> whether it goes."""


@dataclass(frozen=True)
class Target:
    """What shall be left of a network."""

    quantity: Quantity
    share: float
    """Of the original, above 0 and below 1."""

    def of_one_loop(self, loops: int) -> "Target":
        """What one of `loops` prunings shall leave of what it gets, so that `share` is left after them all."""
        return Target(self.quantity, float(self.share ** (1 / loops)))


def reach(target: Target, budget: Budget, choose: Callable[[float], Removed]) -> tuple[float, Removed]:
    """The strength of pruning that leaves a share nearest to the target's, and what it removes.

    `choose` gives the atoms that go at a strength from 0 (none) to 1 (all that can); the more, the less is left.
    Raises InputError if frozen channels leave more than the target and TOLERANCE at 1.
    """

    def at(strength: float) -> tuple[float, float, Removed]:
        removed = choose(strength)
        return budget.share(removed, target.quantity), strength, removed

    above, below = at(0.0), at(1.0)
    if below[0] > target.share + TOLERANCE:
        raise InputError(
            f"--target-{target.quantity} {target.share:g}: {below[0]:.3f} is the least that can be left, as the "
            f"channels that make the rest are kept (--dry-run says why); give {rounded_up(below[0])} or more"
        )
    if below[0] > target.share:
        return below[1:]
    for _ in range(STEPS):
        middle = at((above[1] + below[1]) / 2)
        if middle[0] > target.share:
            above = middle
        else:
            below = middle
    return min(above, below, key=lambda each: abs(each[0] - target.share))[1:]


def uniform(network: LoadedNetwork, scores: ChannelScores, schedule: Schedule, target: Target) -> tuple[float, Removed]:
    """The one proportion of every scope that meets a target, and the atoms that go; the schedule's own is not used."""

    def cut(proportion: float) -> Removed:
        removed = choose(network.dependencies, scores, replace(schedule, proportion=proportion))
        return with_hidden(network, removed, schedule)

    return reach(target, Budget(network.model, network.dependencies), cut)


def rounded_up(share: float) -> float:
    """To whole percents: what a user may give."""
    return float(np.ceil(share * 100) / 100)
