"""The programs that can run a checked deploy network: real Caffe, and OpenCV, which needs none."""

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto import pycaffe
from pyhisto.errors import InputError
from pyhisto.inference.deploy import Deploy

Engine: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A batch of any number of images, N x channels x height x width, to probabilities, N x classes."""


def caffe_engine(deploy: Deploy, gpu: int | None = None) -> Engine:
    """Run with pycaffe. Every batch gets the size that it has: no row of an earlier one is left over."""
    caffe = pycaffe.load_for(gpu)
    net = caffe.Net(str(deploy.model), str(deploy.weights), caffe.TEST)

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
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
        net = cv2.dnn.readNetFromCaffe(_bytes(deploy.model.read_bytes()), _bytes(deploy.blobs.SerializeToString()))
    except cv2.error as error:
        raise InputError(f"{deploy.model}: OpenCV cannot read it: {_one_line(error)}") from None

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        net.setInput(batch, deploy.input)
        try:
            return np.array(net.forward(deploy.output_layer), np.float32).reshape(len(batch), deploy.classes)
        except cv2.error as error:
            raise InputError(f"{deploy.model}: OpenCV cannot run it: {_one_line(error)}") from None

    return run


ENGINES: dict[str, Callable[[Deploy, int | None], Engine]] = {"caffe": caffe_engine, "opencv": opencv_engine}


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
