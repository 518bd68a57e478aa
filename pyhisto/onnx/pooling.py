"""Caffe's Pooling in ONNX's words.

The two agree on what a window sums or compares, not on how many windows there are and what an average divides by. Caffe
rounds the number of windows up, then drops a last one that would begin in the padding; an average divides by the part
of the window that lies within the input and the padding as it was asked for (pooling_layer.cpp, Forward_cpu). What
ONNX's own `ceil_mode` does about both differs from version to version, so that here the padding at the end is what
Caffe's last window needs, and nothing is left to round.
"""

import numpy as np
from numpy.typing import NDArray

from pyhisto.graph.types import Window, pooling_window
from pyhisto.onnx.layer import Layer, OnnxError
from pyhisto.onnx.writer import Writer, floats


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
    size, pooled = layer.fixed(layer.bottoms[0][2:]), layer.fixed(layer.tops[0][2:])
    settings = {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "pads": [*window.pad, *_ends(window, size, pooled)],
    }
    if not average:
        return [writer.add("MaxPool", bottom, **settings)]
    top = writer.add("AveragePool", bottom, count_include_pad=1, **settings)  # divides by the whole window
    correction = _correction(window, size, pooled)
    return [top if (correction == 1).all() else writer.add("Mul", top, floats(correction[None, None]))]


def _ends(window: Window, size: tuple[int, ...], pooled: tuple[int, ...]) -> list[int]:
    """The padding behind each axis with which as many windows fit, rounded down, as Caffe has.

    Less than nothing is none: the rows that Caffe's last window leaves are too few for another one.
    """
    ends = [
        max(0, (windows - 1) * stride + kernel - pad - length)
        for windows, stride, kernel, pad, length in zip(
            pooled, window.stride, window.kernel, window.pad, size, strict=True
        )
    ]
    if any(end >= kernel for end, kernel in zip(ends, window.kernel, strict=True)):
        raise OnnxError("its stride takes a window past the end of the bottom, where there is nothing to pool")
    return ends


def _correction(window: Window, size: tuple[int, ...], pooled: tuple[int, ...]) -> NDArray[np.float64]:
    """Window size / what Caffe divides by, for every position, height x width."""
    by_axis = []
    for windows, stride, kernel, pad, length in zip(
        pooled, window.stride, window.kernel, window.pad, size, strict=True
    ):
        starts = np.arange(windows) * stride - pad
        by_axis.append(kernel / (np.minimum(starts + kernel, length + pad) - starts))
    return np.outer(*by_axis)
