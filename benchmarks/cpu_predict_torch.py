"""A contestant of cpu_training.py: predictions in PyTorch, milliseconds a batch, as JSON. Needs torch alone.

cpu_predict_torch.py BATCH ITERATIONS
"""

import json
import sys
import time

import torch
from inception_torch import InceptionSEP


def main() -> None:
    """Predict images that lie in memory."""
    batch, iterations = map(int, sys.argv[1:])
    model = InceptionSEP().eval()
    images = 50 * torch.randn(batch, 3, 224, 224)
    milliseconds = []
    with torch.inference_mode():
        for iteration in range(iterations + 1):
            began = time.perf_counter()
            model(images).softmax(1)
            if iteration:
                milliseconds.append(1000 * (time.perf_counter() - began))
    print(json.dumps({"milliseconds": milliseconds}))


if __name__ == "__main__":
    main()
