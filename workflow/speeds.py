"""What runs the networks, and how long they take there: measured on this machine, or derived for another.

On the CPU, seconds are those that a core is at work, which other programs on a busy machine do not change much.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pyhisto.training.timing import Timing, caffe_time, cpu_seconds

PASSES = 3
"""Of a forward pass's FLOPs in an iteration: forward, and backward for blobs and for weights."""
TIMED = 2
"""How many iterations are timed on the CPU, beyond those of a run that warms up."""


@dataclass(frozen=True)
class Network:
    """A network to be timed."""

    deploy: Path
    """Its input has the batch that it trains with."""
    batch: int
    flops: int
    """Of one forward pass of one image."""


@dataclass(frozen=True)
class Times:
    """Seconds that a network takes."""

    forward: float
    """One image."""
    iteration: float
    """Of training, a batch."""


Timer: TypeAlias = Callable[[Network], Times]


@dataclass(frozen=True)
class Speed:
    """Where the networks run."""

    name: str
    """In words, with how it is known."""
    on_card: bool
    times: Timer


@dataclass(frozen=True)
class CardSpeed:
    """A card's peak in single precision, FLOP/s, and the share of it that is expected of Caffe with batches of 10."""

    peak: float
    share: float


CARDS = {
    # NVIDIA: 3584 cores at 1.58 GHz, 16384 at 2.52 GHz, 2 FLOPs a cycle.
    "GTX 1080 Ti": CardSpeed(11.3e12, 0.2),
    "RTX 4090": CardSpeed(82.6e12, 0.05),
}
"""Assumptions, not measurements: published times of GoogLeNet reach from a sixth of the peak (BVLC's own, with Caffe on
a K40) to a third (jcjohnson/cnn-benchmarks, Torch with cuDNN 5.1 on a Titan X, batches of 16). Batches of 10 leave a
larger card waiting for the next small kernel, and BatchNorm waits for the memory."""


def on_this_cpu() -> Speed:
    """Timed here, as Caffe runs it on one thread."""
    return Speed("on this CPU, measured", False, time_on_cpu)


def on_card_here(number: int) -> Speed:
    """Timed on a card of this machine."""

    def times(network: Network) -> Times:
        timing = caffe_time(network.deploy, network.batch, 20, number)
        seconds = timing.forward_ms / 1000, timing.backward_ms / 1000
        return Times(seconds[0] / network.batch, sum(seconds))

    return Speed(f"on card {number}, measured", True, times)


def at_rate(flops: float, name: str) -> Speed:
    """Derived from the networks' FLOPs and how many of them a second are done."""

    def times(network: Network) -> Times:
        forward = network.flops / flops
        return Times(forward, PASSES * network.batch * forward)

    return Speed(name, True, times)


def on_named_card(name: str) -> Speed:
    """Derived from a card's peak and the share of it that is expected."""
    card = CARDS[name]
    derived = f"derived: {100 * card.share:.0f}% of its peak of {card.peak / 1e12:.1f} TFLOP/s"
    return at_rate(card.peak * card.share, f"on a {name}, {derived}")


def at_iterations(per_second: float, network: Network) -> Speed:
    """As fast as `network` trains at so many iterations a second; the others by their FLOPs."""
    flops = per_second * PASSES * network.batch * network.flops
    return at_rate(flops, f"at {per_second:g} iterations a second, as given")


def time_on_cpu(network: Network) -> Times:
    """Seconds that a core is at work; without what a network takes until it runs."""
    timings: list[Timing] = []
    seconds = seconds_of(lambda: timings.append(caffe_time(network.deploy, network.batch, 1)))
    more = seconds_of(lambda: timings.append(caffe_time(network.deploy, network.batch, 1 + TIMED)))
    iteration = max(more - seconds, 1e-6) / TIMED
    share = timings[-1].forward_ms / (timings[-1].forward_ms + timings[-1].backward_ms)
    return Times(share * iteration / network.batch, iteration)


def seconds_of(call: Callable[[], object]) -> float:
    """How long a core is at work for a call, in this process or in others that it starts."""
    before = cpu_seconds()
    call()
    return cpu_seconds() - before
