"""What Caffe's layer types do to shapes: one table, one entry a type, with Caffe 1.0's own checks and rounding.

Each entry follows src/caffe/layers/<type>_layer.cpp (LayerSetUp and Reshape). A shape is a tuple of sizes,
N x C x H x W for images; `()` is a scalar.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

Shape: TypeAlias = tuple[int, ...]
Counts: TypeAlias = tuple[int, int | None]
"""The fewest and the most; None is no maximum."""

MAX_COUNT = 2**31 - 1  # Blob::Reshape: an element count is an int
MAX_AXES = 32  # kMaxBlobAxes


class ShapeError(Exception):
    """A layer that Caffe would refuse to set up; the message says why, without naming the layer."""


def count(shape: Sequence[int]) -> int:
    """The number of elements of a blob."""
    return math.prod(shape)


def canonical_axis(axis: int, shape: Shape) -> int:
    """An axis counted from the front; negative ones count from the end. Raises ShapeError if it is out of range."""
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"axis {axis} is out of range for a blob of shape {dims(shape)}")
    return axis % len(shape)


def dims(shape: Sequence[int]) -> str:
    """A shape for people: `10x3x224x224`."""
    return "x".join(map(str, shape)) or "scalar"


def legacy(shape: Shape, axis: int) -> int:
    """The size of an axis of N x C x H x W, 1 if a blob has fewer axes (Blob::LegacyShape)."""
    if len(shape) > 4:
        raise ShapeError(f"takes blobs of 4 axes at most, not {dims(shape)}")
    return shape[axis] if axis < len(shape) else 1


def _check(condition: bool, complaint: str) -> None:
    if not condition:
        raise ShapeError(complaint)


ShapeFunction: TypeAlias = Callable[[Any, list[Shape], int], list[Shape]]
ParamFunction: TypeAlias = Callable[[Any, list[Shape]], list[Shape]]


def _no_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    return []


@dataclass(frozen=True)
class LayerType:
    """How many bottoms and tops a layer type takes, and the shapes it makes of them.

    `shapes(layer, bottoms, number of tops)` gives the tops' shapes, `params(layer, bottoms)` those of the blobs that
    Caffe creates for the layer's weights; both raise ShapeError. `auto_top`: Caffe adds nameless tops up to the
    minimum (losses). `in_place` False: Caffe refuses top = bottom; `safe_in_place`: forward and backward are right even
    then. `shares_memory`: the tops are views of the bottom. `makes_zero`: with weights of zero its tops are zero,
    whatever it reads; `makes_nonzero`: what it makes of zero is not zero.
    """

    shapes: ShapeFunction
    bottoms: Counts = (1, 1)
    tops: Counts = (1, 1)
    params: ParamFunction = _no_params
    auto_top: bool = False
    in_place: bool = True
    safe_in_place: bool = False
    shares_memory: bool = False
    makes_zero: bool = False
    makes_nonzero: bool = False


# Layers that keep the shape


def keep_shape(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    """A layer that works on each number alone."""
    return [bottoms[0]] * tops


def _softmax(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    canonical_axis(layer.softmax_param.axis, bottoms[0])
    return [bottoms[0]]


def _lrn(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    _check(len(bottoms[0]) == 4, f"takes a blob of 4 axes, not {dims(bottoms[0])}")
    _check(layer.lrn_param.local_size % 2 == 1, "local_size has to be odd")
    return [bottoms[0]]


def _mvn(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    return [tuple(legacy(bottoms[0], axis) for axis in range(4))]


def _batch_norm(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    # With one axis Caffe asks for shape(1) all the same and dies.
    _check(len(bottoms[0]) >= 2, f"takes a blob of 2 axes or more, not {dims(bottoms[0])}")
    return [bottoms[0]]


def _batch_norm_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    return [(bottoms[0][1],), (bottoms[0][1],), (1,)]


def _channel_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    return [() if layer.prelu_param.channel_shared else (legacy(bottoms[0], 1),)]


def _channelwise(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    _check(len(bottoms[0]) >= 2, f"takes a blob of 2 axes or more, not {dims(bottoms[0])}")
    return [bottoms[0]]


def _span(shape: Shape, axis: int, num_axes: int) -> Shape:
    """The part of a shape that a learned scale or bias has: `num_axes` axes from `axis`, all that follow for -1."""
    start = canonical_axis(axis, shape)
    _check(num_axes >= -1, "num_axes has to be -1 or more")
    _check(start + num_axes <= len(shape), f"axis + num_axes reaches past the blob's shape {dims(shape)}")
    return shape[start:] if num_axes == -1 else shape[start : start + num_axes]


def _broadcast(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    """Scale and Bias: the second bottom's shape, where there is one, is a run of the first's axes."""
    parameters = layer.scale_param if layer.type == "Scale" else layer.bias_param
    if len(bottoms) == 2:
        factor = bottoms[1]
        start = canonical_axis(parameters.axis, bottoms[0]) if factor else 0
        _check(
            bottoms[0][start : start + len(factor)] == factor,
            f"its second bottom ({dims(factor)}) does not fit the first ({dims(bottoms[0])}) from axis {start} on",
        )
    return [bottoms[0]]


def _scale_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    parameters = layer.scale_param
    if len(bottoms) == 1:
        span = _span(bottoms[0], parameters.axis, parameters.num_axes)
        return [span, span] if parameters.bias_term else [span]
    return [_span(bottoms[0], parameters.axis, len(bottoms[1]))] if parameters.bias_term else []


def _bias_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    return [_span(bottoms[0], layer.bias_param.axis, layer.bias_param.num_axes)] if len(bottoms) == 1 else []


# Layers that slide a window


@dataclass(frozen=True)
class Window:
    """A convolution's geometry: one number a spatial axis in each tuple."""

    channel_axis: int
    kernel: Shape
    stride: Shape
    pad: Shape
    dilation: Shape

    @property
    def extent(self) -> Shape:
        """How far each side of a dilated kernel reaches."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))


def convolution_window(layer: Any, bottom: Shape) -> Window:
    """The geometry of a Convolution, Deconvolution or Im2col layer. Raises ShapeError if Caffe refuses it."""
    parameters = layer.convolution_param
    channel_axis = canonical_axis(parameters.axis, bottom)
    spatial = len(bottom) - channel_axis - 1

    def sizes(name: str, listed: Sequence[int], pair: tuple[str, str] | None, default: int | None) -> Shape:
        if pair is not None and any(parameters.HasField(field) for field in pair):
            _check(spatial == 2, f"{pair[0]} and {pair[1]} are for 2 spatial axes, and there are {spatial}")
            _check(not listed, f"give either {name} or {pair[0]} and {pair[1]}, not both")
            return getattr(parameters, pair[0]), getattr(parameters, pair[1])
        if not listed and default is not None:
            return (default,) * spatial
        _check(len(listed) in (1, spatial), f"{name} is given {len(listed)} times for {spatial} spatial axes")
        return tuple(listed) if len(listed) == spatial else (listed[0],) * spatial

    kernel = sizes("kernel_size", parameters.kernel_size, ("kernel_h", "kernel_w"), None)
    stride = sizes("stride", parameters.stride, ("stride_h", "stride_w"), 1)
    pad = sizes("pad", parameters.pad, ("pad_h", "pad_w"), 0)
    dilation = sizes("dilation", parameters.dilation, None, 1)
    _check(all(kernel), "the kernel size is 0")
    _check(all(stride), "the stride is 0")
    return Window(channel_axis, kernel, stride, pad, dilation)


def _truncated(numerator: int, denominator: int) -> int:
    """C++ integer division, which rounds towards zero."""
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)


def _windows_along(window: Window, bottom: Shape) -> Shape:
    """How many positions a sliding window has along each spatial axis."""
    return tuple(
        _truncated(size + 2 * pad - extent, stride) + 1
        for size, pad, extent, stride in zip(
            bottom[window.channel_axis + 1 :], window.pad, window.extent, window.stride, strict=True
        )
    )


def _grouped(layer: Any, bottom: Shape) -> Window:
    parameters = layer.convolution_param
    window = convolution_window(layer, bottom)
    channels, group = bottom[window.channel_axis], parameters.group
    _check(parameters.num_output > 0, "num_output is missing or 0")
    _check(group > 0, "group is 0")
    _check(channels % group == 0, f"its {channels} input channels do not split into {group} groups")
    _check(parameters.num_output % group == 0, f"num_output {parameters.num_output} does not split into {group} groups")
    return window


def convolution_shapes(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    """Of Convolution and Deconvolution."""
    window = _grouped(layer, bottoms[0])
    _check(tops == len(bottoms), f"has {len(bottoms)} bottoms and {tops} tops: one top a bottom is needed")
    _check(len(set(bottoms)) == 1, "its bottoms differ in shape")
    if layer.type != "Deconvolution":
        spatial = _windows_along(window, bottoms[0])
    else:
        spatial = tuple(
            stride * (size - 1) + extent - 2 * pad
            for size, pad, extent, stride in zip(
                bottoms[0][window.channel_axis + 1 :], window.pad, window.extent, window.stride, strict=True
            )
        )
    _check(all(size > 0 for size in spatial), f"its kernel does not fit the bottom {dims(bottoms[0])}")
    return [(*bottoms[0][: window.channel_axis], layer.convolution_param.num_output, *spatial)] * tops


def convolution_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    """Of Convolution and Deconvolution: weights, and biases if it has any."""
    parameters = layer.convolution_param
    window = _grouped(layer, bottoms[0])
    outer, inner = parameters.num_output, bottoms[0][window.channel_axis]
    if layer.type == "Deconvolution":
        outer, inner = inner, outer
    weight = (outer, inner // parameters.group, *window.kernel)
    return [weight, (parameters.num_output,)] if parameters.bias_term else [weight]


def _im2col(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    window = convolution_window(layer, bottoms[0])
    axis = window.channel_axis
    _check(axis + 1 < len(bottoms[0]), "needs a spatial axis after the channels")
    spatial = _windows_along(window, bottoms[0])
    _check(all(size > 0 for size in spatial), f"its kernel does not fit the bottom {dims(bottoms[0])}")
    return [(*bottoms[0][:axis], bottoms[0][axis] * count(window.kernel), *spatial)]


def pooling_window(layer: Any, bottom: Shape) -> Window:
    """The geometry of a Pooling layer over an N x C x H x W bottom. Raises ShapeError if Caffe refuses it."""
    parameters = layer.pooling_param
    _check(len(bottom) == 4, f"takes a blob of 4 axes, not {dims(bottom)}")

    def pair(square: str, height: str, width: str) -> Shape:
        if not parameters.HasField(height) and not parameters.HasField(width):
            return (getattr(parameters, square),) * 2
        both = parameters.HasField(height) and parameters.HasField(width) and not parameters.HasField(square)
        _check(both, f"give either {square} or both {height} and {width}")
        return getattr(parameters, height), getattr(parameters, width)

    sized = any(parameters.HasField(field) for field in ("kernel_size", "kernel_h", "kernel_w"))
    stride = pair("stride", "stride_h", "stride_w")
    pad = pair("pad", "pad_h", "pad_w")
    if parameters.global_pooling:
        _check(not sized, "global_pooling takes no kernel size")
        _check(pad == (0, 0) and stride == (1, 1), "global_pooling takes no pad and no stride")
        kernel = bottom[2:]
    else:
        kernel = pair("kernel_size", "kernel_h", "kernel_w")
    _check(all(kernel), "the kernel size is missing or 0")
    _check(all(stride), "the stride is 0")
    if any(pad):
        _check(parameters.pool != parameters.STOCHASTIC, "stochastic pooling takes no pad")
        _check(pad[0] < kernel[0] and pad[1] < kernel[1], "the pad has to be smaller than the kernel")
    return Window(1, kernel, stride, pad, (1, 1))


def _pooled(size: int, kernel: int, stride: int, pad: int, clip: bool, up: bool) -> int:
    """Pooling rounds `up`, then drops a last window that would begin in the padding (`clip`: if a pad is set)."""
    span = size + 2 * pad - kernel
    steps = (-(-span // stride) if up else span // stride) + 1
    if clip and (steps - 1) * stride >= size + pad:
        steps -= 1
    return steps


def _rounds_up(parameters: Any) -> bool:
    """What a pooling_param says in either dialect: `round_mode` (BVLC) or `ceil_mode` (forks)."""
    _check(
        not (parameters.HasField("round_mode") and parameters.HasField("ceil_mode")),
        "give either round_mode or ceil_mode, not both",
    )
    return bool(parameters.ceil_mode and parameters.round_mode == parameters.CEIL)


def _pooling(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    window = pooling_window(layer, bottoms[0])
    _check(tops == 1 or layer.pooling_param.pool == layer.pooling_param.MAX, "only max pooling has a second top")
    up = _rounds_up(layer.pooling_param)
    spatial = tuple(
        _pooled(size, kernel, stride, pad, any(window.pad), up)
        for size, kernel, stride, pad in zip(bottoms[0][2:], window.kernel, window.stride, window.pad, strict=True)
    )
    _check(all(size > 0 for size in spatial), f"its kernel does not fit the bottom {dims(bottoms[0])}")
    return [(*bottoms[0][:2], *spatial)] * tops


def _spp(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    (bottom,) = bottoms
    _check(len(bottom) == 4, f"takes a blob of 4 axes, not {dims(bottom)}")
    _check(min(bottom[2:]) > 0, "its bottom is empty")
    height = layer.spp_param.pyramid_height
    _check(height > 0, "pyramid_height is missing or 0")
    features = 0
    for level in range(height):
        bins = 2**level
        sides = []
        for size in bottom[2:]:
            kernel = -(-size // bins)
            pad = (kernel * bins - size + 1) // 2
            _check(pad < kernel, f"a pyramid of height {height} is too fine for the bottom {dims(bottom)}")
            sides.append((size, kernel, pad))
        clip = any(pad for _, _, pad in sides)
        spatial = [_pooled(size, kernel, kernel, pad, clip, True) for size, kernel, pad in sides]
        if height == 1:
            return [(*bottom[:2], *spatial)]
        features += bottom[1] * count(spatial)
    return [(bottom[0], features)]


# Layers that multiply by a matrix


def _inner_product(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    parameters = layer.inner_product_param
    _check(parameters.num_output > 0, "num_output is missing or 0")
    return [(*bottoms[0][: canonical_axis(parameters.axis, bottoms[0])], parameters.num_output)]


def _inner_product_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    parameters = layer.inner_product_param
    outputs, inputs = parameters.num_output, count(bottoms[0][canonical_axis(parameters.axis, bottoms[0]) :])
    weight = (inputs, outputs) if parameters.transpose else (outputs, inputs)
    return [weight, (outputs,)] if parameters.bias_term else [weight]


def _embed(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    parameters = layer.embed_param
    _check(parameters.num_output > 0 and parameters.input_dim > 0, "num_output or input_dim is missing or 0")
    return [(*bottoms[0], parameters.num_output)]


def _embed_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    parameters = layer.embed_param
    weight = (parameters.input_dim, parameters.num_output)
    return [weight, (parameters.num_output,)] if parameters.bias_term else [weight]


def _states(layer: Any) -> int:
    """How many recurrent states a recurrent layer exposes as extra bottoms and tops."""
    if not layer.recurrent_param.expose_hidden:
        return 0
    return 2 if layer.type == "LSTM" else 1


def _recurrent(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    sequence, marks = bottoms[:2]
    width, states = layer.recurrent_param.num_output, _states(layer)
    _check(len(sequence) >= 3, f"its first bottom is steps x streams x features, not {dims(sequence)}")
    _check(marks == sequence[:2], f"its second bottom has to be {dims(sequence[:2])}, not {dims(marks)}")
    _check(width > 0, "num_output is missing or 0")
    _check(len(bottoms) - states in (2, 3), f"{len(bottoms)} bottoms are too few or too many")
    _check(tops == 1 + states, f"has {tops} tops where {1 + states} are needed")
    if len(bottoms) - states == 3:
        _check(len(bottoms[2]) >= 2 and bottoms[2][0] == sequence[1], "its static bottom is not streams x features")
    state = (1, sequence[1], width)
    _check(
        all(bottom == state for bottom in bottoms[len(bottoms) - states :]), f"a hidden state has to be {dims(state)}"
    )
    return [(*sequence[:2], width), *[state] * states]


def _recurrent_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    width = layer.recurrent_param.num_output
    gates = 4 * width if layer.type == "LSTM" else width
    params: list[Shape] = [(gates, count(bottoms[0][2:])), (gates,)]
    if len(bottoms) - _states(layer) == 3:
        params.append((gates, count(bottoms[2][1:])))
    params.append((gates, width))
    return params if layer.type == "LSTM" else [*params, (width, width), (width,)]


def _lstm_unit(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    cell, gates, marks = bottoms
    _check(len(cell) == 3 and cell[0] == 1, f"its first bottom is 1 x streams x features, not {dims(cell)}")
    _check(
        gates == (*cell[:2], 4 * cell[2]), f"its gates have to be {dims((*cell[:2], 4 * cell[2]))}, not {dims(gates)}"
    )
    _check(marks == cell[:2], f"its third bottom has to be {dims(cell[:2])}, not {dims(marks)}")
    return [cell, cell]


# Layers that move numbers about


def _axis_of(parameters: Any, old_name: str, shape: Shape) -> int:
    """`axis`, or the older unsigned `concat_dim` or `slice_dim`."""
    if not parameters.HasField(old_name):
        return canonical_axis(parameters.axis, shape)
    _check(not parameters.HasField("axis"), f"give either axis or {old_name}, not both")
    return canonical_axis(getattr(parameters, old_name), shape)


def concat_axis(layer: Any, shape: Shape) -> int:
    """The axis along which a Concat layer joins blobs of `shape`."""
    return _axis_of(layer.concat_param, "concat_dim", shape)


def slice_axis(layer: Any, shape: Shape) -> int:
    """The axis along which a Slice layer cuts a blob of `shape`."""
    return _axis_of(layer.slice_param, "slice_dim", shape)


def _concat(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    axis = concat_axis(layer, bottoms[0])
    for bottom in bottoms[1:]:
        fits = len(bottom) == len(bottoms[0])
        fits = fits and bottom[:axis] + bottom[axis + 1 :] == bottoms[0][:axis] + bottoms[0][axis + 1 :]
        _check(fits, f"its bottoms {dims(bottoms[0])} and {dims(bottom)} differ beside axis {axis}")
    return [(*bottoms[0][:axis], sum(bottom[axis] for bottom in bottoms), *bottoms[0][axis + 1 :])]


def _slice(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    axis = slice_axis(layer, bottoms[0])
    size, points = bottoms[0][axis], list(layer.slice_param.slice_point)
    if points:
        _check(len(points) == tops - 1, f"{tops} tops need {tops - 1} slice points, not {len(points)}")
        ends = [0, *points, size]
        pieces = [end - start for start, end in pairwise(ends)]
        _check(min(pieces) > 0, f"its slice points have to rise and stay below {size}")
    else:
        _check(size % tops == 0, f"its {size} channels do not split evenly into {tops} tops")
        pieces = [size // tops] * tops
    return [(*bottoms[0][:axis], piece, *bottoms[0][axis + 1 :]) for piece in pieces]


def _eltwise(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    parameters = layer.eltwise_param
    _check(len(parameters.coeff) in (0, len(bottoms)), "needs one coeff a bottom, or none")
    _check(not parameters.coeff or parameters.operation != parameters.PROD, "a product takes no coeff")
    for bottom in bottoms[1:]:
        _check(bottom == bottoms[0], f"its bottoms differ in shape: {dims(bottoms[0])} and {dims(bottom)}")
    return [bottoms[0]]


def _crop(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    source, reference = bottoms
    start, offsets = canonical_axis(layer.crop_param.axis, source), list(layer.crop_param.offset)
    _check(len(reference) >= len(source), f"its second bottom {dims(reference)} has too few axes")
    _check(len(offsets) <= 1 or start + len(offsets) == len(source), "give one offset, or one an axis from `axis` on")
    if len(offsets) <= 1:
        offsets = (offsets or [0]) * (len(source) - start)
    for axis, offset in enumerate(offsets, start):
        fits = source[axis] - offset >= reference[axis]
        _check(fits, f"along axis {axis} it takes {reference[axis]} from offset {offset} out of {source[axis]}")
    return [(*source[:start], *reference[start : len(source)])]


def _reshape(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    (bottom,) = bottoms
    parameters = layer.reshape_param
    start = parameters.axis if parameters.axis >= 0 else len(bottom) + parameters.axis + 1
    end = len(bottom) if parameters.num_axes == -1 else start + parameters.num_axes
    _check(0 <= start <= len(bottom), f"axis {parameters.axis} is out of range for a blob of shape {dims(bottom)}")
    _check(parameters.num_axes >= -1, "num_axes has to be -1 or more")
    _check(end <= len(bottom), f"axis + num_axes reaches past the blob's shape {dims(bottom)}")
    shape = list(parameters.shape.dim)
    _check(shape.count(-1) <= 1, "only one dim can be -1")
    _check(min(shape, default=0) >= -1, "a dim below -1 means nothing")
    for index, dim in enumerate(shape):
        if dim == 0:
            _check(start + index < len(bottom), f"dim {index} is 0, but the bottom has no axis to copy there")
            shape[index] = bottom[start + index]
    if -1 in shape:
        index = shape.index(-1)
        known = count(bottom[:start]) * count(shape[:index] + shape[index + 1 :]) * count(bottom[end:])
        _check(known > 0 and count(bottom) % known == 0, f"{dims(bottom)} does not divide by the dims that are given")
        shape[index] = count(bottom) // known
    top = (*bottom[:start], *shape, *bottom[end:])
    _check(count(top) == count(bottom), f"{dims(bottom)} and {dims(top)} hold different numbers of elements")
    return [top]


def _flatten(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    (bottom,) = bottoms
    start = canonical_axis(layer.flatten_param.axis, bottom)
    end = canonical_axis(layer.flatten_param.end_axis, bottom)
    _check(start <= end + 1, "end_axis lies before axis")
    return [(*bottom[:start], count(bottom[start : end + 1]), *bottom[end + 1 :])]


def _tile(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    axis = canonical_axis(layer.tile_param.axis, bottoms[0])
    _check(layer.tile_param.tiles > 0, "tiles is missing or 0")
    return [(*bottoms[0][:axis], bottoms[0][axis] * layer.tile_param.tiles, *bottoms[0][axis + 1 :])]


def _reduction(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    return [bottoms[0][: canonical_axis(layer.reduction_param.axis, bottoms[0])]]


def _arg_max(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    (bottom,) = bottoms
    parameters = layer.argmax_param
    _check(parameters.top_k >= 1, "top_k is 0")
    _check(len(bottom) >= 1, "takes no scalar")
    if parameters.HasField("axis"):
        axis = canonical_axis(parameters.axis, bottom)
        _check(parameters.top_k <= bottom[axis], f"top_k is larger than axis {axis} of {dims(bottom)}")
        return [(*bottom[:axis], parameters.top_k, *bottom[axis + 1 :])]
    _check(parameters.top_k <= count(bottom[1:]), f"top_k is larger than a flattened item of {dims(bottom)}")
    values = 2 if parameters.out_max_val else 1
    return [(bottom[0], values, parameters.top_k, *[1] * (len(bottom) - 3))]


def _batch_reindex(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    _check(len(bottoms[1]) == 1, f"its second bottom is a list of indices, not {dims(bottoms[1])}")
    _check(len(bottoms[0]) >= 1, "takes no scalar")
    return [(*bottoms[1], *bottoms[0][1:])]


def _filter(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    """How many items pass is known only when data flow: Caffe sets up the whole batch, and so do we."""
    *items, selector = bottoms
    _check(tops == len(items), f"{len(items)} bottoms beside the selector need as many tops, not {tops}")
    _check(len(selector) >= 1 and count(selector[1:]) == 1, f"its selector is one number an item, not {dims(selector)}")
    _check(all(item and item[0] == selector[0] for item in items), "its bottoms differ from the selector in batch size")
    return [(items[0][0], *item[1:]) for item in items]


def _nothing(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    return []


# Losses and scores


def _loss(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    """A scalar; a second top repeats the first bottom's shape (the probabilities)."""
    first, second = bottoms[:2]
    _check(bool(first and second), "takes no scalar")
    _check(first[0] == second[0], f"its bottoms {dims(first)} and {dims(second)} differ in batch size")
    if layer.type == "SoftmaxWithLoss":
        axis = canonical_axis(layer.softmax_param.axis, first)
        _labels_fit(first, axis, second)
    elif layer.type in ("EuclideanLoss", "SigmoidCrossEntropyLoss"):
        _check(count(first) == count(second), f"its bottoms {dims(first)} and {dims(second)} differ in size")
    elif layer.type == "SmoothL1Loss":
        for other in bottoms[1:]:
            same = all(legacy(first, axis) == legacy(other, axis) for axis in (1, 2, 3))
            _check(same, f"its bottoms {dims(first)} and {dims(other)} differ in shape")
    elif layer.type == "ContrastiveLoss":
        vectors = all(legacy(each, axis) == 1 for each in bottoms for axis in (2, 3))
        same = legacy(first, 1) == legacy(second, 1) and legacy(bottoms[2], 1) == 1
        _check(vectors and same, "its bottoms are not two batches of vectors and their labels")
    elif layer.type in ("MultinomialLogisticLoss", "InfogainLoss"):
        _check(count(second) == second[0], f"its labels are one number an item, not {dims(second)}")
        if len(bottoms) == 3:
            classes = count(first[1:])
            _check(bottoms[2][-2:] == (classes, classes), f"its infogain matrix is not {classes}x{classes}")
    return [(), *[first] * (tops - 1)]


def _labels_fit(scores: Shape, axis: int, labels: Shape) -> None:
    expected = count(scores) // scores[axis] if scores[axis] else 0
    _check(count(labels) == expected, f"scores of {dims(scores)} need {expected} labels, not {dims(labels)}")


def _accuracy(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    scores, labels = bottoms
    axis = canonical_axis(layer.accuracy_param.axis, scores)
    _labels_fit(scores, axis, labels)
    classes = scores[axis]
    _check(layer.accuracy_param.top_k <= classes, f"top_k {layer.accuracy_param.top_k} of {classes} classes")
    return [(), *[(classes,)] * (tops - 1)]


# Layers that make data


def _shapes_given(shapes: Sequence[Any], tops: int) -> list[Shape]:
    _check(len(shapes) in (1, tops), f"gives {len(shapes)} shapes for {tops} tops")
    given = [tuple(shape.dim) for shape in shapes]
    return given if len(given) == tops else given * tops


def _dummy_data(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    parameters = layer.dummy_data_param
    old = [parameters.num, parameters.channels, parameters.height, parameters.width]
    if not any(old):
        return _shapes_given(parameters.shape, tops)
    _check(not parameters.shape, "gives both shape and num, channels, height, width")
    _check(all(len(sizes) in (1, tops) for sizes in old), f"num, channels, height and width do not fit {tops} tops")
    return [tuple(sizes[top if len(sizes) > 1 else 0] for sizes in old) for top in range(tops)]


def _memory_data(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    parameters = layer.memory_data_param
    shape = (parameters.batch_size, parameters.channels, parameters.height, parameters.width)
    _check(all(shape), "batch_size, channels, height and width have to be given")
    return [shape, shape[:1]]


def _parameter(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    return [tuple(layer.parameter_param.shape.dim)]


def _parameter_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    return [tuple(layer.parameter_param.shape.dim)]


_NEURON = LayerType(keep_shape, safe_in_place=True)
_NEURON_NOT_ZERO = LayerType(keep_shape, safe_in_place=True, makes_nonzero=True)
_LOSS = LayerType(_loss, bottoms=(2, 2), auto_top=True)

CAFFE_TYPES: dict[str, LayerType] = {
    "AbsVal": _NEURON,
    "Accuracy": LayerType(_accuracy, bottoms=(2, 2), tops=(1, 2)),
    "ArgMax": LayerType(_arg_max),
    "BNLL": _NEURON_NOT_ZERO,
    "BatchNorm": LayerType(_batch_norm, params=_batch_norm_params, safe_in_place=True),
    "BatchReindex": LayerType(_batch_reindex, bottoms=(2, 2)),
    "Bias": LayerType(_broadcast, bottoms=(1, 2), params=_bias_params, safe_in_place=True),
    "Clip": LayerType(keep_shape),
    "Concat": LayerType(_concat, bottoms=(1, None)),
    "ContrastiveLoss": LayerType(_loss, bottoms=(3, 3), auto_top=True),
    "Convolution": LayerType(
        convolution_shapes, bottoms=(1, None), tops=(1, None), params=convolution_params, makes_zero=True
    ),
    "Crop": LayerType(_crop, bottoms=(2, 2)),
    "Deconvolution": LayerType(
        convolution_shapes, bottoms=(1, None), tops=(1, None), params=convolution_params, makes_zero=True
    ),
    "Dropout": _NEURON,
    "DummyData": LayerType(_dummy_data, bottoms=(0, 0), tops=(1, None)),
    "ELU": _NEURON,
    "Eltwise": LayerType(_eltwise, bottoms=(2, None)),
    "Embed": LayerType(_embed, params=_embed_params, makes_zero=True),
    "EuclideanLoss": _LOSS,
    "Exp": _NEURON_NOT_ZERO,
    "Filter": LayerType(_filter, bottoms=(2, None), tops=(1, None)),
    "Flatten": LayerType(_flatten, in_place=False, shares_memory=True),
    "HDF5Output": LayerType(_nothing, bottoms=(2, 2), tops=(0, 0)),
    "HingeLoss": _LOSS,
    "Im2col": LayerType(_im2col),
    "InfogainLoss": LayerType(_loss, bottoms=(2, 3), tops=(1, 2), auto_top=True),
    "InnerProduct": LayerType(_inner_product, params=_inner_product_params, makes_zero=True),
    "LRN": LayerType(_lrn),
    "LSTM": LayerType(_recurrent, bottoms=(2, 5), tops=(1, 3), params=_recurrent_params),
    "LSTMUnit": LayerType(_lstm_unit, bottoms=(3, 3), tops=(2, 2)),
    "Log": _NEURON_NOT_ZERO,
    "MVN": LayerType(_mvn),
    "MemoryData": LayerType(_memory_data, bottoms=(0, 0), tops=(2, 2)),
    "MultinomialLogisticLoss": _LOSS,
    "PReLU": LayerType(_channelwise, params=_channel_params, safe_in_place=True),
    "Parameter": LayerType(_parameter, bottoms=(0, 0), params=_parameter_params),
    "Pooling": LayerType(_pooling, tops=(1, 2)),
    "Power": _NEURON,
    "RNN": LayerType(_recurrent, bottoms=(2, 4), tops=(1, 2), params=_recurrent_params),
    "ReLU": _NEURON,
    "Reduction": LayerType(_reduction),
    "Reshape": LayerType(_reshape, in_place=False, shares_memory=True),
    "SPP": LayerType(_spp),
    "Scale": LayerType(_broadcast, bottoms=(1, 2), params=_scale_params, safe_in_place=True),
    "Sigmoid": _NEURON_NOT_ZERO,
    "SigmoidCrossEntropyLoss": _LOSS,
    "Silence": LayerType(_nothing, bottoms=(1, None), tops=(0, 0)),
    "Slice": LayerType(_slice, tops=(1, None)),
    "SmoothL1Loss": LayerType(_loss, bottoms=(2, 3), auto_top=True),
    "Softmax": LayerType(_softmax, safe_in_place=True),
    "SoftmaxWithLoss": LayerType(_loss, bottoms=(2, 2), tops=(1, 2), auto_top=True),
    "Split": LayerType(keep_shape, tops=(1, None), in_place=False, shares_memory=True),
    "Swish": LayerType(keep_shape),
    "TanH": _NEURON,
    "Threshold": _NEURON,
    "Tile": LayerType(_tile),
}
"""Every layer type of Caffe 1.0 whose shapes follow from its bottoms (layers that read data: `sources`)."""
