#!/usr/bin/env python3
"""How much faster the Caffe that `make setup` builds trains than the same source as it is, unpatched and with -O2.

Iterations of the paper's full network by pycaffe on the CPU, on images of 224 x 224; the two builds take turns. The
peer is built first, where --peer does not hold it yet (ten minutes). One BLAS thread.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import copytree

import caffe

from benchmarks.lmdb_images import ROOT, build_command, make_images, output
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError

STEPS = """
import sys, time
import caffe
solver = caffe.SGDSolver(sys.argv[1])
solver.step(1)
for _ in range(int(sys.argv[2])):
    began = time.perf_counter()
    solver.step(1)
    print(time.perf_counter() - began)
"""


def main() -> None:
    """Build the peer, measure both, print the ratio."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, metavar="DIR", help="the peer; built there if it is not")
    parser.add_argument("--source", type=Path, metavar="DIR", help="PNG to use (default: synthetic ones)")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=3, help="of a round, after one that does not count")
    parser.add_argument("--batch", type=int, default=10)
    arguments = parser.parse_args()
    if not (arguments.peer / "python/caffe").is_dir():
        build_peer(arguments.peer.resolve())
    builds = {"peer": arguments.peer.resolve() / "python", "ours": Path(caffe.__file__).parent.parent}
    with tempfile.TemporaryDirectory() as place:
        solver = make_network(Path(place), arguments.source, arguments.batch)
        spent: dict[str, list[float]] = {name: [] for name in builds}
        for number in range(arguments.rounds):
            for name in builds if number % 2 else reversed(builds):
                spent[name].append(statistics.median(steps(builds[name], solver, arguments.iterations)))
                print(f"round {number + 1}: {name} {1000 * spent[name][-1]:.0f} ms an iteration")
    peer, ours = (statistics.median(spent[name]) for name in builds)
    pairs = [b / a for a, b in zip(spent["peer"], spent["ours"], strict=True)]
    print(f"medians of {len(pairs)} rounds: {1000 * peer:.0f} ms -> {1000 * ours:.0f} ms an iteration")
    print(f"ratio {ours / peer:.2f} (the rounds' own: {min(pairs):.2f} to {max(pairs):.2f})")


def build_peer(prefix: Path) -> None:
    """The pinned source without our patch, and optimised as its Makefile has it."""
    with tempfile.TemporaryDirectory() as place:
        recipe = Path(copytree(ROOT / "docker/caffe", Path(place) / "caffe"))
        (recipe / "batch_norm.patch").write_text("")
        listing = recipe / "CMakeLists.txt"
        listing.write_text(listing.read_text().replace('"-O3"', '"-O2"'))
        if subprocess.run([recipe / "install.sh", "build", sys.executable, prefix], check=False).returncode:
            raise InputError(f"{prefix}: the peer was not built, see above")


def make_network(folder: Path, source: Path | None, batch: int) -> Path:
    """The solver of the network on an LMDB of 64 images."""
    make_images(folder, source, 64)
    output(build_command(folder, "lmdb", 2, "--branch", "global", "--augment", 0))
    options = ["--variant", "paper", "--batch-size", batch, "--solver-mode", "CPU", "--random-seed", 1]
    # Of its own: the two nets of a solver would take the records of one LMDB in turn, and one of them takes none.
    copytree(folder / "lmdb/train", folder / "val")
    lmdb = ["--train-lmdb", folder / "lmdb/train", "--val-lmdb", folder / "val"]
    output([sys.executable, ROOT / "prototxt/generate.py", "inception-sep", *options, *lmdb, "--out", folder / "net"])
    solver = folder / "net/solver.prototxt"
    with open(solver, "a", encoding="utf-8") as file:
        file.write("test_initialization: false\n")
    return solver


def steps(build: Path, solver: Path, count: int) -> list[float]:
    """Seconds of each iteration, in a process of its own."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (build, ROOT))),
        "OPENBLAS_NUM_THREADS": "1",
        "GLOG_minloglevel": "2",
    }
    return [float(line) for line in output([sys.executable, "-c", STEPS, solver, count], environment).split()]


if __name__ == "__main__":
    run(main)
