"""From a Caffe network and its weights to an ONNX model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import pyhisto
from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.files import whole_file
from pyhisto.graph import Graph, check_weights, safe_in_place
from pyhisto.graph.graph import Blob, Node
from pyhisto.layers.sep_layer import is_sep, stage
from pyhisto.onnx.fork_layers import FORK_FUNCTIONS
from pyhisto.onnx.layer import Dims, Layer, OnnxError
from pyhisto.onnx.layers import LAYER_FUNCTIONS, OPSET
from pyhisto.onnx.packages import load
from pyhisto.onnx.writer import Writer
from pyhisto.proof.runnable import Runnable, runnable
from pyhisto.proto import Net, layer_blobs
from pyhisto.prototext import Document

IR_VERSION = 7
"""The file format that came with OPSET."""

FUNCTIONS = {**LAYER_FUNCTIONS, **FORK_FUNCTIONS}
"""Layer type -> the function that makes its nodes, for every type that has a counterpart."""

COUNTS = (2, 3)
"""Two numbers of images: a size that differs between them follows from the number of images."""

BATCH = "N"
"""What the model calls the number of images."""


@dataclass(frozen=True)
class Export:
    """An ONNX model and what it was made of."""

    model: Any
    """A checked onnx.ModelProto, whose inputs and outputs have the names of Caffe's blobs."""
    network: Runnable
    """The network at COUNTS[0] images, without losses and labels: as Caffe can run it."""
    tensors: Mapping[str, str]
    """Caffe's blob (the last of its name, as in pycaffe's `net.blobs`) -> the model's tensor."""


def export(
    graph: Graph,
    weights: Net,
    source: object,
    properties: Mapping[str, str] | None = None,
    document: Document | None = None,
) -> Export:
    """The ONNX model of a network in its phase; `weights` are a caffemodel's, of `source`.

    The first axis of the first input is the number of images; inputs whose first axis is as long have as many. It stays
    open in the model, under the name BATCH. `properties` go into the model's metadata. `document` is the prototxt that
    the graph was built of, for Caffe to run.

    Raises InputError if a layer's weights are absent or do not fit, where the network is made for one number of
    images, where a layer has no counterpart, and where the package onnx is missing.
    """
    load("onnx")
    absent = [node.name for node in check_weights(graph, weights, source) if node.type != "Python"]
    if absent:
        raise InputError(
            f"{source}: holds no weights for layer '{absent[0]}' of {graph.source}; is it of this network?"
        )
    for node in graph.nodes:
        if is_sep(node.layer) and stage(node.layer) == "pruning":
            raise InputError(f"{graph.source}: layer '{node.name}' masks channels; prune them (tools/prune.py) instead")
    written = runnable(graph, document, as_written=True)
    for layer in written.net.layer:
        if layer.type != "Input" and layer.type not in FUNCTIONS:
            raise InputError(f"{graph.source}: layer '{layer.name}' ({layer.type}): has no counterpart in ONNX")
    making = _Making(graph.source, [_with_images(written, count).net for count in COUNTS], layer_blobs(weights))
    making.write_layers()
    making.write_outputs()
    tensors = {blob.name: tensor for blob, tensor in making.tensors.items()}
    return Export(making.model(properties or {}), _with_images(runnable(graph, document), COUNTS[0]), tensors)


def write_model(path: Path, model: Any) -> None:
    """Write an onnx.ModelProto, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_bytes(model.SerializeToString(deterministic=True))


def _with_images(network: Runnable, count: int) -> Runnable:
    """The network, made for another number of images."""
    batch = next((shape[0] for shape in network.inputs.values() if shape), None)
    return network.with_inputs(
        {name: (count, *shape[1:]) if shape and shape[0] == batch else shape for name, shape in network.inputs.items()}
    )


class _Making:
    """One export: the network at both COUNTS, and what has been written of it."""

    def __init__(self, source: str, nets: Sequence[Net], stored: Mapping[str, list[Floats]]) -> None:
        self.source = source
        try:
            self.graph, self.other = (Graph.build(net, source=source) for net in nets)
        except InputError as error:
            raise InputError(f"{error} (it has to run on any number of images, and was tried on {COUNTS})") from None
        self.stored = stored
        self.dims = dict(map(_open_dims, self.graph.blobs, self.other.blobs))
        self.names = _names(self.graph)
        self.writer = Writer(self.names.values())
        self.tensors = {blob: self.names[blob] for blob in self.graph.inputs}

    def write_layers(self) -> None:
        """The nodes of all layers, in Caffe's order."""
        for node, changed in zip(self.graph.nodes, self.other.nodes, strict=True):
            if node.type == "Input":
                continue
            self.writer.scope = node.name
            try:
                if node.foreign:
                    raise OnnxError("it does not fit the public definition of its type")
                if any(blob.in_place_of for blob in node.tops) and not safe_in_place(node.type):
                    raise OnnxError("it works in place, which Caffe computes wrongly; give its top another name")
                if node.param_shapes != changed.param_shapes:
                    raise OnnxError("the size of its weights depends on the number of images")
                tensors = FUNCTIONS[node.type](self._layer(node), self.writer)
            except OnnxError as error:
                complaint = f"layer '{node.name}' ({node.type}): cannot be expressed in ONNX: {error}"
                raise InputError(f"{self.source}: {complaint}") from None
            for blob, tensor in zip(node.tops, tensors, strict=True):
                self.tensors[blob] = self._named(blob, tensor)

    def write_outputs(self) -> None:
        """What leaves the network has its own name, though a layer that changes nothing made it."""
        for blob in self.graph.outputs:
            if self.tensors[blob] != self.names[blob]:
                self.writer.scope = blob.producer.name
                self.tensors[blob] = self._named(blob, self.writer.add("Identity", self.tensors[blob]))

    def model(self, properties: Mapping[str, str]) -> Any:
        """The onnx.ModelProto, checked."""
        onnx = load("onnx")
        inputs, outputs = map(self._described, (self.graph.inputs, self.graph.outputs))
        name = Path(self.source).name
        model = onnx.helper.make_model(
            onnx.helper.make_graph(self.writer.nodes, name, inputs, outputs, self.writer.constants),
            opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
            producer_name="pyhisto", producer_version=pyhisto.__version__,
        )  # fmt: skip
        onnx.helper.set_model_props(model, dict(properties))
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise InputError(
                f"{self.source}: ONNX refuses what was made of it: {' '.join(str(error).split())}"
            ) from None
        return model

    def _layer(self, node: Node) -> Layer:
        shapes, stored = node.param_shapes or (), self.stored.get(node.name, [])
        # Not strict: what stands for a SEP layer has no room for its state.
        blobs = [values.astype(np.float32).reshape(shape) for values, shape in zip(stored, shapes, strict=False)]
        bottoms, tops = ([self.dims[blob] for blob in blobs] for blobs in (node.bottoms, node.tops))
        return Layer(node.layer, [self.tensors[blob] for blob in node.bottoms], bottoms, tops, blobs)

    def _named(self, blob: Blob, tensor: str) -> str:
        """The tensor of a blob, under the blob's name if the tensor is new."""
        if not self.writer.is_new(tensor):
            return tensor
        self.writer.name(tensor, self.names[blob])
        return self.names[blob]

    def _described(self, blobs: Sequence[Blob]) -> list[Any]:
        onnx = load("onnx")
        described = []
        for blob in blobs:
            axes: list[int | str | None] = [None if size == -1 else size for size in self.dims[blob]]
            if blob.shape and axes[0] is None and blob.shape[0] == COUNTS[0]:
                axes[0] = BATCH
            described.append(onnx.helper.make_tensor_value_info(self.tensors[blob], onnx.TensorProto.FLOAT, axes))
        return described


def _open_dims(blob: Blob, other: Blob) -> tuple[Blob, Dims]:
    """A blob's shape, -1 if it differs from that of its twin at another number of images."""
    sizes = zip(blob.shape or (), other.shape or (), strict=True)
    return blob, tuple(size if size == changed else -1 for size, changed in sizes)


def _names(graph: Graph) -> dict[Blob, str]:
    """A name for every blob: Caffe's own for inputs and for the last of those that share it, as in `net.blobs`."""
    plain = {blob.name: blob for blob in graph.blobs} | {blob.name: blob for blob in graph.inputs}
    taken = {"", *plain}
    names = {}
    for blob in graph.blobs:
        name = blob.name
        while name in taken and (plain.get(name) is not blob or not name):
            name = f"{name or 'blob'}/{blob.producer.name or blob.producer.type}"
        taken.add(name)
        names[blob] = name
    return names
