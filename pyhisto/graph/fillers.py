"""The weights that Caffe gives a layer of which a caffemodel holds none: what its fillers say (filler.hpp).

Constant and bilinear fillers always give the same numbers, so that networks are published without them (bilinear
upsampling); random ones do not.
"""

from typing import Any

import numpy as np

from pyhisto.arrays import Floats
from pyhisto.graph.fork_types import DEPTHWISE
from pyhisto.graph.graph import Node
from pyhisto.graph.types import Shape, dims
from pyhisto.proto import FillerParameter


class FillerError(Exception):
    """Why a layer's weights do not follow from its fillers, as a clause."""


def fill_weights(node: Node) -> tuple[list[Floats], str]:
    """The weight blobs of a layer as its fillers make them, and the fillers' names, for people. Raises FillerError."""
    if node.param_shapes is None or node.foreign:
        raise FillerError("nobody knows which it would have")
    fillers = _fillers(node)
    if fillers is None:
        raise FillerError("its type fills them with what no trained network has")
    blobs = [_fill(filler, shape) for filler, shape in zip(fillers, node.param_shapes, strict=False)]
    return blobs, " and ".join(dict.fromkeys(filler.type for filler in fillers[: len(blobs)]))


def _fillers(node: Node) -> list[Any] | None:
    """The filler of each weight blob; None if the type has none, or would take Caffe's default of all zeros."""
    layer = node.layer
    match node.type:
        case "Scale":
            scale = _or_constant(layer.scale_param, "filler", 1)
            return [*([scale] if len(node.bottoms) == 1 else []), layer.scale_param.bias_filler]
        case "Bias":
            return [layer.bias_param.filler]
        case "PReLU":
            return [_or_constant(layer.prelu_param, "filler", 0.25)]
        case "Normalize":
            return [_or_constant(layer.norm_param, "scale_filler", 1)]
        case "Convolution" | "Deconvolution":
            parameter = layer.convolution_param
        case "InnerProduct":
            parameter = layer.inner_product_param
        case "Embed":
            parameter = layer.embed_param
        case other if other in DEPTHWISE:
            parameter = layer.convolution_param
        case _:
            return None
    return [parameter.weight_filler, parameter.bias_filler] if parameter.HasField("weight_filler") else None


def _or_constant(parameter: Any, field: str, value: float) -> Any:
    return getattr(parameter, field) if parameter.HasField(field) else FillerParameter(type="constant", value=value)


def _fill(filler: Any, shape: Shape) -> Floats:
    if filler.type == "constant":
        return np.full(shape, filler.value, np.float32)
    if filler.type != "bilinear":
        raise FillerError(f"its filler '{filler.type}' is random")
    if len(shape) != 4 or shape[2] != shape[3]:
        raise FillerError(f"a bilinear filler makes square kernels, not {dims(shape)}")
    factor = -(-shape[3] // 2)
    centre = (2 * factor - 1 - factor % 2) / (2 * factor)
    along = 1 - np.abs(np.arange(shape[3]) / factor - centre)
    return np.broadcast_to(np.outer(along, along), shape).astype(np.float32)
