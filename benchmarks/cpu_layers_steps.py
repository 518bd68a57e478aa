"""A contestant of cpu_training.py: the CPU time of a training iteration by layer type, milliseconds, as JSON.

cpu_layers_steps.py NET ROUNDS; of each layer the least of the rounds counts.
"""

import json
import sys
import time
from collections import Counter

import caffe
import numpy as np


def main() -> None:
    """Run each layer alone, forward and backward."""
    net = caffe.Net(sys.argv[1], caffe.TRAIN)
    random = np.random.default_rng(0)
    net.blobs["data"].data[...] = random.normal(0, 50, net.blobs["data"].data.shape)
    least: dict[tuple[int, bool], float] = {}
    for _ in range(int(sys.argv[2])):
        for index, forward in [(i, True) for i in range(len(net.layers))] + [
            (i, False) for i in reversed(range(len(net.layers)))
        ]:
            began = time.process_time()
            (net._forward if forward else net._backward)(index, index)
            spent = time.process_time() - began
            least[index, forward] = min(spent, least.get((index, forward), spent))
    total: Counter[str] = Counter()
    for (index, _), spent in least.items():
        total[net.layers[index].type] += 1000 * spent  # type: ignore[assignment]
    print(json.dumps(total))


if __name__ == "__main__":
    main()
