"""A contestant of cpu_training.py: predictions by an engine, milliseconds a batch, as JSON.

cpu_predict_steps.py MODEL WEIGHTS ENGINE BATCH ITERATIONS
"""

import json
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from pyhisto.inference.deploy import read_deploy
from pyhisto.inference.engines import ENGINES


def main() -> None:
    """Predict images that lie in memory."""
    model, weights, engine, *numbers = sys.argv[1:]
    batch, iterations = map(int, numbers)
    cv2.setNumThreads(int(os.environ["OMP_NUM_THREADS"]))
    predict = ENGINES[engine](read_deploy(Path(model), Path(weights)), None)
    images = np.random.default_rng(0).normal(0, 50, (batch, 3, 224, 224)).astype(np.float32)
    milliseconds = []
    for iteration in range(iterations + 1):
        began = time.perf_counter()
        predict(images)
        if iteration:
            milliseconds.append(1000 * (time.perf_counter() - began))
    print(json.dumps({"milliseconds": milliseconds}))


if __name__ == "__main__":
    main()
