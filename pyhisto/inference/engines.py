"""The programs that can run a checked deploy network: real Caffe, and OpenCV and ONNX Runtime, which need none."""

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto import pycaffe
from pyhisto.dialects import for_opencv
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.inference.deploy import Deploy
from pyhisto.onnx.export import Export, export
from pyhisto.onnx.proof import prove
from pyhisto.onnx.runtime import runner
from pyhisto.proto import bare_weights

Engine: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A batch of any number of images, N x channels x height x width, to probabilities, N x classes."""


def caffe_engine(deploy: Deploy, gpu: int | None = None) -> Engine:
    """Run with pycaffe. Every batch gets the size that it has: no row of an earlier one is left over."""
    caffe = pycaffe.load_for(gpu)
    with pycaffe.runs(deploy.model):
        net = caffe.Net(str(deploy.model), str(deploy.weights), caffe.TEST)

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with pycaffe.runs(deploy.model):
            net.blobs[deploy.input].reshape(*batch.shape)
            net.blobs[deploy.input].data[...] = batch
            net.forward()
        return np.array(net.blobs[deploy.output].data, np.float32).reshape(len(batch), deploy.classes)

    return run


def opencv_engine(deploy: Deploy, gpu: int | None = None) -> Engine:
    """Run with OpenCV's dnn module, on the CPU."""
    if gpu is not None:
        raise InputError("--gpu: the opencv engine runs on the CPU; use --engine caffe")
    if deploy.python_layers:
        raise InputError(
            f"{deploy.model}: OpenCV cannot run the Python layer {deploy.python_layers[0]}; generate the network with "
            "--sep native, or use --engine caffe"
        )
    try:
        text = for_opencv(deploy.model.read_text(encoding="utf-8"))
        net = cv2.dnn.readNetFromCaffe(_bytes(text.encode()), _bytes(bare_weights(deploy.blobs).SerializeToString()))
    except cv2.error as error:
        raise InputError(f"{deploy.model}: OpenCV cannot read it: {_one_line(error)}") from None

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        net.setInput(batch, deploy.input)
        try:
            return np.array(net.forward(deploy.output_layer), np.float32).reshape(len(batch), deploy.classes)
        except cv2.error as error:
            raise InputError(f"{deploy.model}: OpenCV cannot run it: {_one_line(error)}") from None

    return run


def onnx_engine(deploy: Deploy, gpu: int | None = None) -> Engine:
    """Run with ONNX Runtime, on the CPU, what tools/to_onnx.py makes of the network. SEP layers pass."""
    if gpu is not None:
        raise InputError("--gpu: the onnx engine runs on the CPU; use --engine caffe")
    return _run_onnx(deploy, _export(deploy))


def _export(deploy: Deploy) -> Export:
    return export(Graph.build(deploy.net, source=deploy.model), deploy.blobs, deploy.weights)


def _run_onnx(deploy: Deploy, exported: Export) -> Engine:
    network = runner(exported.model)

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return network({deploy.input: batch}, [deploy.output])[deploy.output].reshape(len(batch), deploy.classes)

    return run


ENGINES: dict[str, Callable[[Deploy, int | None], Engine]] = {
    "caffe": caffe_engine,
    "opencv": opencv_engine,
    "onnx": onnx_engine,
}


AUTO = "auto"


def fastest_engine(deploy: Deploy, gpu: int | None = None) -> tuple[str, Engine, str]:
    """The fastest engine that is installed and runs the network; its name, itself, and why it is no faster one.

    On the CPU that is ONNX Runtime, once its model is proved to compute what Caffe, else OpenCV, computes; then Caffe;
    then OpenCV. On a GPU it is Caffe. Raises InputError if none runs the network.
    """
    why = ""
    for name, make in {"onnx": _proved_onnx_engine, "caffe": caffe_engine, "opencv": opencv_engine}.items():
        if gpu is not None and name != "caffe":
            continue
        try:
            return name, make(deploy, gpu), why
        except InputError as error:
            why += f"{name}: {error}; "
    raise InputError(f"no engine runs the network: {why.rstrip('; ')}")


def _proved_onnx_engine(deploy: Deploy, gpu: int | None = None) -> Engine:
    exported = _export(deploy)
    with pycaffe.runs(deploy.model):
        proof = prove(exported, deploy.blobs, deploy.model)
    if proof is None:
        raise InputError("neither pycaffe nor OpenCV is there to prove its model with")
    return _run_onnx(deploy, exported)


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
