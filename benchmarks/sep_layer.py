#!/usr/bin/env python3
"""What the Python SEP layers add to a training iteration of the paper's full network.

The network with `--sep python` and with `--sep native`, the paper's batch of 10 at 224 x 224: forward and backward
passes take turns in one process, so that a slow moment of the machine hits both. Prints the ratio of the medians, and
the time that the SEP layers alone take, which a noisy machine cannot hide.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ["GLOG_minloglevel"] = "2"

import caffe
import numpy as np

from pyhisto.cli import Parser, run
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import NetParameter, to_text

BATCH = 10


def main() -> None:
    """Measure and print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=12)
    iterations = parser.parse_args().iterations
    nets = {sep: _network(sep) for sep in ("python", "native")}
    seconds: dict[str, list[float]] = {sep: [] for sep in nets}
    for iteration in range(iterations + 2):
        order = list(nets) if iteration % 2 else list(nets)[::-1]
        for sep in order:
            start = time.perf_counter()
            nets[sep].forward()
            nets[sep].backward()
            if iteration >= 2:  # the first ones warm up
                seconds[sep].append(time.perf_counter() - start)
    medians = {sep: statistics.median(times) for sep, times in seconds.items()}
    pairs = [a / b for a, b in zip(seconds["python"], seconds["native"], strict=True)]
    for sep, median in medians.items():
        print(f"{sep:8}{median:.3f} s an iteration (median of {iterations})")
    print(f"python / native: {medians['python'] / medians['native']:.4f} of the medians", end="; ")
    print(f"{statistics.median(pairs):.4f} the median of the pairs")
    own = _own_seconds(nets["python"])
    print(f"the SEP layers alone: {own * 1000:.2f} ms an iteration, {own / medians['native']:.2%} of it")


def _network(sep: str) -> "caffe.Net":
    net = InceptionSEP("paper", sep).train_val("", "", BATCH, BATCH)  # type: ignore[arg-type]
    inputs = NetParameter(force_backward=True)
    for name, shape in (("data", (BATCH, 3, 224, 224)), ("label", (BATCH,))):
        inputs.layer.add(name=name, type="Input", top=[name]).input_param.shape.add(dim=shape)
    inputs.layer.extend(layer for layer in net.layer if layer.type not in ("Data", "Accuracy"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text(to_text(inputs), encoding="utf-8")
        network = caffe.Net(str(path), caffe.TRAIN)
    network.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(BATCH, 3, 224, 224)) * 50
    return network


def _own_seconds(net: "caffe.Net", repeats: int = 100) -> float:
    """Forward and backward of the SEP layers alone, one after another."""
    names = [name for name in net._layer_names if name.endswith("_sep")]
    start = time.perf_counter()
    for _ in range(repeats):
        for name in names:
            net._forward(*[list(net._layer_names).index(name)] * 2)
            net._backward(*[list(net._layer_names).index(name)] * 2)
    return (time.perf_counter() - start) / repeats


if __name__ == "__main__":
    run(main)
