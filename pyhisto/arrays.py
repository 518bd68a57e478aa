"""Names for arrays in type hints, by what their numbers are; their shapes stand where they are used. numpy only."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating]
Ints: TypeAlias = NDArray[np.integer]
Gray: TypeAlias = NDArray[np.uint8]
"""An image of one channel: H x W."""
Tensors: TypeAlias = Mapping[str, NDArray[np.float32]]
"""Name -> values."""
