"""A contestant of gpu_training.py: training iterations in Caffe; prints what they took as JSON.

gpu_training_caffe.py SOLVER gpu|cpu BATCH SIZE ITERATIONS WARM_UP
"""

import json
import sys
import time

import caffe
import numpy as np
from device import Device


def main() -> None:
    """Train on images that lie in memory."""
    path, name, *numbers = sys.argv[1:]
    batch, size, iterations, warm_up = map(int, numbers)
    if name == "gpu":
        caffe.set_device(0)  # makes the context
        caffe.set_mode_gpu()
    device = Device(name)
    before = device.used()
    solver = caffe.get_solver(path)
    net = solver.net
    random = np.random.default_rng(0)
    net.blobs["data"].data[...] = random.normal(0, 50, (batch, 3, size, size))
    net.blobs["label"].data[...] = random.integers(0, 2, batch)
    milliseconds = []
    for iteration in range(warm_up + iterations):
        began = time.perf_counter()
        solver.step(1)
        device.wait()
        if iteration >= warm_up:
            milliseconds.append(1000 * (time.perf_counter() - began))
    learned = [
        blob.count for name, blobs in net.params.items() if net.layer_dict[name].type != "BatchNorm" for blob in blobs
    ]
    told = {"milliseconds": milliseconds, "megabytes": device.used() - before, "parameters": sum(learned)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
