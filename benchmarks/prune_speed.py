#!/usr/bin/env python3
"""How long tools/prune.py takes for the paper's full network, and how much memory; beside Torch-Pruning.

Ours: deploy prototxt and caffemodel (random weights) to prototxt, caffemodel and plan, half of the channels by random
importance, without the proof. The peer (prune_speed_peer.py, where --peer-python has torch and torch-pruning): state
dict to model, the same share of the same network's channels by random importance. (By magnitude it would refuse the
groups of which it would cut a whole branch.) Measured as whole processes that take turns, and within a process without
imports; reading and writing files is included both times.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyhisto.cli import Parser, run
from pyhisto.graph import Graph
from pyhisto.proto import NetParameter, layer_blobs, read_net, read_weights, set_blob, write_weights
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule

ROOT = Path(__file__).resolve().parent.parent
TOOL = [sys.executable, str(ROOT / "tools" / "prune.py")]
PEER = Path(__file__).with_name("prune_speed_peer.py")
TARGET_SECONDS, TARGET_MEGABYTES, TARGET_RATIO = 1.0, 300, 1.0
RATIO = 0.5
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Both sides find their modules compiled, as wherever they ran before; a first round, not counted, sees to it."""


@dataclass(frozen=True)
class Spent:
    """What one process took: seconds on the clock, seconds of CPU, peak resident memory in MB (of 2^20 bytes)."""

    wall: float
    cpu: float
    megabytes: float
    output: str


def main() -> None:
    """Measure and print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-python", metavar="F", help="a Python with torch and torch-pruning")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = ROOT / "prototxt" / "inception_sep_paper" / "deploy.prototxt"
        weights = folder / "random.caffemodel"
        _random_weights(model, weights)
        peer = [arguments.peer_python, str(PEER), "--weights", str(folder / "peer.pt"), "--out", str(folder / "out.pt")]
        if arguments.peer_python:
            subprocess.run([*peer, "--make"], check=True)
        ours, theirs = [], []
        for round_number in range(arguments.rounds + 1):
            out = folder / f"whole{round_number}"
            files = ["--model", str(model), "--weights", str(weights), "--out", str(out)]
            ours.append(_spent([*TOOL, *files, "--criterion", "random", "--ratio", str(RATIO), "--no-proof"]))
            if arguments.peer_python:
                theirs.append(_spent(peer))
        median = _report("tools/prune.py", ours[1:])
        print(f"targets: {TARGET_SECONDS:.1f} s on the clock, {TARGET_MEGABYTES} MB")
        print(f"weights left: {_count(out / weights.name):,} of {_count(weights):,}")
        inside = statistics.median(_seconds_inside(model, weights, folder / f"in{i}") for i in range(arguments.rounds))
        print(f"without starting Python and imports: {inside:.3f} s")
        if not arguments.peer_python:
            print("no peer: --peer-python names no Python with torch and torch-pruning")
            return
        peer_median = _report("Torch-Pruning", theirs[1:])
        repeated = json.loads(_spent([*peer, "--repeats", str(arguments.rounds)]).output)
        peer_inside = statistics.median(repeated["seconds"])
        print(f"parameters left: {repeated['parameters']:,}")
        print(f"without starting Python and imports: {peer_inside:.3f} s")
        print(
            f"ours / theirs: {median.wall / peer_median.wall:.3f} whole processes on the clock, "
            f"{median.cpu / peer_median.cpu:.3f} their CPU time, {inside / peer_inside:.3f} without imports "
            f"(target {TARGET_RATIO:.1f})"
        )


def _random_weights(model: Path, path: Path) -> None:
    generator = np.random.default_rng(0)
    weights = NetParameter()
    for node in Graph.build(read_net(model)).nodes:
        if node.param_shapes:
            layer = weights.layer.add(name=node.name, type=node.type)
            for shape in node.param_shapes:
                set_blob(layer.blobs.add(), generator.normal(size=shape).astype(np.float32))
    write_weights(path, weights)


def _spent(command: list[str]) -> Spent:
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


def _report(who: str, spent: list[Spent]) -> Spent:
    median = Spent(
        statistics.median(one.wall for one in spent),
        statistics.median(one.cpu for one in spent),
        max(one.megabytes for one in spent),
        "",
    )
    print(
        f"{who}, whole process: {median.wall:.2f} s on the clock (best {min(one.wall for one in spent):.2f}), "
        f"{median.cpu:.2f} s of CPU, {median.megabytes:.0f} MB at most (medians of {len(spent)})"
    )
    return median


def _seconds_inside(model: Path, weights: Path, out: Path) -> float:
    start = time.perf_counter()
    network = LoadedNetwork.read(model, [], weights, {})
    removed = plan_pruning(network, "random", Schedule(RATIO), None, 0)
    write(network, cut_network(network, removed, {"ratio": RATIO}), None, out)
    return time.perf_counter() - start


def _count(caffemodel: Path) -> int:
    return sum(blob.size for blobs in layer_blobs(read_weights(caffemodel)).values() for blob in blobs)


if __name__ == "__main__":
    run(main)
