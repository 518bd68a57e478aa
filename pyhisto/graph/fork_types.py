"""Layer types of forks whose definitions are public: what they do to shapes. One table, one entry a type, as `types`.

SSD (weiliu89/caffe)        PriorBox, DetectionOutput, MultiBoxLoss, Normalize, Permute; Intel's PriorBoxClustered
DeepLab, PSPNet             Interp
SegNet, YOLO                Upsample: values placed by a pooling's mask, or repeated
SegNet, yjxiong/caffe       BN: scale and shift; or slope, bias, mean and variance (PSPNet, ICNet)
YOLO                        Reorg and the layers that make boxes
MobileNet, ShuffleNet       depthwise convolutions under their own names, ShuffleChannel
Fast R-CNN, R-FCN           ROIPooling, ROIAlign, PSROIPooling, PSROIAlign
SENet, waifu2x              Axpy, CropCenter
MobileNet v3, YOLO v4       ReLU6, HardSwish, HardSigmoid, Mish
"""

from typing import Any

from pyhisto.graph.types import (
    LayerType,
    Shape,
    ShapeError,
    convolution_params,
    convolution_shapes,
    count,
    dims,
    keep_shape,
    legacy,
)

DEPTHWISE = frozenset({"ConvolutionDepthwise", "DepthwiseConv", "DepthwiseConvolution"})
"""Convolutions of as many groups as they have input channels, whatever `group` says."""

BOX_LAYERS = frozenset({"DetectionOutput", "YoloDetectionOutput", "Yolov3DetectionOutput"})
"""Layers that make boxes: 1 x 1 x boxes x 7. How many there are is known only when data flow; they are set up for 1."""


def _check(condition: bool, complaint: str) -> None:
    if not condition:
        raise ShapeError(complaint)


# Detectors


def _boxes_per_position(parameters: Any) -> int:
    """How many prior boxes a position has: one a size and ratio, and one more for each largest size."""
    ratios = [1.0]
    for ratio in parameters.aspect_ratio:
        _check(ratio > 0, "an aspect_ratio has to be above 0")
        if all(abs(ratio - other) >= 1e-6 for other in ratios):
            ratios += [ratio, 1 / ratio] if parameters.flip else [ratio]
    return len(ratios) * len(parameters.min_size) + len(parameters.max_size)


def _prior_box(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    """Boxes and their variances, for each position of the first bottom: 1 x 2 x (4 H W boxes)."""
    parameters = layer.prior_box_param
    _check(len(bottoms[0]) == 4, f"takes a blob of 4 axes, not {dims(bottoms[0])}")
    if layer.type == "PriorBoxClustered":
        _check(len(parameters.width) == len(parameters.height), "needs as many widths as heights")
        boxes = len(parameters.width)
    else:
        boxes = _boxes_per_position(parameters)
    _check(boxes > 0, "gives no box")
    return [(1, 2, 4 * boxes * bottoms[0][2] * bottoms[0][3])]


def _detections(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    return [(1, 1, 1, 7)] * tops


def _multibox_loss(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    return [()]


def _regions(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    """ROIPooling and ROIAlign: the features' channels, once a region."""
    parameters = layer.roi_pooling_param
    height, width = parameters.pooled_h, parameters.pooled_w
    _check(height > 0 and width > 0, "pooled_h or pooled_w is missing or 0")
    return [(bottoms[1][0], legacy(bottoms[0], 1), height, width)]


def _position_sensitive_regions(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    parameters = layer.psroi_pooling_param
    side, outputs = parameters.group_size, parameters.output_dim
    _check(side > 0 and outputs > 0, "group_size or output_dim is missing or 0")
    fits = legacy(bottoms[0], 1) == outputs * side * side
    _check(fits, f"needs {outputs} x {side} x {side} channels, not {legacy(bottoms[0], 1)}")
    return [(bottoms[1][0], outputs, side, side)]


# Layers that keep the channels, and change the sides


def _interp(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    parameters = layer.interp_param
    _check(len(bottoms[0]) == 4, f"takes a blob of 4 axes, not {dims(bottoms[0])}")
    sides = [side + parameters.pad_beg + parameters.pad_end for side in bottoms[0][2:]]
    if len(bottoms) == 2:
        sides = list(bottoms[1][2:4])
    elif parameters.height > 0 and parameters.width > 0:
        sides = [parameters.height, parameters.width]
    else:
        _check(any(map(parameters.HasField, ("zoom_factor", "shrink_factor"))), "gives neither a size nor a factor")
        _check(parameters.zoom_factor >= 1 and parameters.shrink_factor >= 1, "its factors have to be 1 or more")
        if parameters.HasField("shrink_factor"):
            sides = [(side - 1) // parameters.shrink_factor + 1 for side in sides]
        if parameters.HasField("zoom_factor"):
            sides = [side + (side - 1) * (parameters.zoom_factor - 1) for side in sides]
    return [(*bottoms[0][:2], *sides)]


def _upsample(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    parameters = layer.upsample_param
    _check(len(bottoms[0]) == 4, f"takes a blob of 4 axes, not {dims(bottoms[0])}")
    if len(bottoms) == 2:
        _check(bottoms[0] == bottoms[1], f"its bottoms differ in shape: {dims(bottoms[0])} and {dims(bottoms[1])}")
    if parameters.upsample_h and parameters.upsample_w:
        return [(*bottoms[0][:2], parameters.upsample_h, parameters.upsample_w)]
    _check(any(map(parameters.HasField, ("scale", "scale_h", "scale_w"))), "gives neither a size nor a scale")
    factors = parameters.scale_h or parameters.scale, parameters.scale_w or parameters.scale
    _check(min(factors) > 0, "its scale is 0")
    height, width = (side * factor for side, factor in zip(bottoms[0][2:], factors, strict=True))
    return [(*bottoms[0][:2], height - parameters.pad_out_h, width - parameters.pad_out_w)]


def _crop_center(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    """As much off both ends of every axis."""
    sizes = layer.crop_center_param.crop_size
    _check(len(sizes) == len(bottoms[0]), f"needs a crop_size for each of {len(bottoms[0])} axes, not {len(sizes)}")
    return [tuple(side - 2 * size for side, size in zip(bottoms[0], sizes, strict=True))]


# Layers that move channels


def _shuffle_channel(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    group, channels = layer.shuffle_channel_param.group, legacy(bottoms[0], 1)
    _check(group > 0 and channels % group == 0, f"its {channels} channels do not split into {group} groups")
    return [bottoms[0]]


def _reorg(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    """Darknet's: blocks of stride x stride pixels become channels, or (`reverse`) the other way round."""
    (bottom,), stride = bottoms, layer.reorg_param.stride
    _check(len(bottom) == 4, f"takes a blob of 4 axes, not {dims(bottom)}")
    _check(stride > 0, "stride is missing or 0")
    area = stride * stride
    if layer.reorg_param.reverse:
        _check(bottom[1] % area == 0, f"its {bottom[1]} channels do not divide by {area}")
        return [(bottom[0], bottom[1] // area, bottom[2] * stride, bottom[3] * stride)]
    _check(bottom[2] % stride == 0 and bottom[3] % stride == 0, f"{dims(bottom)} does not divide by stride {stride}")
    return [(bottom[0], bottom[1] * area, bottom[2] // stride, bottom[3] // stride)]


def _axpy(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    """a (N x C or N x C x 1 x 1) * x + y."""
    factor, x, y = bottoms
    _check(x == y, f"its second and third bottoms differ in shape: {dims(x)} and {dims(y)}")
    _check(factor[:2] == x[:2] and count(factor[2:]) == 1, f"its first bottom is not {dims(x[:2])}, but {dims(factor)}")
    return [x]


def _permute(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    (bottom,) = bottoms
    order = list(layer.permute_param.order)
    _check(all(axis < len(bottom) for axis in order) and len(set(order)) == len(order), "its order is no order of axes")
    order += [axis for axis in range(len(bottom)) if axis not in order]
    return [tuple(bottom[axis] for axis in order)]


def _normalize(layer: Any, bottoms: list[Shape], tops: int) -> list[Shape]:
    _check(len(bottoms[0]) >= 2, f"takes a blob of 2 axes or more, not {dims(bottoms[0])}")
    return [bottoms[0]]


def _normalize_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    return [() if layer.norm_param.channel_shared else (legacy(bottoms[0], 1),)]


def is_scale_and_shift(layer: Any) -> bool:
    """Whether a BN layer is SegNet's, of two blobs, and not the other forks', of four."""
    return any(map(layer.bn_param.HasField, ("bn_mode", "scale_filler", "shift_filler")))


def _bn_params(layer: Any, bottoms: list[Shape]) -> list[Shape]:
    return [(1, legacy(bottoms[0], 1), 1, 1)] * (2 if is_scale_and_shift(layer) else 4)


_DEPTHWISE = LayerType(convolution_shapes, params=convolution_params, makes_zero=True)
_DETECTIONS = LayerType(_detections, bottoms=(1, None))
_REGIONS = LayerType(_regions, bottoms=(2, None))
_POSITION_SENSITIVE = LayerType(_position_sensitive_regions, bottoms=(2, None))

FORK_TYPES: dict[str, LayerType] = {
    **dict.fromkeys(sorted(DEPTHWISE), _DEPTHWISE),
    **dict.fromkeys(sorted(BOX_LAYERS), _DETECTIONS),
    "Axpy": LayerType(_axpy, bottoms=(3, 3)),
    "BN": LayerType(keep_shape, params=_bn_params, safe_in_place=True, makes_zero=True),
    "CropCenter": LayerType(_crop_center),
    "HardSigmoid": LayerType(keep_shape, makes_nonzero=True),
    "HardSwish": LayerType(keep_shape),
    "Interp": LayerType(_interp, bottoms=(1, 2)),
    "Mish": LayerType(keep_shape),
    "MultiBoxLoss": LayerType(_multibox_loss, bottoms=(4, 4), auto_top=True),
    "Normalize": LayerType(_normalize, params=_normalize_params),
    "PSROIAlign": _POSITION_SENSITIVE,
    "PSROIPooling": _POSITION_SENSITIVE,
    "Permute": LayerType(_permute),
    "PriorBox": LayerType(_prior_box, bottoms=(2, 2)),
    "PriorBoxClustered": LayerType(_prior_box, bottoms=(2, 2)),
    "ROIAlign": _REGIONS,
    "ROIPooling": _REGIONS,
    "ReLU6": LayerType(keep_shape, safe_in_place=True),
    "Reorg": LayerType(_reorg, in_place=False),
    "ShuffleChannel": LayerType(_shuffle_channel, in_place=False),
    "Upsample": LayerType(_upsample, bottoms=(1, 2), in_place=False),
}
