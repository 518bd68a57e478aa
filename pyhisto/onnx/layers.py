"""Caffe's layer types in ONNX's operators (version OPSET): one table, one function a type.

Each function follows src/caffe/layers/<type>_layer.cpp as it runs in the TEST phase, and returns the tensors that hold
the layer's tops. A tensor that is one of its inputs stands for a layer that changes nothing.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pyhisto.graph.types import canonical_axis, concat_axis, convolution_window, slice_axis
from pyhisto.onnx.layer import Dims, Layer, OnnxError
from pyhisto.onnx.pooling import pooling
from pyhisto.onnx.writer import Operand, Writer, floats, integers

OPSET = 13
"""Old enough for the tool chains of embedded devices, and the first whose Softmax works along one axis, as Caffe's."""

LayerFunction: TypeAlias = Callable[[Layer, Writer], list[str]]


# Layers that multiply by a matrix


def convolution(layer: Layer, writer: Writer) -> list[str]:
    """Convolution, depthwise under any name, and Deconvolution, over any number of spatial axes.

    Several bottoms share the weights. The graph gives a depthwise one as many groups as channels.
    """
    window = convolution_window(layer.proto, layer.bottoms[0])
    if window.channel_axis != 1:
        raise OnnxError(f"its channels are axis {window.channel_axis}; only axis 1 is possible")
    if layer.proto.type != "Deconvolution" and any(
        size < extent - 2 * pad
        for size, extent, pad in zip(layer.fixed(layer.bottoms[0][2:]), window.extent, window.pad, strict=True)
    ):
        raise OnnxError("its kernel is larger than its padded bottom")
    operator = "ConvTranspose" if layer.proto.type == "Deconvolution" else "Conv"
    weights = [writer.constant(blob) for blob in layer.blobs]
    return [
        writer.add(
            operator, bottom, *weights, kernel_shape=window.kernel, strides=window.stride,
            pads=[*window.pad, *window.pad], dilations=window.dilation, group=layer.proto.convolution_param.group,
        )
        for bottom in layer.inputs
    ]  # fmt: skip


def inner_product(layer: Layer, writer: Writer) -> list[str]:
    """The axes from `axis` on, flattened, times a matrix."""
    parameters, (bottom,) = layer.proto.inner_product_param, layer.inputs
    axis = canonical_axis(parameters.axis, layer.bottoms[0])
    if len(layer.bottoms[0]) != 2 or axis != 1:
        bottom = writer.add("Flatten", bottom, axis=axis)
    top = writer.add("Gemm", bottom, *layer.blobs, transB=int(not parameters.transpose))
    return [top if axis == 1 else reshaped(writer, top, layer.tops[0])]


# Normalisation, scale and bias


def batch_norm(layer: Layer, writer: Writer) -> list[str]:
    """By the statistics of the training; the third blob is the factor that the first two are too large by."""
    parameters, (mean, variance, factor) = layer.proto.batch_norm_param, layer.blobs
    if parameters.HasField("use_global_stats") and not parameters.use_global_stats:
        raise OnnxError("it normalises by the statistics of each batch; set use_global_stats: true")
    share = 0 if factor[0] == 0 else 1 / factor[0]
    channels = layer.fixed(layer.bottoms[0][1:2])
    statistics = [
        floats([1.0] * channels[0]),
        floats([0.0] * channels[0]),
        floats(mean * share),
        floats(variance * share),
    ]
    return [writer.add("BatchNormalization", *layer.inputs, *statistics, epsilon=parameters.eps)]


def scale(layer: Layer, writer: Writer) -> list[str]:
    """Times a learned factor, or times the second bottom (the gate of an SE block), then plus a learned bias."""
    axis, learned = layer.proto.scale_param.axis, list(layer.blobs)
    factor: Operand = layer.inputs[1] if len(layer.inputs) == 2 else learned.pop(0)
    dims = layer.bottoms[1] if len(layer.inputs) == 2 else layer.blobs[0].shape
    top = writer.add("Mul", layer.inputs[0], along(layer, writer, factor, dims, axis))
    for offset in learned:
        top = writer.add("Add", top, along(layer, writer, offset, offset.shape, axis))
    return [top]


def bias(layer: Layer, writer: Writer) -> list[str]:
    """Plus a learned bias, or plus the second bottom."""
    offset: Operand = layer.inputs[1] if len(layer.inputs) == 2 else layer.blobs[0]
    dims = layer.bottoms[1] if len(layer.inputs) == 2 else layer.blobs[0].shape
    return [writer.add("Add", layer.inputs[0], along(layer, writer, offset, dims, layer.proto.bias_param.axis))]


def along(layer: Layer, writer: Writer, factor: Operand, dims: Dims, axis: int) -> Operand:
    """A factor that lies along the first bottom's axes from `axis` on, with axes of 1 behind, as ONNX broadcasts it."""
    if not dims:
        return factor
    behind = len(layer.bottoms[0]) - canonical_axis(axis, layer.bottoms[0]) - len(dims)
    if behind == 0:
        return factor
    if isinstance(factor, str):
        return writer.add("Unsqueeze", factor, integers(*range(len(dims), len(dims) + behind)))
    return factor.reshape(*dims, *[1] * behind)


def lrn(layer: Layer, writer: Writer) -> list[str]:
    """Across channels; within a channel, Caffe's own chain of square, AVE pooling, power and product (and no k)."""
    parameters, (bottom,) = layer.proto.lrn_param, layer.inputs
    size, alpha, beta = parameters.local_size, parameters.alpha, parameters.beta
    if parameters.norm_region == parameters.ACROSS_CHANNELS:
        return [writer.add("LRN", bottom, size=size, alpha=alpha, beta=beta, bias=parameters.k)]
    squares = writer.add("Mul", bottom, bottom)
    mean = writer.add("AveragePool", squares, kernel_shape=[size] * 2, pads=[size // 2] * 4, count_include_pad=1)
    return [writer.add("Mul", bottom, writer.add("Pow", affine(writer, mean, alpha, 1), floats(-beta)))]


# Layers that work on one number at a time


def elementwise(operator: str) -> LayerFunction:
    """An operator that is the layer's very namesake."""
    return lambda layer, writer: [writer.add(operator, *layer.inputs)]


def relu(layer: Layer, writer: Writer) -> list[str]:
    """max(x, 0), or with a slope below 0."""
    slope = layer.proto.relu_param.negative_slope
    return [writer.add("LeakyRelu", *layer.inputs, alpha=slope) if slope else writer.add("Relu", *layer.inputs)]


def prelu(layer: Layer, writer: Writer) -> list[str]:
    """With a learned slope below 0, one a channel or one for all."""
    slope = layer.blobs[0]
    return [writer.add("PRelu", *layer.inputs, slope.reshape(-1, *[1] * (len(layer.bottoms[0]) - 2)))]


def elu(layer: Layer, writer: Writer) -> list[str]:
    """alpha * (exp(x) - 1) below 0."""
    return [writer.add("Elu", *layer.inputs, alpha=layer.proto.elu_param.alpha)]


def power(layer: Layer, writer: Writer) -> list[str]:
    """(shift + scale * x) ^ power."""
    parameters = layer.proto.power_param
    base = affine(writer, layer.inputs[0], parameters.scale, parameters.shift)
    return [base if parameters.power == 1 else writer.add("Pow", base, floats(parameters.power))]


def exponential(layer: Layer, writer: Writer) -> list[str]:
    """base ^ (shift + scale * x); a base of -1 is e."""
    parameters = layer.proto.exp_param
    rate = natural_log(parameters.base)
    return [writer.add("Exp", affine(writer, layer.inputs[0], rate * parameters.scale, rate * parameters.shift))]


def logarithm(layer: Layer, writer: Writer) -> list[str]:
    """log(shift + scale * x) to the base; a base of -1 is e."""
    parameters = layer.proto.log_param
    top = writer.add("Log", affine(writer, layer.inputs[0], parameters.scale, parameters.shift))
    divisor = natural_log(parameters.base)
    if divisor == 0:
        raise OnnxError("there is no logarithm to the base 1")
    return [affine(writer, top, 1 / divisor, 0)]


def natural_log(base: float) -> float:
    """log(base), where a base of -1 is e."""
    if base <= 0 and base != -1:
        raise OnnxError(f"its base is {base:g}, which has no logarithm")
    return 1 if base == -1 else math.log(base)


def affine(writer: Writer, tensor: str, factor: float, offset: float) -> str:
    """factor * x + offset, without what changes nothing."""
    if factor != 1:
        tensor = writer.add("Mul", tensor, floats(factor))
    return tensor if offset == 0 else writer.add("Add", tensor, floats(offset))


def clip(layer: Layer, writer: Writer) -> list[str]:
    """Between two bounds."""
    parameters = layer.proto.clip_param
    return [writer.add("Clip", *layer.inputs, floats(parameters.min), floats(parameters.max))]


def swish(layer: Layer, writer: Writer) -> list[str]:
    """x * sigmoid(beta * x)."""
    (bottom,), beta = layer.inputs, layer.proto.swish_param.beta
    return [writer.add("Mul", bottom, writer.add("Sigmoid", affine(writer, bottom, beta, 0)))]


def softmax(layer: Layer, writer: Writer) -> list[str]:
    """Along one axis."""
    return [writer.add("Softmax", *layer.inputs, axis=canonical_axis(layer.proto.softmax_param.axis, layer.bottoms[0]))]


def eltwise(layer: Layer, writer: Writer) -> list[str]:
    """The sum (each bottom with its coefficient), the product or the maximum of the bottoms."""
    parameters = layer.proto.eltwise_param
    if parameters.operation == parameters.MAX:
        return [writer.add("Max", *layer.inputs)]
    if parameters.operation == parameters.PROD:
        top = layer.inputs[0]
        for bottom in layer.inputs[1:]:
            top = writer.add("Mul", top, bottom)
        return [top]
    coefficients: Sequence[float] = parameters.coeff or [1.0] * len(layer.inputs)
    terms = [affine(writer, bottom, each, 0) for bottom, each in zip(layer.inputs, coefficients, strict=True)]
    return [writer.add("Sum", *terms)]


# Layers that move numbers about


def unchanged(layer: Layer, writer: Writer) -> list[str]:
    """Split, and what only training does."""
    return layer.inputs * len(layer.tops)


def parameter(layer: Layer, writer: Writer) -> list[str]:
    """Learned numbers as a blob of their own."""
    return [writer.add("Identity", layer.blobs[0])]


def concat(layer: Layer, writer: Writer) -> list[str]:
    """One behind the other along an axis."""
    return [writer.add("Concat", *layer.inputs, axis=concat_axis(layer.proto, layer.bottoms[0]))]


def slices(layer: Layer, writer: Writer) -> list[str]:
    """Cut along an axis; the tops know how long the pieces are."""
    axis = slice_axis(layer.proto, layer.bottoms[0])
    sizes = layer.fixed(tuple(top[axis] for top in layer.tops))
    return writer.add_many(len(sizes), "Split", *layer.inputs, integers(*sizes), axis=axis)


def reshape(layer: Layer, writer: Writer) -> list[str]:
    """Reshape and Flatten: the top knows its shape."""
    return [reshaped(writer, layer.inputs[0], layer.tops[0])]


def reshaped(writer: Writer, tensor: str, dims: Dims) -> str:
    """A tensor in another shape, of which one size may follow from the number of images."""
    if dims.count(-1) > 1:
        raise OnnxError("two sizes of its top depend on the number of images")
    return writer.add("Reshape", tensor, integers(*dims))


def permute(layer: Layer, writer: Writer) -> list[str]:
    """The axes in another order; those that `order` leaves out follow as they are."""
    order = list(layer.proto.permute_param.order)
    order += [axis for axis in range(len(layer.bottoms[0])) if axis not in order]
    return [writer.add("Transpose", *layer.inputs, perm=order)]


def crop(layer: Layer, writer: Writer) -> list[str]:
    """As large as the second bottom from `axis` on, begun at the offsets (one for all axes, or one each)."""
    source, (top,) = layer.bottoms[0], layer.tops
    axes = range(canonical_axis(layer.proto.crop_param.axis, source), len(source))
    offsets = list(layer.proto.crop_param.offset) or [0]
    starts = offsets if len(offsets) == len(axes) else offsets * len(axes)
    cut = [(axis, start) for axis, start in zip(axes, starts, strict=True) if source[axis] != top[axis]]
    if not cut:
        return [layer.inputs[0]]
    ends = [
        start + size for (_, start), size in zip(cut, layer.fixed(tuple(top[axis] for axis, _ in cut)), strict=True)
    ]
    starts, along_axes = [start for _, start in cut], [axis for axis, _ in cut]
    return [writer.add("Slice", layer.inputs[0], integers(*starts), integers(*ends), integers(*along_axes))]


LAYER_FUNCTIONS: dict[str, LayerFunction] = {
    "AbsVal": elementwise("Abs"),
    "BNLL": elementwise("Softplus"),
    "BatchNorm": batch_norm,
    "Bias": bias,
    "Clip": clip,
    "Concat": concat,
    "Convolution": convolution,
    "Crop": crop,
    "Deconvolution": convolution,
    "Dropout": unchanged,
    "ELU": elu,
    "Eltwise": eltwise,
    "Exp": exponential,
    "Flatten": reshape,
    "InnerProduct": inner_product,
    "LRN": lrn,
    "Log": logarithm,
    "PReLU": prelu,
    "Parameter": parameter,
    "Permute": permute,
    "Pooling": pooling,
    "Power": power,
    "ReLU": relu,
    "Reshape": reshape,
    "Scale": scale,
    "Sigmoid": elementwise("Sigmoid"),
    "Slice": slices,
    "Softmax": softmax,
    "Split": unchanged,
    "Swish": swish,
    "TanH": elementwise("Tanh"),
}
"""Layer type -> the function that makes its nodes; `fork_layers` has those of Caffe's forks."""
