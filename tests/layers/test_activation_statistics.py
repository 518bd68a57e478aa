"""Eq. 5, exactly: whatever the batch size, and without what the last batch repeats."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pyhisto.arrays import Floats
from pyhisto.layers import activation_statistics as statistics

State = tuple[Floats, Floats, Floats]
"""The blobs but for the mask."""


def state(channels: int) -> State:
    high, low, samples, _ = (np.zeros(shape, np.float32) for shape in statistics.blob_shapes(channels))
    return high, low, samples


def mean(blobs: State) -> Floats:
    high, low, samples = blobs
    return statistics.total(high, low) / samples


@given(st.integers(1, 400), st.integers(1, 37), st.integers(0, 2**32 - 1))
def test_mean_does_not_depend_on_the_batch_size(samples: int, batch: int, seed: int) -> None:
    factors = np.random.default_rng(seed).random((samples, 3), np.float32)
    blobs = state(3)
    for start in range(0, samples, batch):
        # A Data layer starts over at its end: the last batch is filled up from the beginning.
        indices = np.arange(start, start + batch) % samples
        statistics.accumulate(*blobs, factors[indices], limit=samples)
    assert blobs[statistics.SAMPLES][0] == samples
    exact = factors.astype(np.float64).mean(axis=0)
    assert np.abs(mean(blobs) - exact).max() < 1e-12


def test_a_hundred_thousand_samples_lose_nothing() -> None:
    # float32 alone is off by more than 1e-5 here.
    factors = np.full((1000, 1), 0.1, np.float32)
    blobs = state(1)
    for _ in range(100):
        statistics.accumulate(*blobs, factors, limit=None)
    assert abs(mean(blobs)[0] - float(np.float32(0.1))) < 1e-12


def test_worked_by_hand() -> None:
    blobs = state(2)
    statistics.accumulate(*blobs, np.array([[0.25, 0.5], [0.75, 1.0]]), limit=None)
    statistics.accumulate(*blobs, np.array([[0.5, 0.0], [9.0, 9.0]]), limit=3)
    # (0.25 + 0.75 + 0.5) / 3 and (0.5 + 1 + 0) / 3; the fourth sample is one too many.
    assert mean(blobs).tolist() == [0.5, 0.5]
