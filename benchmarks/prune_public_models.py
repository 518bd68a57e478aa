#!/usr/bin/env python3
"""How long the pruner takes for public Caffe models: reading, analysing, cutting and writing, without the proof.

Each network of --models (a folder with a prototxt and caffemodel in each sub-folder; one caffemodel may serve several
prototxts) is pruned at 30% and 60%, by l1 and random, within branch, block and network, in one process, as
tools/prune.py does after its imports. Printed are the slowest of the runs of each network, what is left of its
FLOPs at 30% and 60% (l1, block), and, with --proof, how long the proof takes and what it covers.
"""

import itertools
import tempfile
import time
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.pruning.proof import prove
from pyhisto.pruning.pruner import LoadedNetwork, Pruned, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule, Scope

TARGET_SECONDS = 2.0
RATIOS = (0.3, 0.6)
CRITERIA = ("l1", "random")
SCOPES: tuple[Scope, ...] = ("branch", "block", "network")


def main() -> None:
    """Measure and print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="sub-folders with models")
    parser.add_argument("--proof", action="store_true", help="prove each network at 30%%, by l1")
    arguments = parser.parse_args()
    slowest = 0.0
    print("network                       layers  slowest s  FLOPs at 30%  at 60%  proof")
    for model in sorted(arguments.models.glob("*/*.prototxt")):
        weights = next(model.parent.glob("*.caffemodel"))
        seconds, left = [], {}
        for ratio, criterion, scope in itertools.product(RATIOS, CRITERIA, SCOPES):
            network, pruned, spent = _prune(model, weights, ratio, criterion, scope)
            seconds.append(spent)
            if (criterion, scope) == ("l1", "block"):
                left[ratio] = f"{pruned.after.flops / pruned.before.flops:.1%}"
        slowest = max(slowest, *seconds)
        proof = _describe(network, pruned) if arguments.proof else ""
        name = f"{model.stem:28}  {len(network.model.nodes):6}"
        print(f"{name}  {max(seconds):9.2f}  {left[0.3]:>12}  {left[0.6]:>6}  {proof}")
    verdict = "met" if slowest <= TARGET_SECONDS else "MISSED"
    print(f"slowest: {slowest:.2f} s; at most {TARGET_SECONDS} s wanted: {verdict}")


def _prune(
    model: Path, weights: Path, ratio: float, criterion: str, scope: Scope
) -> tuple[LoadedNetwork, Pruned, float]:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        network = LoadedNetwork.read(model, [], weights, {})
        pruned = cut_network(network, plan_pruning(network, criterion, Schedule(ratio, scope=scope), None, 0), {})
        write(network, pruned, None, Path(folder, "out"))
        return network, pruned, time.perf_counter() - start


def _describe(network: LoadedNetwork, pruned: Pruned) -> str:
    start = time.perf_counter()
    proof = prove(network, pruned)
    if proof is None:
        return "none"
    covers = "all layers" if not proof.not_covered else f"not {', '.join(proof.not_covered)}"
    return f"{time.perf_counter() - start:.1f} s, {proof.engine}, {proof.largest_difference:.1g}, {covers}"


if __name__ == "__main__":
    run(main)
