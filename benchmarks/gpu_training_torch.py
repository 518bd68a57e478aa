"""A contestant of gpu_training.py: training iterations in PyTorch; prints what they took as JSON. Needs torch alone.

gpu_training_torch.py yes|no (cuDNN) gpu|cpu BATCH SIZE ITERATIONS WARM_UP
"""

import json
import sys
import time

import torch
from device import Device
from inception_torch import InceptionSEP


def main() -> None:
    """Train on images that lie in memory."""
    cudnn, name, *numbers = sys.argv[1:]
    batch, size, iterations, warm_up = map(int, numbers)
    place = torch.device("cuda" if name == "gpu" else "cpu")
    torch.backends.cudnn.enabled = cudnn == "yes"
    torch.manual_seed(1)
    torch.ones(1, 1, device=place) @ torch.ones(
        1, 1, device=place
    )  # makes the context, and cuBLAS's handle as Caffe does
    device = Device(name)
    before = device.used()
    model = InceptionSEP().to(place)
    # The paper's solver, as pyhisto/nets/solvers.py has it.
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0004, momentum=0.9, weight_decay=0.009)
    images = 50 * torch.randn(batch, 3, size, size, device=place)
    labels = torch.randint(0, 2, (batch,), device=place)
    milliseconds = []
    for iteration in range(warm_up + iterations):
        began = time.perf_counter()
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimiser.step()
        device.wait()
        if iteration >= warm_up:
            milliseconds.append(1000 * (time.perf_counter() - began))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    told = {"milliseconds": milliseconds, "megabytes": device.used() - before, "parameters": parameters}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
