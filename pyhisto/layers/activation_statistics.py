"""The state of a SEP layer and the arithmetic on it: numpy only, so that it is tested and read without Caffe.

A SEP layer's state lies in four blobs of its own, so that a snapshot carries it:

  0  sum, high part   C   the sum of the activation factors over the samples seen
  1  sum, low part    C   what float32 could not hold of it
  2  samples          1   how many samples the sum is over
  3  mask             C   1 keeps a channel, 0 removes it (pruning stage)

A blob is float32, whose sum over a hundred thousand samples would be off in the fourth digit. High and low part
together hold 48 bits: the mean is the same whatever the batch size.
"""

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats

SUM_HIGH, SUM_LOW, SAMPLES, MASK = range(4)


def blob_shapes(channels: int) -> list[tuple[int]]:
    """Shapes of the four blobs for a gate of `channels` channels."""
    return [(channels,), (channels,), (1,), (channels,)]


def accumulate(high: Floats, low: Floats, samples: Floats, factors: Floats, limit: int | None) -> None:
    """Add a batch of activation factors (N x C) to the sum, in place.

    `limit` is the number of samples of the whole training set: a Data layer starts over when it reaches its end, and
    what the last batch repeats from the beginning must not be counted twice.
    """
    seen = int(samples[0])
    if limit is not None:
        factors = factors[: max(0, limit - seen)]
    new = total(high, low) + factors.sum(axis=0, dtype=np.float64)
    high[...] = new
    low[...] = new - high
    samples[0] = seen + len(factors)


def total(high: Floats, low: Floats) -> NDArray[np.float64]:
    """The sum of each channel's activation factors; over the number of samples it is the importance of eq. 5."""
    return np.asarray(high.astype(np.float64) + low)
