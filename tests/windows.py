"""The windows of a convolution, for numpy's einsum."""

import numpy as np

from pyhisto.arrays import Floats


def windows_of(maps: Floats, size: int) -> Floats:
    """... x height x width to ... x (height - size + 1) x (width - size + 1) x size x size."""
    rows = np.lib.stride_tricks.sliding_window_view(maps, size, axis=maps.ndim - 2)
    return np.lib.stride_tricks.sliding_window_view(rows, size, axis=maps.ndim - 1)
