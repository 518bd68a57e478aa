"""BatchNorm statistics of a network as it is now, over training batches; nothing is learned. Needs Caffe.

After a pruning the running statistics are those of the network before it. Caffe's own running averages weigh the last
batches most; here every value counts alike: mean and variance of all that a BatchNorm layer is given over n batches, in
training, where each batch is normalised by its own statistics (Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm",
3.1). The variance is the unbiased one, as Caffe keeps it (batch_norm_layer.cpp).
"""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyhisto import pycaffe
from pyhisto.errors import InputError
from pyhisto.graph import Graph, check_weights
from pyhisto.proto import TRAIN, Net, NetParameter, blob_array, read_net, read_weights, set_blob, to_text, weight_layers


@dataclass(frozen=True)
class Recalibrated:
    """A caffemodel with statistics measured anew, and what they are over."""

    weights: Net
    layers: tuple[str, ...]
    batches: int
    largest_shift: float
    """Of a mean, in old standard deviations: how far the old statistics were off."""


def recalibrate(
    model: Path,
    weights_path: Path,
    batches: int,
    progress: Callable[[range], Iterable[int]] = lambda batches: batches,
    gpu: int | None = None,
) -> Recalibrated:
    """Measure the statistics of every BatchNorm layer of a training network (its TRAIN phase reads its own data).

    Layers that use their running statistics in training too are measured on what they are given then. Raises InputError
    if the network has no BatchNorm or the weights do not fit.
    """
    net, weights = read_net(model, lenient=True), read_weights(weights_path)
    graph = Graph.build(net, TRAIN, data_root=Path(), source=model)
    lacking = [node.name for node in check_weights(graph, weights, weights_path)]
    if lacking:
        raise InputError(f"{weights_path}: holds no weights for layer '{lacking[0]}'; is it of another network?")
    names = [node.name for node in graph.nodes if node.type == "BatchNorm"]
    if not names:
        raise InputError(f"{model}: has no BatchNorm layer in the TRAIN phase: nothing to recalibrate")
    if not any(node.type in ("Data", "ImageData", "HDF5Data") for node in graph.nodes):
        raise InputError(f"{model}: reads no data in the TRAIN phase; give the network's train_val.prototxt")
    caffe = pycaffe.load_for(gpu)
    with pycaffe.runs(model):
        caffe.set_random_seed(0)  # of dropout, and of what a Data layer draws
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "net.prototxt")
            path.write_text(to_text(_training(graph)), encoding="utf-8")
            loaded = caffe.Net(str(path), caffe.TRAIN, weights=str(weights_path))
        order = list(loaded._layer_names)
        stops = [(order.index(name), name, loaded.bottom_names[name][0]) for name in names]
        moments = {name: _Moments() for name in names}
        for _ in progress(range(batches)):
            start = 0
            for index, name, bottom in stops:
                if index > start:
                    loaded._forward(start, index - 1)
                moments[name].add(loaded.blobs[bottom].data)
                start = index
    return _written(weights, moments, batches)


class _Moments:
    """Count, sum and sum of squares, per channel, about the first batch's mean: so that squares stay small."""

    def __init__(self) -> None:
        self.count = 0
        self.centre: NDArray[np.float64] = np.zeros(0)
        self.sum: NDArray[np.float64] = np.zeros(0)
        self.squares: NDArray[np.float64] = np.zeros(0)

    def add(self, values: NDArray[np.float32]) -> None:
        """Add a batch, N x C x ... ."""
        flat = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1).astype(np.float64)
        if not self.count:
            self.centre = flat.mean(axis=1)
            self.sum, self.squares = np.zeros_like(self.centre), np.zeros_like(self.centre)
        flat -= self.centre[:, np.newaxis]
        self.count += flat.shape[1]
        self.sum += flat.sum(axis=1)
        self.squares += np.einsum("cn,cn->c", flat, flat)

    def mean(self) -> NDArray[np.float64]:
        """The mean of each channel."""
        return self.centre + self.sum / self.count

    def variance(self) -> NDArray[np.float64]:
        """The unbiased variance of each channel."""
        spread = self.squares - self.sum**2 / self.count
        return np.asarray(np.maximum(spread, 0) / max(1, self.count - 1))


def _training(graph: Graph) -> Net:
    """The network of the TRAIN phase alone."""
    net = NetParameter(name="recalibration")
    for node in graph.nodes:
        layer = net.layer.add()
        layer.CopyFrom(node.layer)
        for field in ("include", "exclude"):
            layer.ClearField(field)
    return net


def _written(weights: Net, moments: dict[str, _Moments], batches: int) -> Recalibrated:
    """The caffemodel with the measured statistics: mean, variance, and a factor of 1."""
    result = type(weights)()
    result.CopyFrom(weights)
    shift = 0.0
    for layer in weight_layers(result):
        if (found := moments.get(layer.name)) is None:
            continue
        mean, variance, factor = (blob_array(blob) for blob in layer.blobs)
        weight = float(factor.ravel()[0]) or 1.0
        deviation = np.sqrt(np.maximum(variance.ravel() / weight, 1e-12))
        shift = max(shift, float((np.abs(found.mean() - mean.ravel() / weight) / deviation).max(initial=0)))
        if not np.isfinite(found.variance()).all():
            raise InputError(f"layer '{layer.name}': what it is given is not finite; are the weights trained?")
        set_blob(layer.blobs[0], found.mean().reshape(mean.shape).astype(mean.dtype))
        set_blob(layer.blobs[1], found.variance().reshape(variance.shape).astype(variance.dtype))
        set_blob(layer.blobs[2], np.ones_like(factor))
    return Recalibrated(result, tuple(moments), batches, shift)
