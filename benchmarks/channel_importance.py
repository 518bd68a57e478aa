"""Channel importance: tools/channel_importance.py, in one process and in several, against one pycaffe loop, in one run.

The narrow network of the demos (a quarter of the width, 64 pixels) over an LMDB of synthetic records. The loop calls
`forward` of the whole network once a batch, with all the threads that BLAS takes. Rounds take turns, so that a busy
moment of the machine hits all; medians are of whole processes. Last, where the time of a forward pass goes.
"""

import os
import resource
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.lmdb_images import ROOT, seconds
from data_prep.lmdbs.writer import Spool, encode_record
from pyhisto.cli import Parser, positive, run
from pyhisto.preprocessing import encoding
from pyhisto.proto import read_net
from pyhisto.training.timing import caffe_time

LOOP = """
import sys, caffe
net = caffe.Net(sys.argv[1], caffe.TEST, weights=sys.argv[2])
for _ in range(int(sys.argv[3])):
    net.forward()
"""
SIZE, BATCH = 64, 10


def main() -> None:
    """Measure, print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=positive, default=6000)
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--workers", type=positive, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    os.environ["GLOG_minloglevel"] = "2"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_records(folder, arguments.records)
        model, weights = write_network(folder)
        tool = [sys.executable, ROOT / "tools/channel_importance.py", "--model", model, "--weights", weights]
        programs: Mapping[str, Sequence[object]] = {
            "pycaffe loop": [sys.executable, "-c", LOOP, model, weights, -(-arguments.records // BATCH)],
            "1 process": [*tool, "--workers", 1, "--out", folder / "one.json"],
            f"{arguments.workers} processes": [*tool, "--workers", arguments.workers, "--out", folder / "all.json"],
        }
        took: dict[str, list[float]] = {name: [] for name in programs}
        worked: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(arguments.rounds):
            for name, command in programs.items():
                before = processor_seconds()
                took[name].append(seconds(command))
                worked[name].append(processor_seconds() - before)
        same = (folder / "one.json").read_bytes() == (folder / "all.json").read_bytes()
        layers = layer_times(folder)
    medians = {name: statistics.median(times) for name, times in took.items()}
    for name, median in medians.items():
        ratio = medians["pycaffe loop"] / median
        print(
            f"{name}: {median:.1f} s, {1e3 * median / arguments.records:.2f} ms a record, {ratio:.2f} times as fast; "
            f"{statistics.median(worked[name]):.1f} s of processors"
        )
    print(f"the same importance from 1 and {arguments.workers} processes: {'yes' if same else 'NO'}")
    print("forward pass: " + ", ".join(f"{name} {share:.0%}" for name, share in layers))


def processor_seconds() -> float:
    """Of all programs that were run so far: a busy machine does not change it much."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_records(folder: Path, count: int) -> None:
    """folder/lmdb: smooth noise, encoded as build_lmdb.py does."""
    rng = np.random.default_rng(0)
    spool = Spool(folder / "spool", count)
    for rank in range(count):
        coarse = rng.integers(0, 256, (SIZE // 8, SIZE // 8, 3), np.uint8)
        spool.add(rank, "x_", encode_record(coarse.repeat(8, 0).repeat(8, 1), rank % 2, encoding.DEFAULT))
    spool.write_lmdb(folder / "lmdb")
    spool.close()


def write_network(folder: Path) -> tuple[Path, Path]:
    """Its statistics prototxt, and weights as Caffe fills them."""
    options = ["--width", "0.25", "--input-size", SIZE, "--batch-size", BATCH, "--solver-mode", "CPU"]
    command = [sys.executable, ROOT / "prototxt/generate.py", "inception-sep", *options, "--out", folder / "net"]
    seconds([*command, "--train-lmdb", folder / "lmdb", "--val-lmdb", folder / "lmdb"])
    model, weights = folder / "net/statistics.prototxt", folder / "net.caffemodel"
    save = "import sys, caffe; caffe.Net(sys.argv[1], caffe.TEST).save(sys.argv[2])"
    seconds([sys.executable, "-c", save, model, weights])
    return model, weights


def layer_times(folder: Path) -> list[tuple[str, float]]:
    """The five layer types that take most of a forward pass, and their shares of it."""
    model = folder / "net/deploy.prototxt"
    kinds = {layer.name: layer.type for layer in read_net(model).layer}
    spent: Counter[str] = Counter()
    for name, forward_ms, _ in caffe_time(model, 1, 50).layers:
        spent[kinds.get(name, "other")] += forward_ms  # type: ignore[assignment]
    return [(kind, share / spent.total()) for kind, share in spent.most_common(5)]


if __name__ == "__main__":
    run(main)
