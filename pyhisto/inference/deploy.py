"""A deploy network and its weights, checked before an engine sees them: Caffe ends the process on what it refuses."""

from dataclasses import dataclass
from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.graph import Graph, Shape, check_weights
from pyhisto.proto import Net, read_net, read_weights


@dataclass(frozen=True)
class Deploy:
    """A checked pair of prototxt and weights."""

    model: Path
    weights: Path
    net: Net
    """The network's description."""
    blobs: Net
    """The weights, a NetParameter."""
    input: str
    """The blob of the images, N x channels x height x width."""
    shape: Shape
    """channels, height, width."""
    output: str
    """The blob of the probabilities, N x classes; the last Softmax if there are several."""
    output_layer: str
    classes: int
    python_layers: tuple[str, ...]
    """Its Python layers: only Caffe runs these."""


def read_deploy(model: Path, weights: Path) -> Deploy:
    """Read and check a deploy prototxt and its weights.

    Raises InputError if the network is not one of images in, probabilities out; if a layer's weights are absent
    (Caffe would leave them at their initial values, silently) or differ in shape; if a file is damaged.
    """
    net = read_net(model, lenient=True)
    graph = Graph.build(net, source=model)
    inputs = graph.inputs
    if len(inputs) != 1 or inputs[0].shape is None or len(inputs[0].shape) != 4:
        found = ", ".join(blob.name for blob in inputs) or "none"
        raise InputError(
            f"{model}: needs one input, N x channels x height x width (has: {found}); is it a deploy file?"
        )
    softmax = [node.tops[0] for node in graph.nodes if node.type == "Softmax" and not node.tops[0].consumers]
    if not softmax:
        raise InputError(f"{model}: does not end in a Softmax, so that it gives no probabilities; is it a deploy file?")
    output = softmax[-1]
    shape = inputs[0].shape
    # A batch of two shows whether the network can be given batches at all: a Reshape may fix the number of images.
    pair = Graph.build(net, input_shapes={inputs[0].name: (2, *shape[1:])}, source=model).blob(output.name)
    if pair.shape is None:
        raise InputError(f"{model}: the shape of its output is not known: {pair.unknown}")
    if len(pair.shape) < 2 or pair.shape[0] != 2 or any(axis != 1 for axis in pair.shape[2:]):
        raise InputError(f"{model}: two images give an output of shape {pair.shape}, not 2 x classes")
    blobs = read_weights(weights)
    absent = [node.name for node in check_weights(graph, blobs, weights)]
    if absent:
        raise InputError(
            f"{weights}: has no weights for {len(absent)} layers of {model}: {', '.join(absent[:5])}"
            f"{', ...' if len(absent) > 5 else ''}; are they weights of this network?"
        )
    python = tuple(node.name for node in graph.nodes if node.type == "Python")
    return Deploy(
        model, weights, net, blobs, inputs[0].name, shape[1:], output.name, output.producer.name, pair.shape[1], python
    )
