"""Layers of Caffe's own that do what a fork's layer does which the engines cannot run.

One function a type: given the layer, in today's format and with the blobs that it reads and makes, it returns the
layers that stand for it. The last of them, or the one with the weights, has the layer's own name.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from pyhisto.graph import Node, Shape
from pyhisto.graph.fork_types import DEPTHWISE, is_scale_and_shift
from pyhisto.layers.sep_layer import is_sep
from pyhisto.proto import LayerParameter

StandIn: TypeAlias = Callable[[Any, Shape], list[LayerParameter]]
"""(layer, the shape of its first bottom) -> the layers that stand for it."""


def stand_ins(node: Node, layer: LayerParameter) -> list[LayerParameter]:
    """The layers that stand for `layer`, which is the node's; none if it can be run as it is, or cannot be said."""
    if is_sep(layer):
        return [LayerParameter(name=layer.name, type="Split", bottom=layer.bottom, top=layer.top)]
    shape = node.bottoms[0].shape if node.bottoms else None
    if node.foreign or node.type not in STAND_INS or shape is None:
        return []
    return STAND_INS[node.type](layer, shape)


def _axpy(layer: Any, shape: Shape) -> list[LayerParameter]:
    """a * x + y: a is N x C, or N x C x 1 x 1."""
    (a, x, y), (top,) = layer.bottom, layer.top
    flat, scaled = f"{layer.name}(a)", f"{layer.name}(a * x)"
    return [
        LayerParameter(
            name=flat, type="Reshape", bottom=[a], top=[flat], reshape_param={"shape": {"dim": [0, -1]}}
        ),
        LayerParameter(name=scaled, type="Scale", bottom=[x, flat], top=[scaled], scale_param={"axis": 0}),
        LayerParameter(name=layer.name, type="Eltwise", bottom=[scaled, y], top=[top]),
    ]  # fmt: skip


def _bn(layer: Any, shape: Shape) -> list[LayerParameter]:
    """SegNet's, once it has learned, is a Scale; the four blobs of the others are spread over two layers of Caffe's."""
    if not is_scale_and_shift(layer) or layer.bn_param.bn_mode != layer.bn_param.INFERENCE:
        return []
    return [LayerParameter(name=layer.name, type="Scale", bottom=layer.bottom, top=layer.top,
                           scale_param={"bias_term": True})]  # fmt: skip


def _depthwise(layer: Any, shape: Shape) -> list[LayerParameter]:
    """A convolution with as many groups as it has input channels."""
    plain = LayerParameter()
    plain.CopyFrom(layer)
    plain.type = "Convolution"
    plain.convolution_param.group = shape[1]
    return [plain]


def _crop_center(layer: Any, shape: Shape) -> list[LayerParameter]:
    """As much off both ends of every axis."""
    sizes = layer.crop_center_param.crop_size
    made = _sliced(layer, layer.top[0], shape, [(axis, size, size) for axis, size in enumerate(sizes) if size])
    return made or [LayerParameter(name=layer.name, type="Split", bottom=layer.bottom, top=layer.top)]


def _interp(layer: Any, shape: Shape) -> list[LayerParameter]:
    """A negative pad is a crop, which OpenCV's Interp leaves out."""
    parameters = layer.interp_param
    before, behind = -parameters.pad_beg, -parameters.pad_end
    if min(before, behind) < 0 or max(before, behind) == 0:
        return []
    cropped, resized = f"{layer.name}(cropped)", LayerParameter()
    resized.CopyFrom(layer)
    resized.bottom[0] = cropped
    for name in ("pad_beg", "pad_end"):
        resized.interp_param.ClearField(name)
    return [*_sliced(layer, cropped, shape, [(2, before, behind), (3, before, behind)]), resized]


def _sliced(layer: Any, top: str, shape: Shape, cuts: Sequence[tuple[int, int, int]]) -> list[LayerParameter]:
    """A Slice for each (axis, size off its front, size off its end); what lies outside goes nowhere."""
    made, blob = [], layer.bottom[0]
    for number, (axis, before, behind) in enumerate(cuts, 1):
        last = number == len(cuts)
        inside = top if last else f"{layer.name}(axis {axis})"
        parts, points = [inside], []
        if before:
            parts, points = [f"{layer.name}(axis {axis} before)", *parts], [before]
        if behind:
            parts, points = [*parts, f"{layer.name}(axis {axis} behind)"], [*points, shape[axis] - behind]
        made += [
            LayerParameter(
                name=layer.name if last and top in layer.top else inside, type="Slice", bottom=[blob], top=parts,
                slice_param={"axis": axis, "slice_point": points},
            ),
            LayerParameter(
                name=f"{layer.name}(axis {axis} rest)", type="Silence",
                bottom=[part for part in parts if part != inside],
            ),
        ]  # fmt: skip
        blob = inside
    return made


def _shuffle_channel(layer: Any, shape: Shape) -> list[LayerParameter]:
    """All channels taken apart, and concatenated in their new order."""
    group, channels = layer.shuffle_channel_param.group, shape[1]
    if channels == 1 or group == 1:
        return [LayerParameter(name=layer.name, type="Split", bottom=layer.bottom, top=layer.top)]
    parts = [f"{layer.name}(channel {channel})" for channel in range(channels)]
    order = [parts[g * (channels // group) + i] for i in range(channels // group) for g in range(group)]
    return [
        LayerParameter(
            name=f"{layer.name}(channels)", type="Slice", bottom=layer.bottom, top=parts,
            slice_param={"axis": 1, "slice_point": range(1, channels)},
        ),
        LayerParameter(name=layer.name, type="Concat", bottom=order, top=layer.top, concat_param={"axis": 1}),
    ]  # fmt: skip


def _upsample(layer: Any, shape: Shape) -> list[LayerParameter]:
    """Each value repeated: along the width behind it, along the height by whole rows. Not with a mask."""
    parameters = layer.upsample_param
    factors = parameters.scale_h or parameters.scale, parameters.scale_w or parameters.scale
    if len(layer.bottom) != 1 or parameters.upsample_h or parameters.pad_out_h or parameters.pad_out_w:
        return []
    (_, channels, height, width), (down, across) = shape, factors
    name, lines = layer.name, channels * height
    steps: list[tuple[str, Sequence[int], int, int]] = [
        ("columns", (0, lines, width, 1), 3, across),
        ("rows", (0, lines, 1, width * across), 2, down),
    ]
    made, blob = [], layer.bottom[0]
    for what, dims, axis, factor in steps:
        flat, wide = f"{name}({what})", f"{name}({what} repeated)"
        made += [
            LayerParameter(
                name=flat, type="Reshape", bottom=[blob], top=[flat], reshape_param={"shape": {"dim": dims}}
            ),
            LayerParameter(name=wide, type="Concat", bottom=[flat] * factor, top=[wide], concat_param={"axis": axis}),
        ]
        blob = wide
    last = {"shape": {"dim": (0, channels, height * down, width * across)}}
    return [*made, LayerParameter(name=name, type="Reshape", bottom=[blob], top=layer.top, reshape_param=last)]


def _clipped_to_6(layer: Any, bottom: str, shift: float, scale: float, top: str) -> list[LayerParameter]:
    """min(max(x + shift, 0), 6) * scale, as relu(x + shift) - relu(x + shift - 6)."""
    name = layer.name
    made = []
    for part, offset in (("low", shift), ("high", shift - 6)):
        moved, cut = f"{name}({part})", f"{name}({part} cut)"
        made += [
            LayerParameter(name=moved, type="Power", bottom=[bottom], top=[moved], power_param={"shift": offset}),
            LayerParameter(name=cut, type="ReLU", bottom=[moved], top=[cut]),
        ]
    bottoms, coefficients = [f"{name}(low cut)", f"{name}(high cut)"], {"coeff": [scale, -scale]}
    return [*made, LayerParameter(name=name, type="Eltwise", bottom=bottoms, top=[top], eltwise_param=coefficients)]


def _relu6(layer: Any, shape: Shape) -> list[LayerParameter]:
    """min(max(x, 0), 6)."""
    return _clipped_to_6(layer, layer.bottom[0], 0, 1, layer.top[0])


def _hard_swish(layer: Any, shape: Shape) -> list[LayerParameter]:
    """x * min(max(x + 3, 0), 6) / 6."""
    gate = f"{layer.name}(gate)"
    gated = LayerParameter(
        name=f"{layer.name}(gated)", type="Eltwise", bottom=[layer.bottom[0], gate], top=layer.top,
        eltwise_param={"operation": "PROD"},
    )  # fmt: skip
    return [*_clipped_to_6(layer, layer.bottom[0], 3, 1 / 6, gate), gated]


STAND_INS: dict[str, StandIn] = {
    **dict.fromkeys(sorted(DEPTHWISE), _depthwise),
    "Axpy": _axpy,
    "BN": _bn,
    "CropCenter": _crop_center,
    "HardSwish": _hard_swish,
    "Interp": _interp,
    "ReLU6": _relu6,
    "ShuffleChannel": _shuffle_channel,
    "Upsample": _upsample,
}

OUT_OF_PLACE = frozenset({"HardSwish", "ReLU6"})
"""The types whose stand-ins read their bottom more than once, so that their top may not be their bottom."""
