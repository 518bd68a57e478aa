#!/usr/bin/env python3
"""Measure channel importance: the mean activation factor of every SEP channel over the training set (eq. 5)."""

import os
from pathlib import Path

from tqdm import tqdm

from pyhisto.cli import Parser, positive, run
from pyhisto.pruning.measure import JOB, measure

MOST_WORKERS = 4
"""By default: each holds the whole network, the paper's in 0.9 GB."""


def main() -> None:
    """Parse, measure, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, metavar="F", help="the network's statistics.prototxt")
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="caffemodel")
    parser.add_argument("--gpu", type=int, metavar="N", help="run on this GPU (default: on the CPU)")
    parser.add_argument(
        "--workers", type=positive, default=min(os.cpu_count() or 1, MOST_WORKERS),
        help=f"processes on the CPU, each with the network (default: one per core, {MOST_WORKERS} at most)",
    )  # fmt: skip
    parser.add_argument(
        "--samples", type=positive, metavar="N",
        help="measure on the LMDB's first N records, which it has in random order (default: all)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="importance.json")
    arguments = parser.parse_args()
    importance = measure(
        arguments.model,
        arguments.weights,
        lambda sums, total: tqdm(sums, "channel importance", total, unit=" batches", unit_scale=JOB),
        arguments.gpu,
        arguments.workers,
        arguments.samples,
    )
    importance.save(arguments.out)
    print(f"{importance.samples} samples")
    for name, factors in importance.blocks.items():
        print(f"{name}: {len(factors)} channels, {factors.min():.3f} to {factors.max():.3f}, mean {factors.mean():.3f}")
    print(arguments.out)


if __name__ == "__main__":
    run(main)
