"""The programs that can run a checked deploy network: real Caffe, and OpenCV and ONNX Runtime, which need none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto import pycaffe
from pyhisto.dialects import for_opencv
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.graph.types import dims
from pyhisto.inference.deploy import Deploy
from pyhisto.onnx.export import Export, export
from pyhisto.onnx.proof import prove, with_outputs
from pyhisto.onnx.runtime import Runner, file_runner, runner
from pyhisto.proto import bare_weights

NO_GPU = "--gpu: the onnx engine runs on the CPU; use --engine caffe"

Batch: TypeAlias = NDArray[np.float32]
"""Any number of images, N x channels x height x width."""


@dataclass(frozen=True)
class Engine:
    """A network that can be run. Called with a batch it gives the probabilities, N x classes."""

    deploy: Deploy
    run: Callable[[Batch, Sequence[str]], list[NDArray[np.float32]]]
    """A batch, and names of blobs, to what they hold then."""

    def __call__(self, batch: Batch) -> NDArray[np.float32]:
        """The probabilities, N x classes."""
        return self.with_blobs(batch)[0]

    def with_blobs(self, batch: Batch, *names: str) -> list[NDArray[np.float32]]:
        """The probabilities, and the blobs of these names, which the engine was made with."""
        probabilities, *blobs = self.run(batch, [self.deploy.output, *names])
        if probabilities.size != len(batch) * self.deploy.classes:
            found, wanted = dims(probabilities.shape), f"{len(batch)}x{self.deploy.classes}"
            raise InputError(f"{self.deploy.model}: the engine makes {found} of it, not {wanted}; try another --engine")
        return [probabilities.reshape(len(batch), self.deploy.classes), *blobs]


class Maker(Protocol):
    """What makes an engine: of a network, on a GPU or not, able to give `blobs` beside the probabilities.

    `callers` threads will call one of SHARED at once; any other is called by one at a time.
    """

    def __call__(self, deploy: Deploy, gpu: int | None = None, blobs: Sequence[str] = (), callers: int = 1) -> Engine:
        """Raises InputError if this engine cannot run it."""


def caffe_engine(deploy: Deploy, gpu: int | None = None, blobs: Sequence[str] = (), callers: int = 1) -> Engine:
    """Run with pycaffe. Every batch gets the size that it has: no row of an earlier one is left over."""
    caffe = pycaffe.load_for(gpu)
    with pycaffe.runs(deploy.model):
        net = caffe.Net(str(deploy.model), str(deploy.weights), caffe.TEST)

    def run(batch: Batch, names: Sequence[str]) -> list[NDArray[np.float32]]:
        with pycaffe.runs(deploy.model):
            net.blobs[deploy.input].reshape(*batch.shape)
            net.blobs[deploy.input].data[...] = batch
            net.forward()
        return [np.array(net.blobs[name].data, np.float32) for name in names]

    return Engine(deploy, run)


def opencv_engine(deploy: Deploy, gpu: int | None = None, blobs: Sequence[str] = (), callers: int = 1) -> Engine:
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

    graph = Graph.build(deploy.net, source=deploy.model)
    layers = {name: graph.blob(name).producer.name for name in blobs} | {deploy.output: deploy.output_layer}

    def run(batch: Batch, names: Sequence[str]) -> list[NDArray[np.float32]]:
        net.setInput(batch, deploy.input)
        try:
            return [np.array(values, np.float32) for values in net.forward([layers[name] for name in names])]
        except cv2.error as error:
            raise InputError(f"{deploy.model}: OpenCV cannot run it: {_one_line(error)}") from None

    return Engine(deploy, run)


def onnx_engine(deploy: Deploy, gpu: int | None = None, blobs: Sequence[str] = (), callers: int = 1) -> Engine:
    """Run with ONNX Runtime, on the CPU, what tools/to_onnx.py makes of the network. SEP layers pass."""
    if gpu is not None:
        raise InputError(NO_GPU)
    return _run_onnx(deploy, _export(deploy), blobs, callers)


def _export(deploy: Deploy) -> Export:
    return export(Graph.build(deploy.net, source=deploy.model), deploy.blobs, deploy.weights)


def _run_onnx(deploy: Deploy, exported: Export, blobs: Sequence[str], callers: int) -> Engine:
    tensors = {name: exported.tensors[name] for name in (deploy.output, *blobs)}
    return _onnx_network(deploy, runner(with_outputs(exported.model, list(tensors.values())), callers), tensors)


def onnx_file_engine(
    deploy: Deploy, model: Path, gpu: int | None = None, blobs: Sequence[str] = (), callers: int = 1
) -> Engine:
    """Run with ONNX Runtime a file that was made of the network before: it holds the blobs under their own names."""
    if gpu is not None:
        raise InputError(NO_GPU)
    return _onnx_network(deploy, file_runner(model, callers), {name: name for name in (deploy.output, *blobs)})


def _onnx_network(deploy: Deploy, network: Runner, tensors: Mapping[str, str]) -> Engine:
    def run(batch: Batch, names: Sequence[str]) -> list[NDArray[np.float32]]:
        found = network({deploy.input: batch}, [tensors[name] for name in names])
        return [found[tensors[name]] for name in names]

    return Engine(deploy, run)


ENGINES: dict[str, Maker] = {
    "caffe": caffe_engine,
    "opencv": opencv_engine,
    "onnx": onnx_engine,
}
SHARED = ("onnx",)
"""Those that several threads may call at once, with the same results."""


AUTO = "auto"


def fastest_engine(
    deploy: Deploy,
    gpu: int | None = None,
    blobs: Sequence[str] = (),
    onnx_model: Path | None = None,
    callers: int = 1,
) -> tuple[str, Engine, str]:
    """The fastest engine that is installed and runs the network; its name, itself, and why it is no faster one.

    On the CPU that is ONNX Runtime, once its model is proved to compute what Caffe, else OpenCV, computes (`onnx_model`
    is one that was proved before); then Caffe; then OpenCV. On a GPU it is Caffe. Raises InputError if none runs it.
    """
    why = ""
    onnx: Maker = partial(_onnx_file_maker, onnx_model) if onnx_model is not None else _proved_onnx_engine
    makers: dict[str, Maker] = {"onnx": onnx, "caffe": caffe_engine, "opencv": opencv_engine}
    for name, make in makers.items():
        if gpu is not None and name != "caffe":
            continue
        try:
            return name, make(deploy, gpu, blobs, callers), why
        except InputError as error:
            why += f"{name}: {error}; "
    raise InputError(f"no engine runs the network: {why.rstrip('; ')}")


def _onnx_file_maker(
    model: Path, deploy: Deploy, gpu: int | None = None, blobs: Sequence[str] = (), callers: int = 1
) -> Engine:
    return onnx_file_engine(deploy, model, gpu, blobs, callers)


def _proved_onnx_engine(deploy: Deploy, gpu: int | None = None, blobs: Sequence[str] = (), callers: int = 1) -> Engine:
    exported = _export(deploy)
    with pycaffe.runs(deploy.model):
        proof = prove(exported, deploy.blobs, deploy.model)
    if proof is None:
        raise InputError("neither pycaffe nor OpenCV is there to prove its model with")
    return _run_onnx(deploy, exported, blobs, callers)


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
