"""Learning rates over iterations that Caffe has no policy for: SGDR's cosine with restarts, and the finder's ramp."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol


class RateSchedule(Protocol):
    """The learning rate as a function of the iteration alone, so that a resumed run needs to know nothing else."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides it, as JSON."""

    def rate(self, iteration: int) -> float:
        """The learning rate of an iteration, counted from 0."""


@dataclass(frozen=True)
class WarmRestarts:
    """SGDR (Loshchilov & Hutter 2017, eq. 5, with a lowest rate of 0): `highest` / 2 * (1 + cos(pi t / T)).

    t counts the iterations since the last restart. The first T is `cycle`; every restart multiplies it by `mult`.
    fastai 0.7 begins its first cycle with a twentieth of it at a hundredth of the rate; this does not.
    """

    highest: float
    cycle: int
    mult: int = 1

    @property
    def settings(self) -> Mapping[str, Any]:
        """See RateSchedule."""
        return {"schedule": "SGDR", **asdict(self)}

    def rate(self, iteration: int) -> float:
        """See RateSchedule."""
        since, length = iteration, self.cycle
        while since >= length:
            since -= length
            length *= self.mult
        return self.highest / 2 * (1 + math.cos(math.pi * since / length))

    def end(self, cycles: int) -> int:
        """The iteration at which so many cycles are over."""
        return sum(self.cycle * self.mult**number for number in range(cycles))


@dataclass(frozen=True)
class Ramp:
    """The learning rate finder's: from `start`, by the same factor in each of `iterations` iterations, to `end`."""

    iterations: int
    start: float = 1e-5
    end: float = 10.0

    @property
    def settings(self) -> Mapping[str, Any]:
        """See RateSchedule."""
        return {"schedule": "ramp", **asdict(self)}

    def rate(self, iteration: int) -> float:
        """See RateSchedule."""
        return float(self.start * (self.end / self.start) ** (iteration / self.iterations))
