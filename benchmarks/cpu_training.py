#!/usr/bin/env python3
"""What a training iteration and a prediction take on the CPU: Caffe with our layers, Berkeley's, and PyTorch.

The contestants take turns, each in a process of its own, so that a busy machine hits all alike; what counts is the
ratio of a round's times. Trained is the paper's full network, at the paper's batch of 10 images of 224 x 224 (the steps
are gpu_training.py's), with 1 and 2 threads. Predicted is one image and 15 at once, by the full network and by those
pruned at 0.5, as the paper prunes (the SEP blocks' outputs alone) and in every layer: Caffe, both ways, OpenCV, ONNX
Runtime, and PyTorch. ResNeXt-50, whose convolutions are grouped, is trained in Caffe alone. Then, by layer type, the
CPU time of an iteration before and after, with one thread. --parts chooses among these.

PyTorch takes part if --torch-python names a Python that has torch.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpu_training import CAFFE_STEPS as TRAIN_STEPS
from gpu_training import TORCH_STEPS, write_network
from pruned_time import prune_at_random

from pyhisto import faster_caffe
from pyhisto.cli import Parser, positive, run
from pyhisto.errors import InputError
from pyhisto.glog import failure
from pyhisto.nets.resnext import ResNeXt
from pyhisto.nets.solvers import ZHU_2019
from pyhisto.proto import NetParameter, to_text

HERE = Path(__file__).resolve().parent
LAYER_STEPS, PREDICT_STEPS, TORCH_PREDICT_STEPS = (
    HERE / f"{name}.py" for name in ("cpu_layers_steps", "cpu_predict_steps", "cpu_predict_torch")
)
OURS, STOCK, TORCH = "caffe, our layers", "caffe, Berkeley's", "torch"
TARGETS = {1: 0.9, 2: 0.8}
"""Of PyTorch's time, by threads."""


def main() -> None:
    """Measure in turns; print each round, then the medians and their ratios."""
    args = _parser().parse_args()
    if not faster_caffe.installed():
        raise InputError(f"{faster_caffe.LIBRARY}: not there, or {faster_caffe.STOCK} is set; run `make setup`")
    if not args.torch_python:
        print("No PyTorch beside it: --torch-python names no Python that has torch")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "training" in args.parts:
            _training(folder, args)
        if "layers" in args.parts:
            _layers(folder, args)
        if "prediction" in args.parts:
            _prediction(folder, args)
        if "resnext" in args.parts:
            _resnext(folder, args)


def _training(folder: Path, args: argparse.Namespace) -> None:
    solver = write_network(folder / "paper", "DEFAULT", 10, 224, "CPU")
    numbers = ["cpu", "10", "224", str(args.iterations), "1"]
    for threads, target in TARGETS.items():
        commands = {who: [sys.executable, str(TRAIN_STEPS), str(solver), *numbers] for who in (OURS, STOCK)}
        if args.torch_python:
            commands[TORCH] = [args.torch_python, str(TORCH_STEPS), "yes", *numbers]
        print(f"Training, {threads} threads (target: {target} of PyTorch's time)")
        _report(_in_turns(commands, threads, args.rounds))


def _resnext(folder: Path, args: argparse.Namespace) -> None:
    net = ResNeXt().train_val("", "", 4, 4)
    own = NetParameter(name=net.name)
    for name, shape in (("data", (4, 3, 224, 224)), ("label", (4,))):
        own.layer.add(name=name, type="Input", top=[name]).input_param.shape.add(dim=shape)
    own.layer.extend(layer for layer in net.layer if layer.type not in ("Data", "Accuracy"))
    (folder / "resnext.prototxt").write_text(to_text(own), encoding="utf-8")
    message = ZHU_2019.message(str(folder / "resnext.prototxt"), str(folder / "snapshot"), test_iter=1)
    for name in ("test_iter", "test_interval", "snapshot"):
        message.ClearField(name)
    message.display, message.snapshot_after_train, message.random_seed = 0, False, 1
    message.solver_mode = type(message).SolverMode.Value("CPU")
    solver = folder / "resnext_solver.prototxt"
    solver.write_text(to_text(message), encoding="utf-8")
    command = [sys.executable, str(TRAIN_STEPS), str(solver), "cpu", "4", "224", str(args.iterations), "1"]
    for threads in TARGETS:
        print(f"ResNeXt-50, 4 images, {threads} threads")
        _report(_in_turns({OURS: command, STOCK: command}, threads, args.rounds))


def _prediction(folder: Path, args: argparse.Namespace) -> None:
    for batch in (1, 15):
        files = {}
        for network, everywhere in {"pruned": False, "pruned everywhere": True}.items():
            place = folder / f"batch{batch}, {network}"
            place.mkdir()
            model, _ = prune_at_random(place, batch, 0.5, everywhere)
            files["full"] = (model, place / "random.caffemodel")
            files[network] = (place / "pruned" / model.name, place / "pruned" / "random.caffemodel")
        commands = {}
        for network, paths in files.items():
            for who, engine in {OURS: "caffe", STOCK: "caffe", "opencv": "opencv", "onnx": "onnx"}.items():
                numbers = [str(batch), str(5 * args.iterations)]
                commands[f"{network}, {who}"] = [sys.executable, str(PREDICT_STEPS), *map(str, paths), engine, *numbers]
        if args.torch_python:
            commands[f"full, {TORCH}"] = [args.torch_python, str(TORCH_PREDICT_STEPS), *numbers]
        print(f"Prediction, {batch} images at once, 2 threads; milliseconds for all of them")
        _report(_in_turns(commands, 2, args.rounds))


def _layers(folder: Path, args: argparse.Namespace) -> None:
    solver = write_network(folder / "layers", "DEFAULT", 10, 224, "CPU")
    command = [sys.executable, str(LAYER_STEPS), str(solver.with_name("net.prototxt")), str(args.rounds)]
    before, after = (Counter(_tell(who, command, 1)) for who in (STOCK, OURS))
    print(f"{'CPU time, 1 thread':20}{'before':>10}{'share':>8}{'after':>10}{'share':>8}")
    for kind, spent in before.most_common():
        if spent > 0.005 * before.total():
            print(
                f"{kind:20}{spent:7.0f} ms{spent / before.total():8.1%}"
                f"{after[kind]:7.0f} ms{after[kind] / after.total():8.1%}"
            )
    print(f"{'all':20}{before.total():7.0f} ms{'':8}{after.total():7.0f} ms")


def _in_turns(commands: Mapping[str, list[str]], threads: int, rounds: int) -> dict[str, list[float]]:
    """The least milliseconds of each contestant's iterations, by round."""
    found: dict[str, list[float]] = {who: [] for who in commands}
    for number in range(rounds):
        for who in list(commands)[:: 1 if number % 2 else -1]:
            found[who].append(min(_tell(who, commands[who], threads)["milliseconds"]))
        print(f"  round {number + 1}: " + ", ".join(f"{who} {times[-1]:.0f} ms" for who, times in found.items()))
    return found


def _report(found: Mapping[str, list[float]]) -> None:
    first = found[next(iter(found))]
    for who, times in found.items():
        pairs = [ours / theirs for ours, theirs in zip(first, times, strict=True)]
        print(
            f"  {who:26}{statistics.median(times):9.1f} ms; the first / this: {statistics.median(pairs):.2f} "
            f"({min(pairs):.2f} to {max(pairs):.2f})"
        )


def _tell(who: str, command: list[str], threads: int) -> dict[str, Any]:
    environment = {**os.environ, "GLOG_minloglevel": "2", faster_caffe.STOCK: str(int(STOCK in who))}
    environment |= {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    environment["PYTHONPATH"] = str(HERE.parent) if command[0] == sys.executable else ""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise InputError(f"{who}: {failure(done.stderr.splitlines())}")
    return dict(json.loads(done.stdout))


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["training", "layers", "prediction", "resnext"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="default: all")
    parser.add_argument("--torch-python", metavar="F", help="a Python that has torch")
    parser.add_argument("--rounds", type=positive, default=5, help="default %(default)s")
    parser.add_argument("--iterations", type=positive, default=3, help="of a round (default %(default)s)")
    return parser


if __name__ == "__main__":
    run(main)
