#!/usr/bin/env python3
"""The peer of prune_speed.py: the paper's network in PyTorch, cut by Torch-Pruning. Needs nothing else of the project.

Reads a state dict (made with random numbers by --make), cuts --ratio of the channels of every layer but the classifier
by random importance, saves the smaller model. Prints, as JSON, its parameters and the seconds that this took.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import torch
import torch_pruning
from inception_torch import InceptionSEP


def prune(weights: Path, ratio: float, out: Path) -> int:
    """From file to file; the numbers in the smaller model's state."""
    model = InceptionSEP().eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    pruner = torch_pruning.pruner.MagnitudePruner(
        model, torch.zeros(1, 3, 224, 224), torch_pruning.importance.RandomImportance(),
        pruning_ratio=ratio, ignored_layers=[model.classifier],
    )  # fmt: skip
    pruner.step()
    model.zero_grad()
    torch.save(model, out)
    return sum(parameter.numel() for parameter in model.parameters())


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--make", action="store_true", help="write the state dict instead")
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.make:
        torch.manual_seed(0)
        torch.save(InceptionSEP().state_dict(), arguments.weights)
        return
    seconds = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        parameters = prune(arguments.weights, arguments.ratio, arguments.out)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"parameters": parameters, "seconds": seconds}))


if __name__ == "__main__":
    main()
