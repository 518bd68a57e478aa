#!/usr/bin/env python3
"""Measure channel importance: the mean activation factor of every SEP channel over the training set (eq. 5)."""

from pathlib import Path

from tqdm import tqdm

from pyhisto.cli import Parser, run
from pyhisto.pruning.measure import measure


def main() -> None:
    """Parse, measure, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, metavar="F", help="the network's statistics.prototxt")
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="caffemodel")
    parser.add_argument("--gpu", type=int, metavar="N", help="run on this GPU (default: on the CPU)")
    parser.add_argument("--out", type=Path, required=True, metavar="importance.json")
    arguments = parser.parse_args()
    importance = measure(
        arguments.model,
        arguments.weights,
        lambda steps: tqdm(steps, desc="channel importance", unit="batch"),
        arguments.gpu,
    )
    importance.save(arguments.out)
    print(f"{importance.samples} samples")
    for name, factors in importance.blocks.items():
        print(f"{name}: {len(factors)} channels, {factors.min():.3f} to {factors.max():.3f}, mean {factors.mean():.3f}")
    print(arguments.out)


if __name__ == "__main__":
    run(main)
