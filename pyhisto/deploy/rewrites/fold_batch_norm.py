"""BatchNorm and the Scale behind it become part of the layer that they follow.

Before: Convolution, Deconvolution or InnerProduct -> BatchNorm [-> Scale]
After: the same layer with other weights and a bias; its top has the name of the last one's.
Conditions: nobody else reads what lies between, none of it is an output, the weights are not shared, the inner product
is along axis 1, the Scale has weights of its own along axis 1.
Source: batch_norm_layer.cpp and scale_layer.cpp: y = (x - mean / n) / sqrt(variance / n + eps) x gamma + beta.
"""

from collections.abc import Sequence

import numpy as np

from pyhisto.arrays import Floats
from pyhisto.deploy.form import Form, message_of, remove_layers
from pyhisto.graph import Blob, Node
from pyhisto.graph.types import canonical_axis
from pyhisto.proto import layer_blobs
from pyhisto.prototext import Message, quote

PARAMETERS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
}


def fold_batch_norm(form: Form) -> tuple[Form, list[str]]:
    """See the module."""
    document, graph = form.document(), form.graph()
    stored, outputs = layer_blobs(form.weights), set(graph.outputs)
    owners = graph.owners()
    shared = {node for (node, _), (owner, _) in owners.items() if node is not owner}
    shared |= {owner for (node, _), (owner, _) in owners.items() if node is not owner}
    changed, gone = [], list[Message]()
    blobs: dict[str, list[Floats] | None] = {}
    for norm in graph.nodes:
        if norm.type != "BatchNorm" or not norm.bottoms[0].producer.bottoms:
            continue
        maker = norm.bottoms[0].producer
        folded = [norm]
        if _only_reader(norm.bottoms[0], outputs) is not norm or not _can_take(maker) or maker.name not in stored:
            continue
        scale = _only_reader(norm.tops[0], outputs)
        if scale is not None and _is_affine(scale):
            folded.append(scale)
        if shared.intersection((maker, *folded)):
            continue
        factor, shift = _affine(folded, stored)
        blobs[maker.name] = _folded(maker, stored[maker.name], factor, shift)
        blobs |= dict.fromkeys((node.name for node in folded), None)
        message = message_of(document, maker)
        message.set_scalar("top", quote(folded[-1].tops[0].name))
        parameter = message.message(PARAMETERS[maker.type])
        assert parameter is not None
        parameter.set_scalar("bias_term", "true")
        gone += [message_of(document, node) for node in folded]
        changed.append(f"{maker.name}: holds {' and '.join(node.name for node in folded)}")
    remove_layers(document, gone)
    return Form(document.text(), form.with_blobs(blobs), form.source), changed


def _only_reader(blob: Blob, outputs: set[Blob]) -> Node | None:
    return blob.consumers[0][0] if len(blob.consumers) == 1 and blob not in outputs else None


def _can_take(node: Node) -> bool:
    if node.type not in PARAMETERS or len(node.tops) != 1 or len(node.bottoms) != 1 or node.bottoms[0].shape is None:
        return False
    parameter = getattr(node.layer, PARAMETERS[node.type])
    return bool(canonical_axis(parameter.axis, node.bottoms[0].shape) == 1)


def _is_affine(node: Node) -> bool:
    """A Scale by weights of its own, one a channel."""
    shape, parameter = node.bottoms[0].shape, node.layer.scale_param
    return bool(
        node.type == "Scale"
        and len(node.bottoms) == 1
        and shape is not None
        and canonical_axis(parameter.axis, shape) == 1
        and parameter.num_axes == 1
    )


def _affine(nodes: Sequence[Node], stored: dict[str, list[Floats]]) -> tuple[Floats, Floats]:
    """Factor and shift of each channel."""
    mean, variance, count = (blob.astype(np.float64).ravel() for blob in stored[nodes[0].name][:3])
    share = 1 / count[0] if count[0] else 0.0
    factor = 1 / np.sqrt(variance * share + nodes[0].layer.batch_norm_param.eps)
    shift = -mean * share * factor
    if len(nodes) == 2:
        gamma, *beta = (blob.astype(np.float64).ravel() for blob in stored[nodes[1].name])
        factor, shift = factor * gamma, shift * gamma + (beta[0] if beta else 0.0)
    return factor, shift


def _folded(node: Node, blobs: Sequence[Floats], factor: Floats, shift: Floats) -> list[Floats]:
    """The weights and the bias of the layer with a factor and a shift for each of its outputs."""
    shape = (node.param_shapes or ())[0]
    weights = blobs[0].astype(np.float64).reshape(shape)
    if node.type == "Deconvolution":  # inputs x (outputs of a group) x ...
        group = node.layer.convolution_param.group
        inside = (group, 1, len(factor) // group, *(1,) * (len(shape) - 2))
        weights = (weights.reshape(group, -1, *shape[1:]) * factor.reshape(inside)).reshape(shape)
    elif node.type == "InnerProduct" and node.layer.inner_product_param.transpose:
        weights = weights * factor
    else:
        weights = weights * factor.reshape(-1, *(1,) * (len(shape) - 1))
    bias = blobs[1].astype(np.float64).ravel() if len(blobs) > 1 else np.zeros(len(factor))
    return [weights.astype(np.float32), (bias * factor + shift).astype(np.float32)]
