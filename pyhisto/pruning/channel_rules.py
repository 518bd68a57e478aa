"""What each layer type does with channels: one rule a function, one entry a type in RULES.

A rule is given the channels along axis 1 of each bottom and returns those of each top; None stands for a blob whose
axis 1 is unknown, or that has none. What it knows beside that (weights, ties, what has to stay) it enters into the
record. In the docstrings C, K are numbers of channels before a cut, C', K' after it.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from pyhisto.errors import InputError
from pyhisto.graph import LAYER_TYPES, Blob, Node
from pyhisto.graph.fork_types import DEPTHWISE
from pyhisto.graph.types import canonical_axis, concat_axis, count, slice_axis
from pyhisto.layers.activation_statistics import MASK, SUM_HIGH, SUM_LOW
from pyhisto.layers.sep_layer import is_sep
from pyhisto.pruning.channels import ChannelRecord, Channels

BlobChannels: TypeAlias = list[Channels | None]
ChannelRule: TypeAlias = Callable[[ChannelRecord, Node, BlobChannels], BlobChannels]


def follow(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """The channels of a layer's tops, by the rule of its type; `record` learns what else the rule knows."""
    rule = keep_everything if node.foreign else RULES.get(node.type, keep_everything)
    tops = rule(record, node, bottoms)
    kind = None if node.foreign else LAYER_TYPES.get(node.type)
    passes = all(record.zero[blob] for blob in node.bottoms)
    zero = (passes and not (kind and kind.makes_nonzero) and not _shifts(node)) or bool(kind and kind.makes_zero)
    record.zero.update(dict.fromkeys(node.tops, zero))
    return tops


def size_of(blob: Blob) -> int | None:
    """The size of axis 1; None if there is none or it is unknown."""
    return blob.shape[1] if blob.shape is not None and len(blob.shape) > 1 else None


def find_size(blob: Blob) -> int | None:
    """The size of axis 1, read off the weights of the layers that read the blob if its shape is unknown."""
    if blob.shape is not None:
        return size_of(blob)
    ahead, seen = [blob], {blob}
    while ahead:
        for reader, _ in ahead.pop().consumers:
            if (size := _size_of_weights(reader)) is not None:
                return size
            if not reader.foreign and RULES.get(reader.type) in (pass_on, tie_all):
                ahead += [top for top in reader.tops if top not in seen]
                seen.update(reader.tops)
    return None


def _size_of_weights(reader: Node) -> int | None:
    """How many channels a layer reads by the shape of its weights; None if they do not say."""
    layer, params = reader.layer, reader.param_shapes
    if reader.foreign or not params or len(params[0]) == 0:
        return None
    first, second = params[0][0], params[0][1] if len(params[0]) > 1 else None
    match reader.type:
        case "Convolution" if second is not None and 0 < (group := int(layer.convolution_param.group)) <= first:
            return second * group
        case "InnerProduct" if reader.bottoms[0].producer.type == "Flatten":
            return first if layer.inner_product_param.transpose else second
        case "Deconvolution" | "BatchNorm" | "ConvolutionDepthwise" | "DepthwiseConv" | "DepthwiseConvolution":
            return first
        case "PReLU" if not layer.prelu_param.channel_shared:
            return first
        case "Scale" if len(reader.bottoms) == 1 and layer.scale_param.axis == layer.scale_param.num_axes == 1:
            return first
    return None


def describe(node: Node) -> str:
    """A layer in a sentence."""
    return f"layer '{node.name}' ({node.type})"


# Layers that make, or end, what can be cut


def make_inputs(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """A layer without bottoms.

    Before: data (C).
    After: data (C).
    """
    return [
        None if (size := find_size(blob)) is None else record.keep_all(size, f"network input '{blob.name}'")
        for blob in node.tops
    ]


def keep_everything(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """A layer that mixes channels, or that nobody knows.

    Before: x (C) -> y (K).
    After: x (C) -> y (K).
    """
    for channels in bottoms:
        record.freeze(channels, f"read by {describe(node)}")
    if not node.bottoms:
        return make_inputs(record, node, bottoms)
    return [
        None if (size := find_size(blob)) is None else record.keep_all(size, f"made by {describe(node)}")
        for blob in node.tops
    ]


def end(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """A layer without tops that takes anything: Silence.

    Before: x (C).
    After: x (C').
    """
    return []


# Layers that multiply by a matrix


def follow_convolution(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Convolution and Deconvolution, in groups or not; several bottoms share the weights.

    Before: x (C) -> y (K); weights K x C/group x kernel (Deconvolution: C x K/group x kernel), biases K.
    After: x (C') -> y (K'); weights K' x C'/group' x kernel, biases K'.
    Conditions: the channels lie on axis 1. In groups: see `_group_axes`.
    """
    parameter = node.layer.convolution_param
    if parameter.axis != 1:
        return keep_everything(record, node, bottoms)
    outputs, inputs, group = parameter.num_output, bottoms[0], parameter.group
    # The graph has checked this unless the shape of its bottom is unknown.
    if not group or not outputs or outputs % group or (inputs is not None and len(inputs) % group):
        raise InputError(f"{describe(node)}: its channels cannot be divided into {group} groups")
    out = record.produce(node, outputs)
    for other in bottoms[1:]:
        record.tie(bottoms[0], other, f"read by {describe(node)}")
    weight_in, weight_out = _group_axes(record, node, inputs, out, group)
    spatial = [None] * (len(node.param_shapes[0]) - 2 if node.param_shapes else 2)
    # A deconvolution's weights are the transpose; of a grouped one's two axes, the second is that of one group.
    if node.type == "Deconvolution":
        first, second = bottoms[0], weight_out
    else:
        first, second = out, weight_in
    record.lie_along(node, 0, [first, second, *spatial])
    if parameter.bias_term:
        record.lie_along(node, 1, [out])
    return [out] * len(node.tops)


def _group_axes(
    record: ChannelRecord, node: Node, inputs: Channels | None, out: Channels, group: int
) -> tuple[Channels | None, Channels | None]:
    """The channels along the axis of a weight blob that a group's own inputs, or outputs, lie on.

    All groups of a convolution have one size. If there are at least as many groups as inputs in each (depthwise,
    ResNeXt), whole groups go, inputs and outputs together; else every group loses the same positions.
    """
    if group == 1:
        return inputs, out
    outputs = out.reshape(group, -1)
    if inputs is None:
        record.freeze(out, f"groups of {describe(node)} with unknown inputs")
        return None, outputs[0]
    rows = inputs.reshape(group, -1)
    if whole_groups_go(node, len(inputs)):
        for matrix in (rows, outputs):
            record.tie(np.repeat(rows[:, 0], matrix.shape[1]), matrix.ravel(), "")
        return None, None
    for matrix in (rows, outputs):
        record.tie(np.tile(matrix[0], group), matrix.ravel(), "")
    return rows[0], outputs[0]


def whole_groups_go(node: Node, inputs: int) -> bool:
    """Whether a cut through this convolution lowers the number of its groups (else their size)."""
    group = node.layer.convolution_param.group
    return bool(group > 1 and group >= inputs // group)


def follow_inner_product(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """InnerProduct.

    Before: x (C x H x W) -> y (K); weights K x CHW (or its transpose), biases K.
    After: x (C' x H x W) -> y (K'); weights K' x C'HW, biases K'.
    Conditions: it flattens from axis 1 on; H W is known, from the shape of x or from that of the weights, else x stays.
    """
    parameter, bottom = node.layer.inner_product_param, node.bottoms[0]
    axis = parameter.axis if bottom.shape is None else canonical_axis(parameter.axis, bottom.shape)
    if axis != 1:
        return keep_everything(record, node, bottoms)
    out = record.produce(node, parameter.num_output)
    inputs = bottoms[0]
    if inputs is not None:
        weights, pairs = count(node.param_shapes[0]) if node.param_shapes else 0, len(inputs) * len(out)
        if bottom.shape is not None:
            inputs = np.repeat(inputs, count(bottom.shape[2:]))
        elif weights and pairs and weights % pairs == 0:
            inputs = np.repeat(inputs, weights // pairs)
        else:
            record.freeze(inputs, f"read by {describe(node)}, whose bottom's shape is unknown: {bottom.unknown}")
            inputs = None
    record.lie_along(node, 0, [inputs, out] if parameter.transpose else [out, inputs])
    if parameter.bias_term:
        record.lie_along(node, 1, [out])
    return [out]


def follow_embed(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Embed.

    Before: indices (N) -> y (N x K); weights input_dim x K, biases K.
    After: indices (N) -> y (N x K'); weights input_dim x K', biases K'.
    Conditions: the new axis is axis 1.
    """
    out = record.produce(node, node.layer.embed_param.num_output)
    if node.tops[0].shape is None or len(node.tops[0].shape) != 2:
        record.freeze(out, f"made by {describe(node)}")
        return [None]
    record.lie_along(node, 0, [None, out])
    if node.layer.embed_param.bias_term:
        record.lie_along(node, 1, [out])
    return [out]


# Layers that work on each channel alone


def pass_on(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """A layer that works on each number, or each map, alone.

    Before: x (C) -> y (C).
    After: x (C') -> y (C').
    """
    return [bottoms[0]] * len(node.tops)


def pass_each_on(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Filter, BatchReindex: the last bottom chooses samples.

    Before: x (C), z (D), choice -> x (C), z (D).
    After: x (C'), z (D'), choice -> x (C'), z (D').
    """
    return [bottoms[i] for i in range(len(node.tops))]


def follow_batch_norm(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """BatchNorm.

    Before: x (C) -> y (C); mean C, variance C, their common factor 1.
    After: x (C') -> y (C'); mean C', variance C', their common factor 1.
    """
    record.lie_along(node, 0, [bottoms[0]])
    record.lie_along(node, 1, [bottoms[0]])
    return [bottoms[0]]


def follow_bn(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """BN of SegNet and of yjxiong/caffe.

    Before: x (C) -> y (C); scale and shift, or slope, bias, mean and variance, C each.
    After: x (C') -> y (C'); each of its blobs C'.
    """
    for blob, shape in enumerate(node.param_shapes or ()):
        axes: BlobChannels = [None] * len(shape)
        axes[min(1, len(shape) - 1)] = bottoms[0]
        record.lie_along(node, blob, axes)
    return [bottoms[0]]


def follow_prelu(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """PReLU.

    Before: x (C) -> y (C); slopes C, or one for all.
    After: x (C') -> y (C'); slopes C', or one for all.
    """
    if not node.layer.prelu_param.channel_shared:
        record.lie_along(node, 0, [bottoms[0]])
    return [bottoms[0]]


def follow_normalize(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """SSD's Normalize, which divides by the norm over the channels.

    Before: x (C) -> y (C); scales C, or one for all.
    After: x (C') -> y (C'); scales C', or one for all.
    Conditions: what goes is zero before it, and so adds nothing to the norm.
    """
    if not record.zero[node.bottoms[0]]:
        return keep_everything(record, node, bottoms)
    if not node.layer.norm_param.channel_shared:
        record.lie_along(node, 0, [bottoms[0]])
    return [bottoms[0]]


def follow_scale(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Scale and Bias, by weights of their own or by a second bottom (the gate of an SE block).

    Before: x (C), gate (C) -> y (C); weights and biases C.
    After: x (C'), gate (C') -> y (C'); weights and biases C'.
    Conditions: `axis` is not negative, or the shape is known. A gate is followed along its axis 1 only: it has to begin
    at the features' axis 0, else both stay.
    """
    parameter = node.layer.scale_param if node.type == "Scale" else node.layer.bias_param
    shape = node.bottoms[0].shape
    axis = parameter.axis if shape is None else canonical_axis(parameter.axis, shape)
    blobs = 1 if node.type == "Bias" else 1 + parameter.bias_term
    if axis < 0:
        return keep_everything(record, node, bottoms)
    if len(node.bottoms) == 2:
        gate = node.bottoms[1].shape
        if gate is None or shape is None:
            return keep_everything(record, node, bottoms)
        covered = axis <= 1 < axis + len(gate)
        axes = _place(bottoms[0] if covered else None, 1 - axis, len(gate))
        if covered:
            record.tie(bottoms[0], bottoms[1] if axis == 0 else None, f"gated by {describe(node)} along another axis")
        else:
            record.freeze(bottoms[1], f"read by {describe(node)}")
        first_own = 1
    else:
        extent = (
            (len(shape) - axis if shape is not None else 2 - axis) if parameter.num_axes < 0 else parameter.num_axes
        )
        axes = _place(bottoms[0] if axis <= 1 < axis + extent else None, 1 - axis, extent)
        first_own = 0
    for blob in range(blobs - first_own):
        record.lie_along(node, blob, axes)
    return [bottoms[0]]


def _place(channels: Channels | None, position: int, size: int) -> BlobChannels:
    axes: BlobChannels = [None] * size
    if channels is not None:
        axes[position] = channels
    return axes


def follow_lrn(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """LRN.

    Before: x (C) -> y (C).
    After: x (C') -> y (C').
    Conditions: within channels; across them it looks at neighbours, which a cut would change.
    """
    parameter = node.layer.lrn_param
    across = parameter.norm_region == parameter.ACROSS_CHANNELS
    return keep_everything(record, node, bottoms) if across else [bottoms[0]]


def follow_mvn(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """MVN.

    Before: x (C) -> y (C).
    After: x (C') -> y (C').
    Conditions: within channels.
    """
    return keep_everything(record, node, bottoms) if node.layer.mvn_param.across_channels else [bottoms[0]]


def follow_sep(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Our SEP layer, whose state goes with its channels; anybody else's Python layer is unknown.

    Before: gate (C) -> gate (C); sums C and C, samples 1, mask C.
    After: gate (C') -> gate (C'); sums C' and C', samples 1, mask C'.
    """
    if not is_sep(node.layer):
        return keep_everything(record, node, bottoms)
    for blob in (SUM_HIGH, SUM_LOW, MASK):
        record.lie_along(node, blob, [bottoms[0]])
    return [bottoms[0]]


# Layers that join or part blobs


def tie_all(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Eltwise, and Upsample with a pooling's mask: the same channel of every bottom.

    Before: x (C), z (C), ... -> y (C).
    After: x (C'), z (C'), ... -> y (C').
    """
    for other in bottoms[1:]:
        record.tie(bottoms[0], other, f"read by {describe(node)}")
    return [bottoms[0]]


def follow_axpy(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """SENet's a * x + y.

    Before: a (C), x (C), y (C) -> z (C).
    After: a (C'), x (C'), y (C') -> z (C').
    """
    for other in (bottoms[0], bottoms[2]):
        record.tie(bottoms[1], other, f"read by {describe(node)}")
    return [bottoms[1]]


def follow_concat(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Concat.

    Before: x (C), z (D), ... -> y (C + D + ...).
    After: x (C'), z (D'), ... -> y (C' + D' + ...).
    Conditions: along axis 1; along another one, as Eltwise. If one bottom's channels are unknown, their number is what
    the readers' weights leave for them.
    """
    parameter, shape = node.layer.concat_param, node.bottoms[0].shape
    axis = concat_axis(node.layer, shape) if shape is not None else parameter.axis
    if axis < 0 or (shape is None and parameter.HasField("concat_dim")):
        return keep_everything(record, node, bottoms)
    missing = [index for index, channels in enumerate(bottoms) if channels is None]
    if axis == 1 and len(missing) == 1:
        rest = (find_size(node.tops[0]) or 0) - sum(len(channels) for channels in bottoms if channels is not None)
        if rest > 0:
            bottoms = list(bottoms)
            bottoms[missing[0]] = record.keep_all(rest, f"read by {describe(node)}")
            missing = []
    if missing:
        return keep_everything(record, node, bottoms)
    if axis == 1:
        return [np.concatenate([channels for channels in bottoms if channels is not None])]
    return tie_all(record, node, bottoms)


def follow_slice(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Slice.

    Before: x (C + D + ...) -> y (C), z (D), ...
    After: x (C' + D' + ...) -> y (C'), z (D'), ...; its slice points move.
    Conditions: along axis 1, where each part keeps at least one channel; along another one, channels pass.
    """
    axis = find_slice_axis(node)
    if bottoms[0] is None or axis is None:
        return keep_everything(record, node, bottoms)
    if axis != 1:
        return pass_on(record, node, bottoms)
    points, size = list(node.layer.slice_param.slice_point), len(bottoms[0])
    if not points and size % len(node.tops):
        return keep_everything(record, node, bottoms)
    ends = points or range(size // len(node.tops), size, size // len(node.tops))
    parts = np.split(bottoms[0], list(ends))
    if len(parts) != len(node.tops) or not all(map(len, parts)):
        return keep_everything(record, node, bottoms)
    record.slices += parts
    return list(parts)


def find_slice_axis(node: Node) -> int | None:
    """The axis that a Slice layer cuts; None if it is not known without the bottom's shape."""
    parameter, shape = node.layer.slice_param, node.bottoms[0].shape
    if shape is not None:
        return slice_axis(node.layer, shape)
    return parameter.axis if parameter.axis >= 0 and not parameter.HasField("slice_dim") else None


def follow_tile(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Tile.

    Before: x (C) -> y (tiles C), or y (C) along another axis.
    After: x (C') -> y (tiles C'), or y (C').
    """
    shape, parameter = node.bottoms[0].shape, node.layer.tile_param
    if shape is None or bottoms[0] is None:
        return keep_everything(record, node, bottoms)
    if canonical_axis(parameter.axis, shape) != 1:
        return [bottoms[0]]
    return [np.tile(bottoms[0], parameter.tiles)]


# Layers that arrange numbers anew


def follow_reshape(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Reshape and Flatten.

    Before: x (C x H x W) -> y (C r x ...).
    After: x (C' x H x W) -> y (C' r x ...).
    Conditions: axis 0 stays, and each index of the new axis 1 lies within one channel: r divides H W.
    """
    old, new = node.bottoms[0].shape, node.tops[0].shape
    flatten = node.layer.flatten_param
    if (
        node.type == "Flatten"
        and old is None
        and bottoms[0] is not None
        and (flatten.axis, flatten.end_axis) == (1, -1)
    ):
        size = find_size(node.tops[0])
        if size is not None and size % len(bottoms[0]) == 0:
            return [np.repeat(bottoms[0], size // len(bottoms[0]))]
    if bottoms[0] is None or old is None or new is None or len(new) < 2 or old[0] != new[0]:
        return keep_everything(record, node, bottoms)
    repeats, rest = divmod(new[1], old[1])
    if rest or repeats == 0 or count(old[2:]) % repeats:
        return keep_everything(record, node, bottoms)
    return [np.repeat(bottoms[0], repeats)]


def follow_permute(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """SSD's Permute.

    Before: x (C x H x W) -> y (C x W x H).
    After: x (C' x H x W) -> y (C' x W x H).
    Conditions: axes 0 and 1 stay.
    """
    if list(node.layer.permute_param.order[:2]) not in ([], [0], [0, 1]):
        return keep_everything(record, node, bottoms)
    return [bottoms[0]]


def follow_crop(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Crop, to the size of a reference.

    Before: x (C x H x W), reference (D x h x w) -> y (C x h x w).
    After: x (C' x H x W), reference (D' x h x w) -> y (C' x h x w).
    Conditions: only H and W are cropped; the reference's channels do not matter then.
    """
    shape = node.bottoms[0].shape
    if shape is None or canonical_axis(node.layer.crop_param.axis, shape) < 2:
        return keep_everything(record, node, bottoms)
    return [bottoms[0]]


def follow_reduction(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Reduction, of all axes from one on.

    Before: x (C x H x W) -> y (C).
    After: x (C' x H x W) -> y (C').
    Conditions: from axis 2 on.
    """
    shape = node.bottoms[0].shape
    if shape is None or canonical_axis(node.layer.reduction_param.axis, shape) < 2:
        return keep_everything(record, node, bottoms)
    return [bottoms[0]]


# Layers of forks


def follow_crop_center(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """waifu2x's CropCenter.

    Before: x (C x H x W) -> y (C x h x w).
    After: x (C' x H x W) -> y (C' x h x w).
    Conditions: no channel is cropped.
    """
    sizes = node.layer.crop_center_param.crop_size
    return [bottoms[0]] if len(sizes) > 1 and sizes[1] == 0 else keep_everything(record, node, bottoms)


def follow_prior_box(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """SSD's PriorBox: only the heights and widths of what it reads matter.

    Before: features (C x H x W), image (D x h x w) -> boxes (2).
    After: features (C' x H x W), image (D' x h x w) -> boxes (2).
    """
    return [record.keep_all(2, f"made by {describe(node)}")]


def follow_resize(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Interp; of a second bottom only the height and width matter.

    Before: x (C x H x W), reference (D x h x w) -> y (C x h x w).
    After: x (C' x H x W), reference (D' x h x w) -> y (C' x h x w).
    """
    return [bottoms[0]]


def follow_regions(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """ROIPooling and ROIAlign.

    Before: features (C), regions (5) -> y (C).
    After: features (C'), regions (5) -> y (C').
    """
    for other in bottoms[1:]:
        record.freeze(other, f"read by {describe(node)}")
    return [bottoms[0]]


def shuffle_channels(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """ShuffleNet's ShuffleChannel: channel i of group g becomes channel g of group i.

    Before: x (G groups of C) -> y (C groups of G).
    After: x (G groups of C') -> y (C' groups of G).
    Conditions: every group loses the same positions.
    """
    channels, group = bottoms[0], node.layer.shuffle_channel_param.group
    if channels is None or not group or len(channels) % group:
        return keep_everything(record, node, bottoms)
    rows = channels.reshape(group, -1)
    record.tie(np.tile(rows[0], group), channels, "")
    return [rows.T.ravel()]


def reorganise(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """YOLO's Reorg: each of the S x S pixels of a block becomes C channels of its own.

    Before: x (C x H x W) -> y (S S C x H/S x W/S).
    After: x (C' x H x W) -> y (S S C' x H/S x W/S).
    Conditions: not `reverse`; S S divides C, and channels go in bundles of S S neighbours, because Darknet's Reorg
    looks upon so many channels as upon one.
    """
    channels, area = bottoms[0], node.layer.reorg_param.stride**2
    if channels is None or node.layer.reorg_param.reverse or not area or len(channels) % area:
        return keep_everything(record, node, bottoms)
    record.tie(np.repeat(channels[::area], area), channels, "")
    return [np.tile(channels, area)]


def follow_im2col(record: ChannelRecord, node: Node, bottoms: BlobChannels) -> BlobChannels:
    """Im2col.

    Before: x (C) -> y (C kernel).
    After: x (C') -> y (C' kernel).
    Conditions: the channels lie on axis 1.
    """
    size, channels = size_of(node.tops[0]), bottoms[0]
    if size is None or channels is None or node.layer.convolution_param.axis != 1:
        return keep_everything(record, node, bottoms)
    return [np.repeat(channels, size // len(channels))]


RULES: dict[str, ChannelRule] = {
    **dict.fromkeys(
        ("AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Exp", "HardSigmoid", "HardSwish", "Log", "Mish", "Pooling",
         "Power", "ReLU", "ReLU6", "Sigmoid", "Split", "Swish", "TanH", "Threshold"), pass_on,
    ),
    **dict.fromkeys(("Convolution", "Deconvolution", *sorted(DEPTHWISE)), follow_convolution),
    **dict.fromkeys(("PriorBox", "PriorBoxClustered"), follow_prior_box),
    **dict.fromkeys(("ROIAlign", "ROIPooling"), follow_regions),
    "Axpy": follow_axpy,
    "BN": follow_bn,
    "BatchNorm": follow_batch_norm,
    "BatchReindex": pass_each_on,
    "Bias": follow_scale,
    "Concat": follow_concat,
    "Crop": follow_crop,
    "CropCenter": follow_crop_center,
    "Eltwise": tie_all,
    "Embed": follow_embed,
    "Filter": pass_each_on,
    "Flatten": follow_reshape,
    "Im2col": follow_im2col,
    "InnerProduct": follow_inner_product,
    "Interp": follow_resize,
    "LRN": follow_lrn,
    "MVN": follow_mvn,
    "Normalize": follow_normalize,
    "PReLU": follow_prelu,
    "Permute": follow_permute,
    "Python": follow_sep,
    "Reduction": follow_reduction,
    "Reorg": reorganise,
    "Reshape": follow_reshape,
    "Scale": follow_scale,
    "ShuffleChannel": shuffle_channels,
    "Silence": end,
    "Slice": follow_slice,
    "Tile": follow_tile,
    "Upsample": tie_all,
}  # fmt: skip
"""Every other type keeps what it reads and makes: losses, Softmax, recurrent layers, layers of other people."""


def _shifts(node: Node) -> bool:
    """Whether it makes of zero what is not zero, by its settings."""
    if node.type == "Clip":
        return not node.layer.clip_param.min <= 0 <= node.layer.clip_param.max
    return bool(node.type == "Power" and node.layer.power_param.shift != 0)
