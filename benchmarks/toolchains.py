#!/usr/bin/env python3
"""Networks taken through tool chains: how far their outputs are from Caffe's, and the time of one image.

Each chain lives in a virtual environment of its own under the cache folder, with pinned packages, made when it is first
asked for. A network is given to a chain as tools/deploy.py writes it. Differences are relative to an output's largest
value; times are milliseconds of processor, one thread, the least of some runs. A chain that cannot be installed, or
does not take a network, is named with its reason.

Networks: the paper's, full and pruned at 0.5 (random weights), and those of --models, NAME=PROTOTXT:CAFFEMODEL each.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyhisto.cli import Parser, positive, run
from pyhisto.deploy.chains import CHAINS
from pyhisto.deploy.deploying import read, rewrite
from pyhisto.deploy.form import Form
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.onnx.export import export, write_model
from pyhisto.proof.engines import PROOF_ENGINES, EngineError, choose_engine
from pyhisto.proto import NetParameter, set_blob, to_text, write_weights
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule

RUNNER = Path(__file__).with_name("toolchains_run.py")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pyhisto" / "toolchains"
LEAST_FREE = 20 << 30
"""Bytes that have to be free on the disk before an environment is made."""
TIME_LIMIT = 300


@dataclass(frozen=True)
class Environment:
    """The packages of a chain. `alone` are installed without what they ask for: it would send reports, or is large."""

    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()
    reads: str = "opencv"
    """The form that it is given: a name of tools/deploy.py --for."""
    size: str = ""
    """What it takes on the disk."""


ENVIRONMENTS = {
    "opencv": Environment(("opencv-python-headless==4.14.0.94", "numpy"), reads="opencv", size="200 MB"),
    "onnxruntime": Environment(("onnxruntime==1.31.1", "numpy"), reads="mnn", size="200 MB"),
    "openvino": Environment(
        ("numpy==1.25.2", "protobuf==3.20.3", "networkx==3.1", "defusedxml==0.7.1", "fastjsonschema==2.17.1",
         "requests", "setuptools<80"),
        alone=("openvino==2023.3.0", "openvino-dev==2023.3.0"), reads="openvino", size="290 MB",
    ),
    "ncnn": Environment(("ncnn==1.0.20261020",), alone=("pnnx==20261020",), reads="ncnn", size="220 MB"),
    "mnn": Environment(("MNN==3.6.1",), reads="mnn", size="160 MB"),
    "rknn": Environment(
        ("torch==1.13.1", "protobuf==4.25.4", "psutil", "ruamel.yaml", "scipy<1.14", "tqdm", "fast-histogram",
         "opencv-python-headless==4.10.0.84", "numpy==1.26.4", "onnx==1.16.1", "onnxruntime==1.18.1", "setuptools<80"),
        alone=("rknn-toolkit2==2.3.2",), reads="rknn", size="4 GB",
    ),
}  # fmt: skip


def main() -> None:
    """Install what is missing, run, print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--chains", nargs="+", choices=ENVIRONMENTS, default=list(ENVIRONMENTS))
    parser.add_argument("--models", nargs="+", default=[], metavar="NAME=PROTOTXT:CAFFEMODEL")
    parser.add_argument("--repeats", type=positive, default=5)
    arguments = parser.parse_args()
    pythons: dict[str, Path | str] = {chain: _python(chain) for chain in arguments.chains}
    print(f"| network | {' | '.join(arguments.chains)} |")
    print(f"|---|{'---|' * len(arguments.chains)}")
    reasons = []
    with tempfile.TemporaryDirectory() as name:
        networks = {**paper_networks(Path(name)), **dict(map(_model, arguments.models))}
        for network, (model, weights) in networks.items():
            cells = []
            for chain, python in pythons.items():
                try:
                    if isinstance(python, str):
                        raise InputError(python)
                    difference, milliseconds = through(chain, python, model, weights, arguments.repeats)
                    cells.append(f"{difference:.1e}, {milliseconds:.1f} ms")
                except InputError as error:
                    cells.append("no")
                    reasons.append(f"{network}, {chain}: {error}")
            print(f"| {network} | {' | '.join(cells)} |", flush=True)
    print("\n".join(dict.fromkeys(reasons)))


def through(chain: str, python: Path, model: Path, weights: Path, repeats: int) -> tuple[float, float]:
    """How far a chain is from Caffe, and its milliseconds. Raises InputError if it does not take the network."""
    original = read(model, weights, 1, {})
    form = rewrite(original, CHAINS[ENVIRONMENTS[chain].reads], False).form
    network = form.runnable()
    made = {top for layer in network.net.layer for top in layer.top}
    outputs = [blob for blob in form.graph().outputs if blob.name in made]
    generator = np.random.default_rng(0)
    inputs = {
        name: (generator.standard_normal(shape) * 50).astype(np.float32) for name, shape in network.inputs.items()
    }
    expected = caffe_outputs(original, inputs, [blob.name for blob in outputs])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tensors: Mapping[str, str] = {}
        (folder / "net.prototxt").write_text(form.text, encoding="utf-8")
        write_weights(folder / "net.caffemodel", form.weights)
        if CHAINS[ENVIRONMENTS[chain].reads].reads == "onnx":
            exported = export(form.graph(), form.weights, form.source)
            tensors = exported.tensors
            write_model(folder / "net.onnx", exported.model)
        np.savez(folder / "inputs.npz", **inputs)
        (folder / "inputs.json").write_text(json.dumps(list(inputs)))
        wanted = [
            {"name": blob.name, "layer": blob.producer.name, "tensor": tensors.get(blob.name, blob.name)}
            for blob in outputs
        ]
        (folder / "outputs.json").write_text(json.dumps(wanted))
        command = [str(python), str(RUNNER), chain, str(folder), str(repeats)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, cwd=folder, timeout=TIME_LIMIT, errors="replace",
                env=os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise InputError(f"not done in {TIME_LIMIT} s") from None
        timed = [line for line in done.stdout.splitlines() if line.startswith("milliseconds ")]
        if done.returncode or not timed:
            said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            raise InputError(said[-1][:300] if said else f"exit status {done.returncode}")
        with np.load(folder / "result.npz") as stored:
            found = [stored[str(index)] for index in range(len(stored.files))]
    return largest_difference(expected, found), float(timed[-1].split()[1])


def largest_difference(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """Relative to each output's largest value; outputs are matched in order, shapes but for axes of 1."""
    if len(found) != len(expected):
        raise InputError(f"gives {len(found)} outputs, not {len(expected)}")
    largest = 0.0
    for one, other in zip(expected, found, strict=True):
        if one.size != other.size:
            raise InputError(f"gives an output of shape {other.shape}, not {one.shape}")
        scale = max(float(np.abs(one).max()), 1e-30)
        largest = max(largest, float(np.abs(one.ravel().astype(np.float64) - other.ravel()).max()) / scale)
    return largest


def caffe_outputs(form: Form, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
    """What Caffe, else OpenCV, gives."""
    network = form.runnable()
    choice = choose_engine([network])
    if choice is None:
        raise InputError("neither Caffe nor OpenCV runs it, so that there is nothing to compare with")
    try:
        found = PROOF_ENGINES[choice.engine](network, form.weights, inputs, tuple(names))
    except EngineError as error:
        raise InputError(str(error)) from None
    return [found[name] for name in names]


def paper_networks(folder: Path, softmax: bool = False) -> dict[str, tuple[Path, Path]]:
    """The paper's network with random weights, and pruned at 0.5 at random; with its Softmax or without.

    The Softmax of random weights gives 0 and 1 whatever a chain gets wrong.
    """
    model, caffemodel = folder / "deploy.prototxt", folder / "random.caffemodel"
    net = InceptionSEP("paper", input_size=224).deploy()
    for layer in [layer for layer in net.layer if layer.type == "Softmax" and not softmax]:
        net.layer.remove(layer)
    model.write_text(to_text(net), encoding="utf-8")
    generator = np.random.default_rng(0)
    weights = NetParameter()
    for node in Graph.build(net).nodes:
        if node.param_shapes:
            layer = weights.layer.add(name=node.name, type=node.type)
            for index, shape in enumerate(node.param_shapes):
                values = generator.normal(0, 0.1, shape)
                if node.type == "BatchNorm":
                    values = [values, generator.uniform(0.5, 1.5, shape), np.ones(shape)][index]
                elif node.type == "Scale" and index == 0:
                    values = generator.uniform(0.5, 1.5, shape)
                elif index == 0:
                    values = generator.normal(0, (2 / max(1, int(np.prod(shape[1:])))) ** 0.5, shape)
                set_blob(layer.blobs.add(), values.astype(np.float32))
    write_weights(caffemodel, weights)
    network = LoadedNetwork.read(model, [], caffemodel, {})
    removed = plan_pruning(network, "random", Schedule(0.5), None, seed=0)
    write(network, cut_network(network, removed, {"ratio": 0.5}), None, folder / "pruned")
    return {
        "paper, full": (model, caffemodel),
        "paper, pruned at 0.5": (folder / "pruned" / model.name, folder / "pruned" / caffemodel.name),
    }


def _model(text: str) -> tuple[str, tuple[Path, Path]]:
    name, _, files = text.partition("=")
    model, _, weights = files.partition(":")
    if not weights:
        raise InputError(f"--models {text}: give NAME=PROTOTXT:CAFFEMODEL")
    return name, (Path(model), Path(weights))


def _python(chain: str) -> Path | str:
    """The Python of a chain's environment, made if need be; else why it cannot be."""
    environment, folder = ENVIRONMENTS[chain], CACHE / chain
    python, done = folder / "bin" / "python", folder / "installed"
    pins = "\n".join((*environment.alone, *environment.packages))
    if done.exists() and done.read_text(encoding="utf-8") == pins:
        return python
    CACHE.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(CACHE).free < LEAST_FREE:
        return f"not installed: {CACHE} has less than {LEAST_FREE >> 30} GiB free, and it takes {environment.size}"
    print(f"{chain}: installing {environment.size} into {folder}", file=sys.stderr)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, *environment.packages],
        *([[*pip, "--no-deps", *environment.alone]] if environment.alone else []),
    ):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            lines = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] or [ended.stderr[-200:]]
            return f"not installed: {lines[-1]}"
    done.write_text(pins, encoding="utf-8")
    return python


if __name__ == "__main__":
    run(main)
