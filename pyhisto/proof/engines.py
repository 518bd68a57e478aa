"""Caffe networks in memory, and the programs that run them: pycaffe and OpenCV."""

import importlib.util
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto import pycaffe
from pyhisto.dialects import with_rounding
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.graph.network import SEP_MODULE
from pyhisto.proto import LayerParameter, Net, NetParameter, layer_blobs, to_text

EngineName: TypeAlias = Literal["caffe", "opencv"]
Blobs: TypeAlias = Mapping[str, NDArray[np.float32]]

NOT_COMPARED = ("Accuracy", "Silence", "HDF5Output")


class Engine(Protocol):
    """Runs one network: inputs to outputs."""

    def __call__(
        self, net: Net, weights: Net, inputs: Blobs, outputs: tuple[str, ...]
    ) -> dict[str, NDArray[np.float32]]:
        """The output blobs."""


def available_engine(net: Net) -> EngineName | None:
    """pycaffe where it is installed and has the network's layer types, else OpenCV 4 where it reads the network."""
    if importlib.util.find_spec("caffe") is not None:
        known = set(pycaffe.load().layer_type_list())
        if {layer.type for layer in net.layer} <= known:
            return "caffe"
    import cv2

    try:
        cv2.dnn.readNetFromCaffe(_opencv_text(net))
    except (cv2.error, AttributeError):  # AttributeError: OpenCV 5 has no Caffe reader
        return None
    return "opencv"


def runnable(graph: Graph) -> Net:
    """The network of a graph with Input layers for its inputs and without losses: what both engines can run.

    A SEP layer becomes a Split, which passes its bottom on as the SEP layer does; SENet's Axpy (a * x + y), which
    neither engine has, becomes a Scale and an Eltwise. Raises InputError where an input's shape is unknown.
    """
    net = NetParameter(name="proof")
    for node in graph.nodes:
        if node.type in NOT_COMPARED or "Loss" in node.type:
            continue
        if not node.bottoms and node.type not in ("Parameter", "DummyData"):
            for blob in node.tops:
                if any(reader.type not in NOT_COMPARED and "Loss" not in reader.type for reader, _ in blob.consumers):
                    if blob.shape is None:
                        raise InputError(
                            f"{graph.source}: the shape of input '{blob.name}' is unknown ({blob.unknown}); "
                            "give it with --input-shape, or name a deploy prototxt as --model"
                        )
                    net.layer.add(name=blob.name, type="Input", top=[blob.name]).input_param.shape.add(dim=blob.shape)
            continue
        layer = LayerParameter()
        layer.CopyFrom(node.layer)
        for field in ("include", "exclude", "phase", "loss_weight", "blobs"):
            layer.ClearField(field)
        if layer.type == "Python" and layer.python_param.module == SEP_MODULE:
            layer = LayerParameter(name=layer.name, type="Split", bottom=layer.bottom, top=layer.top)
        if layer.type == "Axpy":
            _add_axpy(net, layer)
        else:
            net.layer.append(layer)
    return net


def _add_axpy(net: Net, axpy: LayerParameter) -> None:
    """a (N x C, or N x C x 1 x 1) * x + y as Caffe's own layers say it."""
    (a, x, y), (top,) = axpy.bottom, axpy.top
    flat, scaled = f"{axpy.name}(a)", f"{axpy.name}(a * x)"
    net.layer.add(name=flat, type="Reshape", bottom=[a], top=[flat]).reshape_param.shape.dim.extend([0, -1])
    net.layer.add(name=scaled, type="Scale", bottom=[x, flat], top=[scaled]).scale_param.axis = 0
    net.layer.add(name=axpy.name, type="Eltwise", bottom=[scaled, y], top=[top])


def outputs_of(net: Net) -> tuple[str, ...]:
    """What nothing reads, and what a Softmax reads: scores tell more than probabilities near 0 and 1."""
    read = {bottom for layer in net.layer for bottom in layer.bottom if bottom not in layer.top}
    scores = [layer.bottom[0] for layer in net.layer if layer.type == "Softmax" and layer.bottom[0] not in layer.top]
    return tuple(dict.fromkeys(scores + [top for layer in net.layer for top in layer.top if top not in read]))


def _run_caffe(net: Net, weights: Net, inputs: Blobs, outputs: tuple[str, ...]) -> dict[str, NDArray[np.float32]]:
    caffe = pycaffe.load()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "net.prototxt")
        model.write_text(with_rounding(to_text(net), pycaffe.rounding_field()), encoding="utf-8")
        network = caffe.Net(str(model), caffe.TEST)
    stored = layer_blobs(weights)
    for name, blobs in network.params.items():  # not from a file: Caffe reads none above 512 MiB, and VGG-16's is
        for blob, values in zip(blobs, stored.get(name, []), strict=False):
            blob.data[...] = values.reshape(blob.data.shape)
    for name, values in inputs.items():
        network.blobs[name].data[...] = values
    network.forward()
    return {name: network.blobs[name].data.copy() for name in outputs}


def _run_opencv(net: Net, weights: Net, inputs: Blobs, outputs: tuple[str, ...]) -> dict[str, NDArray[np.float32]]:
    import cv2

    network = cv2.dnn.readNetFromCaffe(
        _opencv_text(net),
        np.frombuffer(_without_state(net, weights).SerializeToString(), np.uint8),
    )
    for name, values in inputs.items():
        network.setInput(values, name)
    makers = {top: layer.name for layer in net.layer for top in layer.top}
    results = network.forward([makers[name] for name in outputs])
    return dict(zip(outputs, results, strict=True))


def _opencv_text(net: Net) -> NDArray[np.uint8]:
    return np.frombuffer(with_rounding(to_text(net), "ceil_mode").encode(), np.uint8)


def _without_state(net: Net, weights: Net) -> Net:
    """The weights of the network's own layers, without a SEP layer's state, which its stand-in has no room for."""
    split = {layer.name for layer in net.layer if layer.type == "Split"}
    result = NetParameter()
    for kind in ("layer", "layers"):
        getattr(result, kind).extend(layer for layer in getattr(weights, kind) if layer.name not in split)
    return result


ENGINES: dict[EngineName, Engine] = {"caffe": _run_caffe, "opencv": _run_opencv}
