"""The programs that run Caffe networks for a proof: pycaffe and OpenCV."""

import importlib.util
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray

from pyhisto import pycaffe
from pyhisto.dialects import for_opencv
from pyhisto.proof.runnable import Runnable
from pyhisto.proto import Net, bare_weights, layer_blobs

EngineName: TypeAlias = Literal["caffe", "opencv"]
Blobs: TypeAlias = Mapping[str, NDArray[np.float32]]


class EngineError(Exception):
    """An engine that reads a network and fails when it runs: a layer type that it lacks after all."""


class Engine(Protocol):
    """Runs one network: inputs to outputs. Raises EngineError."""

    def __call__(
        self, network: Runnable, weights: Net, inputs: Blobs, outputs: tuple[str, ...]
    ) -> dict[str, NDArray[np.float32]]:
        """The output blobs."""


class Choice(NamedTuple):
    """The engine of a proof."""

    engine: EngineName
    instead_of_caffe: str
    """Why it is not Caffe, as a clause; empty if it is."""


def choose_engine(networks: Iterable[Runnable], files: Iterable[str] = ()) -> Choice | None:
    """pycaffe if it can run all the networks and read all the files (prototxts' texts), else OpenCV 4 if it can.

    None if neither can. OpenCV runs them without the fields that it does not know.
    """
    networks = list(networks)
    refusal = _caffe_refuses(networks, files)
    if not refusal:
        return Choice("caffe", "")
    return Choice("opencv", refusal) if all(map(_opencv_reads, networks)) else None


def _caffe_refuses(networks: Iterable[Runnable], files: Iterable[str]) -> str:
    """Why Caffe would not take them, found without asking it: it ends the process on what it refuses."""
    if importlib.util.find_spec("caffe") is None:
        return "Caffe is not installed"
    caffe = pycaffe.load()
    from caffe.proto import caffe_pb2

    known = set(caffe.layer_type_list())
    for network in networks:
        for layer in network.net.layer:
            if layer.type not in known:
                return f"Caffe has no layer type '{layer.type}'"
    for text in (*files, *(network.text for network in networks)):
        try:
            text_format.Parse(text, caffe_pb2.NetParameter())
        except text_format.ParseError as error:
            return f"Caffe cannot read the prototxt: {' '.join(str(error).split())}"
    return ""


def _opencv_reads(network: Runnable) -> bool:
    import cv2

    try:
        cv2.dnn.readNetFromCaffe(_opencv_text(network))
    except (cv2.error, AttributeError):  # AttributeError: OpenCV 5 has no Caffe reader
        return False
    return True


def _run_caffe(
    network: Runnable, weights: Net, inputs: Blobs, outputs: tuple[str, ...]
) -> dict[str, NDArray[np.float32]]:
    caffe = pycaffe.load()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "net.prototxt")
        model.write_text(network.text, encoding="utf-8")
        loaded = caffe.Net(str(model), caffe.TEST)
    stored = layer_blobs(weights)
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
    binary = bare_weights(weights, stand_ins).SerializeToString()
    makers = {top: layer.name for layer in network.net.layer for top in layer.top}
    try:
        loaded = cv2.dnn.readNetFromCaffe(_opencv_text(network), np.frombuffer(binary, np.uint8))
        for name, values in inputs.items():
            loaded.setInput(values, name)
        results = loaded.forward([makers[name] for name in outputs])
    except cv2.error as error:
        raise EngineError(f"OpenCV: {' '.join(str(error).split())}") from None
    return dict(zip(outputs, results, strict=True))


def _opencv_text(network: Runnable) -> NDArray[np.uint8]:
    return np.frombuffer(for_opencv(network.text).encode(), np.uint8)


ENGINES: dict[EngineName, Engine] = {"caffe": _run_caffe, "opencv": _run_opencv}
