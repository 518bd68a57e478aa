"""Whether a caffemodel fits a network, by Caffe's rules (net.cpp, Net::CopyTrainedLayersFrom)."""

from typing import Any

from pyhisto.errors import InputError
from pyhisto.graph.graph import Graph, Node
from pyhisto.graph.types import Shape, dims
from pyhisto.proto import Net, blob_array, blob_shape, weight_layers


def check_weights(graph: Graph, weights: Net, source: object) -> list[Node]:
    """The layers that have weights of which `weights` (a caffemodel, from `source`) holds none.

    Raises InputError if a layer's blobs differ from the network's in number or shape, or are damaged. Layers of the
    file that the network does not have are passed over, as Caffe does.
    """
    first: dict[str, Node] = {}
    for node in graph.nodes:
        first.setdefault(node.name, node)
    found: set[Node] = set()
    for layer in weight_layers(weights):
        target = first.get(layer.name)
        if target is None or target.param_shapes is None:
            continue
        if target.foreign:  # its blobs are its own affair
            found.add(target)
            continue
        if len(layer.blobs) != len(target.param_shapes):
            raise InputError(
                f"{source}: layer '{layer.name}': holds {len(layer.blobs)} weight blobs, "
                f"but {graph.source} has {len(target.param_shapes)}"
            )
        for index, (blob, shape) in enumerate(zip(layer.blobs, target.param_shapes, strict=True)):
            if not fits(blob, shape):
                raise InputError(
                    f"{source}: layer '{layer.name}': weight blob {index} is {dims(blob_shape(blob))}, "
                    f"but {graph.source} needs {dims(shape)}"
                )
            try:
                blob_array(blob)
            except InputError as error:
                raise InputError(f"{source}: layer '{layer.name}': {error}") from None
        found.add(target)
    return [node for node in graph.nodes if node.param_shapes and node not in found]


def stored_shapes(weights: Net) -> dict[str, list[Shape]]:
    """The shapes of a caffemodel's blobs, by layer; layers without blobs have none."""
    return {layer.name: [blob_shape(blob) for blob in layer.blobs] for layer in weight_layers(weights)}


def fits(blob: Any, shape: Shape) -> bool:
    """Whether a BlobProto has this shape. One written in the old way has four axes; missing ones are 1, in front."""
    old = any(blob.HasField(name) for name in ("num", "channels", "height", "width"))
    if old and len(shape) <= 4:
        return (blob.num, blob.channels, blob.height, blob.width) == ((1,) * (4 - len(shape)) + shape)
    return blob_shape(blob) == shape
