"""The rewrite: prototxts and weights with the removed channels cut out, or masked."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.graph import Blob, Graph, Node
from pyhisto.graph.fork_types import DEPTHWISE
from pyhisto.graph.types import dims
from pyhisto.proto import Net, blob_array, blob_shape, set_blob, weight_layers
from pyhisto.prototext import Document, Message
from pyhisto.pruning.channel_rules import find_slice_axis, whole_groups_go
from pyhisto.pruning.channels import Channels
from pyhisto.pruning.dependencies import Dependencies

Keeps: TypeAlias = Sequence[NDArray[np.bool_] | None]
"""For each axis of a weight blob, which indices stay; None if all do."""


class ChannelCut:
    """A network's dependencies and which atoms go."""

    def __init__(self, dependencies: Dependencies, removed: NDArray[np.bool_]) -> None:
        self.dependencies = dependencies
        self.stays = ~removed[dependencies.atom]

    def keep(self, channels: Channels) -> NDArray[np.bool_]:
        """For each index along an axis, whether it stays."""
        return self.stays[channels]

    def param_keeps(self, layer: str, blob: int) -> Keeps:
        """What stays along each axis of a weight blob; empty if nothing is known of it."""
        axes = self.dependencies.params.get((layer, blob), [])
        keeps = [None if channels is None else self.keep(channels) for channels in axes]
        return [None if keep is None or keep.all() else keep for keep in keeps]


# Weights


def cut_blob(
    values: NDArray[np.floating], keeps: Sequence[NDArray[np.bool_] | None], what: str
) -> NDArray[np.floating]:
    """A weight blob without what goes. Blobs in the old format have leading axes of size 1."""
    lead = values.ndim - len(keeps)
    for axis, keep in enumerate(keeps):
        if keep is not None:
            if lead < 0 or values.shape[lead + axis] != len(keep):
                raise InputError(f"{what}: is of shape {values.shape}, but {len(keep)} were expected on axis {axis}")
            values = np.compress(keep, values, axis=lead + axis)
    return values


def mask_blob(values: Floats, keeps: Keeps, what: str) -> Floats:
    """A weight blob of the same shape with zeros in what goes."""
    lead, values = values.ndim - len(keeps), values.copy()
    for axis, keep in enumerate(keeps):
        if keep is not None:
            values[(slice(None),) * (lead + axis) + (~keep,)] = 0
    return values


def check_axes(weights: Net, dependencies: Dependencies, source: object) -> None:
    """Every weight blob has to be as long as the analysis says along every axis that it knows. Raises InputError.

    The graph has checked it already, but for layers whose bottom's shape is unknown.
    """
    for layer in weight_layers(weights):
        for index, blob in enumerate(layer.blobs):
            axes, shape = dependencies.params.get((layer.name, index), []), blob_shape(blob)
            lead = len(shape) - len(axes)
            known = [(size, len(c)) for size, c in zip(shape[max(lead, 0) :], axes, strict=False) if c is not None]
            if lead < 0 or any(size != length for size, length in known) or (axes and set(shape[:lead]) - {1}):
                raise InputError(
                    f"{source}: layer '{layer.name}': weight blob {index} is {dims(shape)}, which does not fit "
                    "the network"
                )


def rewrite_weights(weights: Net, cut: ChannelCut, mask: bool = False) -> Net:
    """A caffemodel, in the format that it is in, without the removed channels, or (`mask`) with zeros in their place.

    A masked weight set makes the original network compute what the pruned one does: each removed channel is made by
    zeros, normalised by zeros, and read by zeros. Layers that no prototxt describes, and fields other than blobs, are
    copied as they are.
    """
    result = type(weights)()
    result.CopyFrom(weights)
    for layer in weight_layers(result):
        for index, blob in enumerate(layer.blobs):
            keeps = cut.param_keeps(layer.name, index)
            if any(keep is not None for keep in keeps):
                what = f"layer '{layer.name}' blob {index}"
                set_blob(blob, (mask_blob if mask else cut_blob)(blob_array(blob), keeps, what))
    return result


# Prototxts


def rewrite_prototxt(document: Document, graphs: Sequence[tuple[Graph, dict[Blob, Channels]]], cut: ChannelCut) -> None:
    """Edit a prototxt in place, given its graphs (one a phase) and their blobs' channels. Only sizes change."""
    messages = document.messages("layer") or document.messages("layers")
    done: set[int] = set()
    for graph, channels in graphs:
        for node in graph.nodes:
            if node.index is not None and node.index not in done:
                done.add(node.index)
                _rewrite_layer(messages[node.index], node, channels, cut)


def _rewrite_layer(message: Message, node: Node, channels: dict[Blob, Channels], cut: ChannelCut) -> None:
    if node.foreign:  # all that it makes is kept, whatever its type is called
        return
    match node.type:
        case "Convolution" | "Deconvolution" | "ConvolutionDepthwise" | "DepthwiseConv" | "DepthwiseConvolution":
            parameter = node.layer.convolution_param
            _set_outputs(_parameter(message, node, "convolution_param"), node, cut)
            inputs = channels.get(node.bottoms[0])
            if inputs is not None and whole_groups_go(node, len(inputs)):
                kept = int(cut.keep(inputs).sum()) * parameter.group // len(inputs)
                written = _parameter(message, node, "convolution_param")
                if kept != parameter.group and (node.type not in DEPTHWISE or written.named("group")):
                    written.set_scalar("group", str(kept))
        case "InnerProduct":
            _set_outputs(_parameter(message, node, "inner_product_param"), node, cut)
        case "Embed":
            _set_outputs(_parameter(message, node, "embed_param"), node, cut)
        case "Slice":
            _rewrite_slice(message, node, channels, cut)
        case "Reshape":
            _rewrite_reshape(message, node, channels, cut)


def _parameter(message: Message, node: Node, name: str) -> Message:
    parameter = message.message(name)
    if parameter is None:
        raise InputError(
            f"layer '{node.name}': is written in Caffe's oldest format (V0); upgrade the file first with Caffe's "
            "upgrade_net_proto_text"
        )
    return parameter


def _set_outputs(parameter: Message, node: Node, cut: ChannelCut) -> None:
    keep = cut.keep(cut.dependencies.producers[node.name])
    if not keep.all():
        parameter.set_scalar("num_output", str(int(keep.sum())))


def _rewrite_slice(message: Message, node: Node, channels: dict[Blob, Channels], cut: ChannelCut) -> None:
    if find_slice_axis(node) != 1:
        return
    sizes = [int(cut.keep(channels[blob]).sum()) for blob in node.tops if blob in channels]
    if len(sizes) < len(node.tops) or sizes == [len(channels[blob]) for blob in node.tops]:
        return
    points = [str(point) for point in np.cumsum(sizes)[:-1]]
    parameter = message.message("slice_param")
    if parameter is not None:
        parameter.replace_values("slice_point", points)
    elif len(set(sizes)) > 1:  # without slice points Caffe slices evenly
        raise InputError(
            f"layer '{node.name}': slices evenly and has no slice_param; write slice_param {{ axis: 1 }} into it, "
            "so that slice points can be added"
        )


def _rewrite_reshape(message: Message, node: Node, channels: dict[Blob, Channels], cut: ChannelCut) -> None:
    top, parameter = node.tops[0], message.message("reshape_param")
    bottom = node.bottoms[0].shape
    if parameter is None or top not in channels or bottom is None:
        return
    keep, dims = cut.keep(channels[top]), node.layer.reshape_param.shape.dim
    first = node.layer.reshape_param.axis
    position = 1 - (first if first >= 0 else first + len(bottom) + 1)
    shape = parameter.message("shape")
    if not keep.all() and shape is not None and 0 <= position < len(dims) and dims[position] > 0:
        written = [str(dim) for dim in dims]
        written[position] = str(int(keep.sum()))
        shape.replace_values("dim", written)
