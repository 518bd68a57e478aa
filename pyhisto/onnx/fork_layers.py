"""Layer types of Caffe's forks in ONNX's operators, as `layers` has them for Caffe's own: one function a type.

Each follows the layer's public definition; `pyhisto.graph.fork_types` says whose it is. What is left out has no
operator in ONNX (boxes, regions), or is defined differently by different forks (Reorg, HardSigmoid).
"""

from collections.abc import Callable

import numpy as np

from pyhisto.graph.fork_types import is_scale_and_shift
from pyhisto.onnx.layer import Layer, OnnxError
from pyhisto.onnx.layers import convolution
from pyhisto.onnx.writer import Writer, floats, integers


def bn(layer: Layer, writer: Writer) -> list[str]:
    """SegNet's scale and shift; or slope, bias, mean and variance, as BatchNormalization takes them."""
    parameters, blobs = layer.proto.bn_param, [blob.ravel() for blob in layer.blobs]
    if not is_scale_and_shift(layer.proto):
        return [writer.add("BatchNormalization", *layer.inputs, *blobs, epsilon=parameters.eps)]
    if parameters.bn_mode != parameters.INFERENCE:
        raise OnnxError("it normalises by the statistics of each batch; set bn_mode: INFERENCE")
    scale, shift = (blob.reshape(-1, *[1] * (len(layer.bottoms[0]) - 2)) for blob in blobs)
    return [writer.add("Add", writer.add("Mul", *layer.inputs, scale), shift)]


def normalize(layer: Layer, writer: Writer) -> list[str]:
    """SSD's: divided by the length of each position's vector, or of the whole image, times a learned scale."""
    parameters, (bottom,), (scale,) = layer.proto.norm_param, layer.inputs, layer.blobs
    rank = len(layer.bottoms[0])
    axes = range(1, rank) if parameters.across_spatial else (1,)
    squares = writer.add("ReduceSum", writer.add("Mul", bottom, bottom), integers(*axes), keepdims=1)
    length = writer.add("Sqrt", writer.add("Add", squares, floats(parameters.eps)))
    factor = scale.reshape(()) if parameters.channel_shared else scale.reshape(-1, *[1] * (rank - 2))
    return [writer.add("Mul", writer.add("Div", bottom, length), floats(factor))]


def relu6(layer: Layer, writer: Writer) -> list[str]:
    """min(max(x, 0), 6)."""
    return [writer.add("Clip", *layer.inputs, floats(0), floats(6))]


def hard_swish(layer: Layer, writer: Writer) -> list[str]:
    """x * min(max(x + 3, 0), 6) / 6."""
    (bottom,) = layer.inputs
    gate = writer.add("Clip", writer.add("Add", bottom, floats(3)), floats(0), floats(6))
    return [writer.add("Mul", bottom, writer.add("Div", gate, floats(6)))]


def mish(layer: Layer, writer: Writer) -> list[str]:
    """x * tanh(log(1 + exp(x)))."""
    (bottom,) = layer.inputs
    return [writer.add("Mul", bottom, writer.add("Tanh", writer.add("Softplus", bottom)))]


def axpy(layer: Layer, writer: Writer) -> list[str]:
    """a * x + y, with one factor a channel."""
    factor, x, y = layer.inputs
    missing = len(layer.bottoms[1]) - len(layer.bottoms[0])
    if missing:
        factor = writer.add("Unsqueeze", factor, integers(*range(2, 2 + missing)))
    return [writer.add("Add", writer.add("Mul", factor, x), y)]


def shuffle_channel(layer: Layer, writer: Writer) -> list[str]:
    """The channels of the groups by turns: those of shape (group, n) read as (n, group)."""
    group, dims = layer.proto.shuffle_channel_param.group, layer.bottoms[0]
    channels, *sides = layer.fixed(dims[1:])
    split = writer.add("Reshape", layer.inputs[0], integers(dims[0], group, channels // group, *sides))
    order = [0, 2, 1, *range(3, len(dims) + 1)]
    return [writer.add("Reshape", writer.add("Transpose", split, perm=order), integers(*dims))]


def crop_center(layer: Layer, writer: Writer) -> list[str]:
    """`crop_size` off both ends of every axis."""
    cut = [(axis, size) for axis, size in enumerate(layer.proto.crop_center_param.crop_size) if size]
    if not cut:
        return [layer.inputs[0]]
    axes, starts = [axis for axis, _ in cut], [size for _, size in cut]
    return [writer.add("Slice", layer.inputs[0], integers(*starts), integers(*[-size for size in starts]),
                       integers(*axes))]  # fmt: skip


def interp(layer: Layer, writer: Writer) -> list[str]:
    """DeepLab's: bilinear between the corner pixels; a negative pad crops first."""
    before, after = layer.proto.interp_param.pad_beg, layer.proto.interp_param.pad_end
    if before > 0 or after > 0:
        raise OnnxError("it pads, which its definition leaves undefined; set pad_beg and pad_end to 0")
    bottom = layer.inputs[0]
    if before or after:
        end = after if after else np.iinfo(np.int64).max
        bottom = writer.add("Slice", bottom, integers(-before, -before), integers(end, end), integers(2, 3))
    return [_resized(writer, bottom, layer, mode="linear", coordinate_transformation_mode="align_corners")]


def upsample(layer: Layer, writer: Writer) -> list[str]:
    """YOLO's: every number repeated. SegNet's, which asks a pooling's mask, is refused."""
    if len(layer.inputs) == 2:
        raise OnnxError("it places numbers where a pooling's mask says; ONNX has no such mask")
    (_, _, *sides), (_, _, *larger) = layer.bottoms[0], layer.tops[0]
    if any(large % side for side, large in zip(layer.fixed(tuple(sides)), layer.fixed(tuple(larger)), strict=True)):
        raise OnnxError("its top is no whole multiple of its bottom")
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return [_resized(writer, layer.inputs[0], layer, **nearest)]


def _resized(writer: Writer, tensor: str, layer: Layer, **how: str) -> str:
    """A tensor with the height and width of the layer's top, whatever the number of images."""
    height, width = layer.fixed(layer.tops[0][2:])
    kept = writer.add("Slice", writer.add("Shape", tensor), integers(0), integers(2))
    sizes = writer.add("Concat", kept, integers(height, width), axis=0)
    return writer.add("Resize", tensor, "", "", sizes, **how)


FORK_FUNCTIONS: dict[str, Callable[[Layer, Writer], list[str]]] = {
    "Axpy": axpy,
    "BN": bn,
    "ConvolutionDepthwise": convolution,
    "CropCenter": crop_center,
    "DepthwiseConv": convolution,
    "DepthwiseConvolution": convolution,
    "HardSwish": hard_swish,
    "Interp": interp,
    "Mish": mish,
    "Normalize": normalize,
    "ReLU6": relu6,
    "ShuffleChannel": shuffle_channel,
    "Upsample": upsample,
}
"""Layer type -> the function that makes its nodes."""
