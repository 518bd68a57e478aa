"""Which share each group of channels loses, so that a target is met and as little as can be told is lost.

Every group takes the share that makes (its loss when it is masked alone) + price x (what it costs then) smallest; the
price is raised until the target is met. Two groups' losses are taken to add up, which holds for small ones; what a cut
saves is measured on the network as it is. The groups' costs and the target are in FLOPs, or in weights.
"""

from collections.abc import Sequence

import numpy as np

from pyhisto.errors import InputError
from pyhisto.pruning.budget import Budget
from pyhisto.pruning.criteria import ChannelScores
from pyhisto.pruning.dependencies import Dependencies
from pyhisto.pruning.pruner import LoadedNetwork, with_hidden
from pyhisto.pruning.schedule import Schedule, choose_by_group
from pyhisto.pruning.sensitivity import GroupCurve, Sensitivity, curves_of, group_keys
from pyhisto.pruning.target import TOLERANCE, Removed, Target, reach, rounded_up

DOUBLINGS = 60
"""Of the price, from one at which nothing goes to one at which all goes: more than float32 losses can differ."""


def allocate(
    network: LoadedNetwork,
    scores: ChannelScores,
    schedule: Schedule,
    sensitivity: Sensitivity,
    target: Target,
    source: object,
) -> tuple[dict[str, float], Removed]:
    """The share that each group loses (by the name that the file gives it), and the atoms that go.

    `schedule` says what else there is to say of a cut; its proportion is not used. Raises InputError if the measurement
    (read from `source`) is of another network, or the shares that it measured cannot reach the target.
    """
    budget = Budget(network.model, network.dependencies)
    curves = curves_of(sensitivity, network.dependencies, source)
    offers = [_Offer.of(curve, sensitivity.whole.loss) for curve in curves]

    def cut(shares: Sequence[float]) -> Removed:
        removed = choose_by_group(network.dependencies, scores, shares, schedule)
        return with_hidden(network, removed, schedule)

    for number, offer in enumerate(offers):
        offer.saved = [
            1 - budget.share(cut(_alone(len(offers), number, share)), target.quantity) for share in offer.shares
        ]

    def at_price(price: float) -> list[float]:
        return [offer.taken(price) for offer in offers]

    def left(shares: Sequence[float]) -> float:
        return budget.share(cut(shares), target.quantity)

    low, high = 0.0, 1.0
    largest = [offer.shares[-1] for offer in offers]
    if (least := left(largest)) > target.share + TOLERANCE:
        raise InputError(
            f"--target-{target.quantity} {target.share:g}: {least:.3f} is the least that the shares leave that "
            f"{source} has measured; give {rounded_up(least)} or more, or measure larger --shares"
        )
    if least > target.share:
        return _named(network.dependencies, largest, curves), cut(largest)
    for _ in range(DOUBLINGS):
        if left(at_price(high)) <= target.share:
            break
        low, high = high, 2 * high
    else:
        raise InputError(f"{source}: its losses tell the groups not apart; measure on more records")
    for _ in range(DOUBLINGS):
        middle = (low + high) / 2
        if left(at_price(middle)) <= target.share:
            high = middle
        else:
            low = middle
    # Between two neighbouring prices some groups jump by a step of the ladder: part of that step meets the target.
    before, after = np.array(at_price(low)), np.array(at_price(high))
    strength, removed = reach(target, budget, lambda part: cut(list(before + part * (after - before))))
    return _named(network.dependencies, list(before + strength * (after - before)), curves), removed


class _Offer:
    """What a group would lose, and save, at each share; share 0 first."""

    def __init__(self, shares: Sequence[float], losses: Sequence[float]) -> None:
        self.shares, self.losses = list(shares), list(losses)
        self.saved: list[float] = []

    @classmethod
    def of(cls, curve: GroupCurve | None, whole: float) -> "_Offer":
        """Less than nothing is not lost, and who loses more keeps having lost what fewer channels were worth."""
        steps = curve.steps if curve is not None else ()
        lost = np.maximum.accumulate([0.0, *(step.score.loss - whole for step in steps)])
        return cls([0.0, *(step.share for step in steps)], list(map(float, lost)))

    def taken(self, price: float) -> float:
        """The share whose loss is smallest once what it saves is paid for; of equal ones the smaller."""
        worth = [loss - price * saved for loss, saved in zip(self.losses, self.saved, strict=True)]
        return self.shares[int(np.argmin(worth))]


def _alone(groups: int, number: int, share: float) -> list[float]:
    return [share if other == number else 0.0 for other in range(groups)]


def _named(
    dependencies: Dependencies, shares: Sequence[float], curves: Sequence[GroupCurve | None]
) -> dict[str, float]:
    return {
        key: share
        for key, share, curve in zip(group_keys(dependencies), shares, curves, strict=True)
        if curve is not None
    }
