"""Caffe's Pooling in ONNX's words.

The two agree on what a window sums or compares, not on how many windows there are and what an average divides by. Caffe
rounds the number of windows up, then drops a last one that would begin in the padding; an average divides by the part
of the window that lies within the input and the padding as it was asked for (pooling_layer.cpp, Forward_cpu). What
ONNX's own `ceil_mode` does about both differs from version to version, so that here the padding at the end is what
Caffe's last window needs, and nothing is left to round.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyhisto.graph.types import pooling_window
from pyhisto.onnx.layer import Layer, OnnxError
from pyhisto.onnx.writer import Writer, floats


class Axis(NamedTuple):
    """Pooling along the height or the width."""

    size: int
    windows: int
    kernel: int
    stride: int
    pad: int

    @property
    def end(self) -> int:
        """The padding behind with which as many windows fit, rounded down, as Caffe has.

        Less than nothing is none: what Caffe's last window leaves is too little for another one.
        """
        return max(0, (self.windows - 1) * self.stride + self.kernel - self.pad - self.size)

    @property
    def correction(self) -> NDArray[np.float64]:
        """For each window, its length / the length that Caffe counts."""
        starts = np.arange(self.windows) * self.stride - self.pad
        counted: NDArray[np.int64] = np.minimum(starts + self.kernel, self.size + self.pad) - starts
        return self.kernel / counted


def pooling(layer: Layer, writer: Writer) -> list[str]:
    """MAX and AVE, over windows or over whole maps. Raises OnnxError for a mask of maxima and stochastic pooling."""
    parameters = layer.proto.pooling_param
    if len(layer.tops) > 1:
        raise OnnxError("the positions of the maxima, its second top, cannot be had")
    if parameters.pool == parameters.STOCHASTIC:
        raise OnnxError("stochastic pooling has no counterpart")
    average = parameters.pool == parameters.AVE
    (bottom,) = layer.inputs
    if parameters.global_pooling:
        return [writer.add("GlobalAveragePool" if average else "GlobalMaxPool", bottom)]
    window = pooling_window(layer.proto, layer.bottoms[0])
    sizes, pooled = layer.fixed(layer.bottoms[0][2:]), layer.fixed(layer.tops[0][2:])
    axes = [Axis(*along) for along in zip(sizes, pooled, window.kernel, window.stride, window.pad, strict=True)]
    if any(axis.end >= axis.kernel for axis in axes):
        raise OnnxError("its stride takes a window past the end of the bottom, where there is nothing to pool")
    pads = [*window.pad, *(axis.end for axis in axes)]
    if not average:
        return [writer.add("MaxPool", bottom, kernel_shape=window.kernel, strides=window.stride, pads=pads)]
    top = writer.add(
        "AveragePool", bottom, kernel_shape=window.kernel, strides=window.stride, pads=pads, count_include_pad=1
    )  # divides by the whole window
    for axis, shape in zip(axes, ((-1, 1), (-1,)), strict=True):
        if (axis.correction != 1).any():
            top = writer.add("Mul", top, floats(axis.correction.reshape(shape)))
    return [top]
