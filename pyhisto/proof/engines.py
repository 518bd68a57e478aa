"""The programs that run Caffe networks for a proof: pycaffe and OpenCV."""

import importlib.util
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray

from pyhisto import pycaffe
from pyhisto.dialects import for_opencv
from pyhisto.graph import Node, convolution_window
from pyhisto.graph.fork_types import DEPTHWISE
from pyhisto.proof.runnable import Runnable
from pyhisto.proto import Net, NetParameter, bare_weights, blob_array, layer_blobs, set_blob, to_text

EngineName: TypeAlias = Literal["caffe", "opencv"]
Blobs: TypeAlias = Mapping[str, NDArray[np.float32]]


class EngineError(Exception):
    """An engine that reads a network and fails when it runs: a layer type that it lacks after all."""


class ProofEngine(Protocol):
    """Runs one network: inputs to outputs. Raises EngineError."""

    def __call__(
        self, network: Runnable, weights: Net, inputs: Blobs, outputs: tuple[str, ...]
    ) -> dict[str, NDArray[np.float32]]:
        """The output blobs."""


class EngineChoice(NamedTuple):
    """The engine of a proof."""

    engine: EngineName
    instead_of_caffe: str
    """Why it is not Caffe, as a clause; empty if it is."""


def choose_engine(networks: Iterable[Runnable], files: Iterable[str] = ()) -> EngineChoice | None:
    """pycaffe if it can run all the networks and read all the files (prototxts' texts), else OpenCV 4 if it can.

    None if neither can. OpenCV runs them without the fields that it does not know.
    """
    networks = list(networks)
    refusal = _caffe_refuses(networks, files)
    if not refusal:
        return EngineChoice("caffe", "")
    return EngineChoice("opencv", refusal) if all(map(_opencv_reads, networks)) else None


def missing_types(engine: EngineName, types: Iterable[str]) -> set[str] | None:
    """Those of the layer types that an engine lacks; None if the engine is not there."""
    if engine == "caffe":
        if importlib.util.find_spec("caffe") is None:
            return None
        return set(types) - set(pycaffe.load().layer_type_list())
    return {each for each in types if not _opencv_has(each)} if _opencv_has("ReLU") else None


def misrun_by(engine: EngineName, node: Node) -> bool:
    """Whether an engine is known to compute a layer wrongly.

    OpenCV (4.14) reads beyond the map in a padded depthwise convolution of 3 x 3 on maps of one row or one column.
    """
    bottom = node.bottoms[0].shape if node.bottoms else None
    if (
        engine != "opencv"
        or bottom is None
        or node.type not in ("Convolution", *DEPTHWISE)
        or min(bottom[2:], default=2) > 1
    ):
        return False
    window, group = convolution_window(node.layer, bottom), node.layer.convolution_param.group
    return bool(group > 1 and group == bottom[1] and window.kernel == (3, 3) and any(window.pad))


def caffe_reads(text: str) -> bool:
    """Whether this Caffe's schema has every field of a prototxt."""
    return not _reading_fails(text)


def _caffe_refuses(networks: Iterable[Runnable], files: Iterable[str]) -> str:
    """Why Caffe would not take them, found without asking it: it ends the process on what it refuses."""
    if importlib.util.find_spec("caffe") is None:
        return "Caffe is not installed"
    known = set(pycaffe.load().layer_type_list())
    for network in networks:
        for layer in network.net.layer:
            if layer.type not in known:
                return f"Caffe has no layer type '{layer.type}'"
    for text in (*files, *(network.text for network in networks)):
        if complaint := _reading_fails(text):
            return f"Caffe cannot read the prototxt: {complaint}"
    return ""


def _reading_fails(text: str) -> str:
    pycaffe.load()
    from caffe.proto import caffe_pb2

    try:
        text_format.Parse(text, caffe_pb2.NetParameter())
    except text_format.ParseError as error:
        return " ".join(str(error).split())
    return ""


def _opencv_reads(network: Runnable) -> bool:
    import cv2

    if not all(_opencv_has(layer.type) for layer in network.net.layer if layer.type != "Input"):
        return False
    try:
        cv2.dnn.readNetFromCaffe(_opencv_text(network))
    except (cv2.error, AttributeError):  # AttributeError: OpenCV 5 has no Caffe reader
        return False
    return True


@cache
def _opencv_has(layer_type: str) -> bool:
    """Whether OpenCV can make a layer of this type: it reads any, and complains when it runs."""
    import cv2

    probe = NetParameter(input=["x"], input_shape=[{"dim": [1, 1, 1, 1]}])
    probe.layer.add(name="y", type=layer_type, bottom=["x"] * (3 if layer_type == "Axpy" else 1), top=["y"])
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        net = cv2.dnn.readNetFromCaffe(np.frombuffer(to_text(probe).encode(), np.uint8))
        net.setInput(np.zeros((1, 1, 1, 1), np.float32), "x")
        net.forward()
    except cv2.error as error:
        return "Can't create layer" not in str(error)
    except AttributeError:
        return False
    finally:
        cv2.utils.logging.setLogLevel(level)
    return True


def _run_caffe(
    network: Runnable, weights: Net, inputs: Blobs, outputs: tuple[str, ...]
) -> dict[str, NDArray[np.float32]]:
    caffe = pycaffe.load()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "net.prototxt")
        model.write_text(network.text, encoding="utf-8")
        loaded = caffe.Net(str(model), caffe.TEST)
    stored = layer_blobs(weights, readable=True)
    for name, blobs in loaded.params.items():  # not from a file: some Caffes read none above 512 MiB
        for blob, values in zip(blobs, stored.get(name, []), strict=False):
            blob.data[...] = values.reshape(blob.data.shape)
    for name, values in inputs.items():
        loaded.blobs[name].data[...] = values
    loaded.forward()
    return {name: loaded.blobs[name].data.copy() for name in outputs}


def _run_opencv(
    network: Runnable, weights: Net, inputs: Blobs, outputs: tuple[str, ...]
) -> dict[str, NDArray[np.float32]]:
    import cv2

    stand_ins = [layer.name for layer in network.net.layer if layer.type == "Split"]  # no room for a SEP layer's state
    binary = _untransposed(network.net, bare_weights(weights, stand_ins)).SerializeToString()
    makers = {top: layer.name for layer in network.net.layer for top in layer.top}
    try:
        loaded = cv2.dnn.readNetFromCaffe(_opencv_text(network), np.frombuffer(binary, np.uint8))
        for name, values in inputs.items():
            loaded.setInput(values, name)
        results = loaded.forward([makers[name] for name in outputs])
    except cv2.error as error:
        raise EngineError(f"OpenCV: {' '.join(str(error).split())}") from None
    return dict(zip(outputs, results, strict=True))


def _untransposed(net: Net, weights: Net) -> Net:
    """Weights as OpenCV takes them, which does not look at an InnerProduct's `transpose`."""
    transposed = {layer.name for layer in net.layer if layer.inner_product_param.transpose}
    for layer in weights.layer:
        if layer.name in transposed and layer.blobs:
            values = blob_array(layer.blobs[0])
            set_blob(layer.blobs[0], values.reshape(values.shape[-2:]).T)
    return weights


def _opencv_text(network: Runnable) -> NDArray[np.uint8]:
    return np.frombuffer(for_opencv(network.text).encode(), np.uint8)


PROOF_ENGINES: dict[EngineName, ProofEngine] = {"caffe": _run_caffe, "opencv": _run_opencv}
