"""The other side of training_control.py: the same network trained in PyTorch. Needs torch and numpy alone.

training_control_torch.py ARRAYS.npz SETTINGS OUT.npy: OUT holds the probabilities of the test images, shape (n, 2).
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from inception_torch import Block, InceptionSEP
from torch import Tensor, nn

AHEAD = 200
"""Images that are predicted at a time."""


def main() -> None:
    """Train on the records in their order, as Caffe's Data layer reads them; predict the test images."""
    arrays, settings = np.load(sys.argv[1]), json.loads(sys.argv[2])
    torch.manual_seed(settings["seed"])
    torch.set_num_threads(1)
    mean = torch.tensor(settings["mean"]).view(1, 3, 1, 1)
    images, labels = torch.from_numpy(arrays["train"]), torch.from_numpy(arrays["labels"])
    model = InceptionSEP(settings["width"])
    initialise(model, settings["batch_norm_fraction"])
    optimiser = torch.optim.SGD(parameters(model, settings), momentum=settings["momentum"])
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, settings["stepsize"], settings["gamma"])
    for number, batch in enumerate(batches(len(images), settings["batch_size"], settings["max_iter"])):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(images[batch].float() - mean), labels[batch])
        loss.backward()
        optimiser.step()
        schedule.step()
        if number % settings["display"] == 0:
            print(f"iteration {number}: loss {loss.item():.4f}", flush=True)
    np.save(sys.argv[3], predict(model.eval(), torch.from_numpy(arrays["test"]).float() - mean).numpy())


def initialise(model: nn.Module, fraction: float) -> None:
    """Caffe's fillers of this network (xavier by fan-in, msra in the gates, biases 0.2 and 0) and its BatchNorm."""
    gates = {id(layer) for block in model.modules() if isinstance(block, Block) for layer in block.gate}
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            if id(layer) in gates:
                nn.init.normal_(layer.weight, std=(2 / fan_in) ** 0.5)
            else:
                nn.init.uniform_(layer.weight, -((3 / fan_in) ** 0.5), (3 / fan_in) ** 0.5)
            nn.init.constant_(layer.bias, 0.2 if isinstance(layer, nn.Conv2d) and id(layer) not in gates else 0)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.eps, layer.momentum = 0.001, 1 - fraction


def parameters(model: nn.Module, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Caffe's multipliers: biases of convolutions and classifier learn twice as fast, and do not decay."""
    rate, decay = settings["base_lr"], settings["weight_decay"]
    biases = [layer.bias for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    chosen = {id(bias) for bias in biases}
    return [
        {"params": [p for p in model.parameters() if id(p) not in chosen], "lr": rate, "weight_decay": decay},
        {"params": biases, "lr": 2 * rate, "weight_decay": 0},
    ]


def batches(images: int, size: int, count: int) -> Iterator[Tensor]:
    """The images' numbers in each batch: in order, and from the start again."""
    for number in range(count):
        yield torch.arange(number * size, (number + 1) * size) % images


def predict(model: nn.Module, images: Tensor) -> Tensor:
    """Probabilities, shape (n, 2)."""
    with torch.inference_mode():
        return torch.cat([model(part).softmax(1) for part in images.split(AHEAD)])


if __name__ == "__main__":
    main()
