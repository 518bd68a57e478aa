"""A Caffe layer as the functions that make ONNX nodes see it."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Dims: TypeAlias = tuple[int, ...]
"""A shape in which -1 stands for a size that follows from the number of images."""


class OnnxError(Exception):
    """A layer that cannot be expressed; the message says why, without naming the layer."""


@dataclass(frozen=True)
class Layer:
    """One layer, at any number of images."""

    proto: Any
    """Its LayerParameter."""
    inputs: list[str]
    """The tensors that hold its bottoms."""
    bottoms: list[Dims]
    tops: list[Dims]
    blobs: list[NDArray[np.float32]]
    """Its weights, in the shapes that Caffe gives them."""

    def fixed(self, dims: Dims) -> Dims:
        """`dims`, none of which may depend on the number of images. Raises OnnxError if one does."""
        if -1 in dims:
            raise OnnxError("it works along an axis whose size depends on the number of images")
        return dims
