#!/usr/bin/env python3
"""What a training iteration of the paper's full network takes on a card: Caffe with and without cuDNN, and PyTorch.

Milliseconds an iteration (forward, backward, update; the paper's batch of 10 at 224 x 224) and memory, each contestant
in a process of its own, in turns, so that a hot or a busy card hits all alike. The images lie in memory already: it is
the network that is measured, not the reading of data. Every iteration ends when the card has done it.

Contestants: caffe with cuDNN (`engine: CUDNN`; only if Caffe was built with it), caffe without (`engine: CAFFE`), and
the same network in PyTorch (`inception_torch.py`) with and without cuDNN, where --torch-python names a Python that has
torch. Caffe and PyTorch let cuDNN multiply in TF32 on cards that can; NVIDIA_TF32_OVERRIDE=0 forbids it to both.

Memory is what the card lost from just before the network was made until the last iteration, as the driver counts it:
without the libraries and the context, which come before. On the CPU (--device cpu) it is resident memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyhisto.cli import Parser, positive, run
from pyhisto.devices.cards import find_cards
from pyhisto.devices.check import require_cards
from pyhisto.errors import InputError
from pyhisto.glog import failure
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.nets.solvers import ZHU_2019
from pyhisto.proto import Net, NetParameter, to_text

HERE = Path(__file__).resolve().parent
CAFFE_STEPS, TORCH_STEPS = HERE / "gpu_training_caffe.py", HERE / "gpu_training_torch.py"

ENGINES = {"caffe, cuDNN": "CUDNN", "caffe, no cuDNN": "CAFFE"}
TORCH = {"torch, cuDNN": "yes", "torch, no cuDNN": "no"}
NO_CUDNN = "unknown engine"
"""Of what Caffe says where a layer asks for CUDNN, and it was built without (layer_factory.cpp)."""


@dataclass
class Measured:
    """What a contestant took."""

    milliseconds: list[float] = field(default_factory=list)
    """The median iteration of each round."""
    megabytes: float = 0.0
    """The largest of the rounds."""
    parameters: int = 0
    """Learned ones."""


def main() -> None:
    """Measure in turns; print the medians and their ratios."""
    args = _parser().parse_args()
    if args.device == "gpu":
        require_cards((0,), "--device gpu", "give --device cpu")
        print(f"On {find_cards().found[0]}")
    else:
        print("On the CPU; this shows that the benchmark works, and nothing of a card")
    with tempfile.TemporaryDirectory() as name:
        commands = contestants(Path(name), args)
        measured: dict[str, Measured] = {}
        for number in range(args.rounds):
            order = list(commands) if number % 2 else list(commands)[::-1]
            for who in order:
                told = tell(who, commands[who])
                if told is None:
                    del commands[who]  # Caffe has no cuDNN
                    continue
                found = measured.setdefault(who, Measured())
                found.milliseconds.append(statistics.median(told["milliseconds"]))
                found.megabytes = max(found.megabytes, told["megabytes"])
                found.parameters = told["parameters"]
                print(f"round {number + 1}: {who:16}{found.milliseconds[-1]:9.2f} ms an iteration")
    report({who: measured[who] for who in commands})
    if not args.torch_python:
        print("no PyTorch beside it: --torch-python names no Python that has torch")


def contestants(folder: Path, args: argparse.Namespace) -> dict[str, list[str]]:
    """Who takes part -> the command that measures it."""
    numbers = [args.device, str(args.batch), str(args.size), str(args.iterations), str(args.warm_up)]
    engines = ENGINES if args.device == "gpu" else {"caffe": "DEFAULT"}
    commands = {}
    for who, engine in engines.items():
        solver = write_network(folder / engine, engine, args.batch, args.size, args.device.upper())
        commands[who] = [sys.executable, str(CAFFE_STEPS), str(solver), *numbers]
    if args.torch_python:
        for who, cudnn in (TORCH if args.device == "gpu" else {"torch": "yes"}).items():
            commands[who] = [args.torch_python, str(TORCH_STEPS), cudnn, *numbers]
    return commands


def write_network(folder: Path, engine: str, batch: int, size: int, mode: str) -> Path:
    """The solver of the paper's network, native SEP, with Input layers for data, and `engine` in every layer."""
    net: Net = InceptionSEP("paper", "native", input_size=size).train_val("", "", batch, batch)
    own = NetParameter(name=net.name)
    for name, shape in (("data", (batch, 3, size, size)), ("label", (batch,))):
        own.layer.add(name=name, type="Input", top=[name]).input_param.shape.add(dim=shape)
    own.layer.extend(layer for layer in net.layer if layer.type not in ("Data", "Accuracy"))
    fields = {"Convolution": "convolution_param", "Pooling": "pooling_param", "ReLU": "relu_param"}
    fields |= {"Sigmoid": "sigmoid_param", "Softmax": "softmax_param", "SoftmaxWithLoss": "softmax_param"}
    for layer in own.layer:
        if layer.type in fields:
            parameter = getattr(layer, fields[layer.type])
            parameter.engine = parameter.Engine.Value(engine)
    folder.mkdir()
    (folder / "net.prototxt").write_text(to_text(own), encoding="utf-8")
    solver = ZHU_2019.message(str(folder / "net.prototxt"), str(folder / "snapshot"), test_iter=1)
    for name in ("test_iter", "test_interval", "snapshot"):
        solver.ClearField(name)
    solver.display, solver.snapshot_after_train, solver.random_seed = 0, False, 1
    solver.solver_mode = type(solver).SolverMode.Value(mode)
    (folder / "solver.prototxt").write_text(to_text(solver), encoding="utf-8")
    return folder / "solver.prototxt"


def tell(who: str, command: list[str]) -> dict[str, Any] | None:
    """What a contestant's process says; None, with a line, where Caffe was built without cuDNN."""
    paths = [str(HERE.parent)] if command[0] == sys.executable else []  # PyTorch's Python has its own packages
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "GLOG_minloglevel": "2"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == 0:
        return dict(json.loads(done.stdout))
    if NO_CUDNN in done.stderr:
        print(f"{who}: Caffe was built without cuDNN")
        return None
    raise InputError(f"{who}: {failure(done.stderr.splitlines())}")


def report(measured: dict[str, Measured]) -> None:
    """Print the medians, and everybody's time as a share of the first's."""
    print(f"{'':18}{'ms an iteration':>16}{'rounds':>20}{'MB':>9}{'parameters':>12}")
    for who, found in measured.items():
        span = f"{min(found.milliseconds):.2f} to {max(found.milliseconds):.2f}"
        median = statistics.median(found.milliseconds)
        print(f"{who:18}{median:16.2f}{span:>20}{found.megabytes:9.0f}{found.parameters:12,}")
    first, *others = measured
    for who in others:
        pairs = zip(measured[first].milliseconds, measured[who].milliseconds, strict=True)
        ratios = [ours / theirs for ours, theirs in pairs]
        memory = measured[first].megabytes / max(measured[who].megabytes, 1)
        print(
            f"{first} / {who}: {statistics.median(ratios):.2f} in time "
            f"(the rounds' own: {min(ratios):.2f} to {max(ratios):.2f}), {memory:.2f} in memory"
        )


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu", help="default %(default)s")
    parser.add_argument("--torch-python", metavar="F", help="a Python that has torch")
    parser.add_argument("--batch", type=positive, default=10, help="default %(default)s")
    parser.add_argument("--size", type=positive, default=224, help="side of the images (default %(default)s)")
    parser.add_argument("--rounds", type=positive, default=5, help="default %(default)s")
    parser.add_argument("--iterations", type=positive, default=50, help="of a round (default %(default)s)")
    parser.add_argument("--warm-up", type=positive, default=10, help="before them, not counted (default %(default)s)")
    return parser


if __name__ == "__main__":
    run(main)
