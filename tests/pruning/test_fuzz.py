"""Damaged and hostile input to the pruner: an InputError of one line, no output, little time and little memory.

The cases run in a process of their own whose address space is bounded: `python test_fuzz.py CASES SEED FOLDER`.
"""

import copy
import json
import os
import random
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from google.protobuf import text_format

from pyhisto.errors import InputError
from pyhisto.files import sha256
from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import (
    BlobProto,
    LayerParameter,
    NetParameter,
    SolverState,
    blob_array,
    read_net,
    read_weights,
    set_blob,
    to_text,
    write_weights,
)
from pyhisto.pruning.dependencies import Dependencies
from pyhisto.pruning.importance import Importance
from pyhisto.pruning.plan import Parameter, Plan
from pyhisto.pruning.prototxts import read_prototxts
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule
from pyhisto.pruning.snapshot import check_pair, convert
from pyhisto.solver_state import read_state, write_state
from tests.mutations import MUTATIONS
from tests.networks import RandomNetwork, WildNetwork, random_weights, save

ADDRESS_SPACE = 2 << 30
SECONDS = 5

V1_NETWORK = """name: "v1" input: "data" input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "c1" type: CONVOLUTION bottom: "data" top: "c1" blobs_lr: 1 blobs_lr: 2
  convolution_param { num_output: 8 kernel_size: 3 group: 1 } }
layers { name: "r1" type: RELU bottom: "c1" top: "c1" }
layers { name: "c2" type: CONVOLUTION bottom: "c1" top: "c2"
  convolution_param { num_output: 6 kernel_size: 3 group: 2 } }
layers { name: "cat" type: CONCAT bottom: "c2" bottom: "c2" top: "cat" }
layers { name: "ip" type: INNER_PRODUCT bottom: "cat" top: "ip" inner_product_param { num_output: 3 } }
layers { name: "prob" type: SOFTMAX bottom: "ip" top: "prob" }
"""

GT = 'layer {{ name: "gt" type: "Input" top: "gt" input_param {{ shape {{ dim: {} }} }} }}\n'
SOLVER = 'net: "train_val.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 9\nsnapshot_prefix: "s"\n'


# What there is to damage


@dataclass(frozen=True)
class Base:
    """The content of all files of one network, whole, by file name."""

    texts: dict[str, str]
    """deploy.prototxt and its companions."""
    weights: dict[str, bytes]
    importance: str
    plan: str
    states: dict[str, bytes]


def base(folder: Path, deploy: str, train_val: str) -> Base:
    """Prune a whole network once, so that there is a plan, and a solver state that fits it."""
    folder.mkdir()
    texts = {"deploy.prototxt": deploy, "train_val.prototxt": train_val, "solver.prototxt": SOLVER}
    for name, text in texts.items():
        (folder / name).write_text(text)
    model, also = folder / "deploy.prototxt", [folder / "train_val.prototxt", folder / "solver.prototxt"]
    net = NetParameter()
    text_format.Parse(train_val.replace('"Mystery"', '"TanH"'), net)
    weights = random_weights([Graph.build(net)])
    for name in ("net.caffemodel", "net.caffemodel.h5"):
        write_weights(folder / name, weights)
    old = NetParameter()
    for layer in weights.layer:
        old.layers.add(name=layer.name, blobs=layer.blobs)
    write_weights(folder / "v1.caffemodel", old)

    network = LoadedNetwork.read(model, also, folder / "net.caffemodel", {})
    gates = {
        name: np.linspace(0, 1, len(gate.channels), dtype=np.float64)
        for name, gate in network.dependencies.gates.items()
    }
    Importance(gates, 5, sha256(folder / "net.caffemodel")).save(folder / "importance.json")
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(0.5), None, 0), {"criterion": "l1"})
    write(network, pruned, None, folder / "out")
    plan = Plan.load(folder / "out" / "plan.json")
    state = SolverState(iter=7, learned_net="net.caffemodel", current_step=1)
    for parameter in plan.parameters:
        set_blob(state.history.add(), np.ones(parameter.shape, np.float32))
    for name in ("s.solverstate", "s.solverstate.h5"):
        write_state(folder / name, state)

    def content(*names: str) -> dict[str, bytes]:
        return {name: (folder / name).read_bytes() for name in names}

    return Base(
        texts,
        content("net.caffemodel", "v1.caffemodel", "net.caffemodel.h5"),
        (folder / "importance.json").read_text(),
        (folder / "out" / "plan.json").read_text(),
        content("s.solverstate", "s.solverstate.h5"),
    )


def trained(deploy: str) -> str:
    """A train_val prototxt from a deploy one: what its last Softmax reads gets a loss."""
    scores = deploy.rpartition("bottom: ")[2].split()[0]
    if "layers {" in deploy:
        return deploy + f'layers {{ name: "loss" type: SOFTMAX_LOSS bottom: {scores} bottom: "gt" top: "loss" }}'
    batch = int(deploy.partition("dim: ")[2].split()[0])
    return (
        deploy
        + GT.format(batch)
        + f'layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: {scores} bottom: "gt" top: "loss" }}'
    )


def bases(folder: Path) -> list[Base]:
    """Small networks of every pattern, the authors' own in miniature, and one in the old format."""
    small = [to_text(network(seed).net) for network in (RandomNetwork, WildNetwork) for seed in range(10)]
    made = [base(folder / str(seed), text, trained(text)) for seed, text in enumerate(small)]
    inception = to_text(InceptionSEP("paper", "python", width=0.03, input_size=32).deploy())
    v1 = V1_NETWORK.replace(
        "input_dim: 8\n", 'input_dim: 8 input: "gt" input_dim: 2 input_dim: 1 input_dim: 1 input_dim: 1\n'
    )
    made.append(base(folder / "v1", V1_NETWORK, trained(v1)))
    # The large network is seldom chosen: it takes as long as ten of the others.
    return made * 3 + [base(folder / "inception", inception, trained(inception))]


# How it is damaged


def damaged_text(chance: random.Random, text: str) -> str:
    for _ in range(chance.randrange(1, 4)):
        text = chance.choice([*MUTATIONS, line_dropped, line_doubled])(chance, text)
    return text


def line_dropped(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    del lines[chance.randrange(len(lines))]
    return "\n".join(lines)


def line_doubled(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    index = chance.randrange(len(lines))
    return "\n".join(lines[: index + 1] + lines[index:])


def damaged_bytes(chance: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    match chance.randrange(4):
        case 0:
            del data[chance.randrange(len(data) + 1) :]
        case 1:
            for _ in range(chance.choice([1, 1, 8, 64])):
                # Headers lie at the front, and are a small part of a file of numbers.
                end = chance.choice([64, 512, len(data), len(data)])
                data[chance.randrange(min(end, len(data)))] ^= 1 << chance.randrange(8)
        case 2:
            start = chance.randrange(len(data))
            data[start:start] = data[chance.randrange(len(data)) :][: chance.randrange(1, 200)]
        case 3:
            start = chance.randrange(len(data))
            del data[start : start + chance.randrange(1, 200)]
    return bytes(data)


ABSURD_DIMS = [0, 1, -1, 2, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63)]


def damaged_blob(chance: random.Random, blob: Any) -> None:
    match chance.randrange(7):
        case 0 if blob.shape.dim:
            blob.shape.dim[chance.randrange(len(blob.shape.dim))] = chance.choice(ABSURD_DIMS)
        case 1:
            blob.shape.dim.append(chance.choice(ABSURD_DIMS))
        case 2:
            blob.shape.dim.extend([1] * 70)
        case 3:
            blob.ClearField("shape")
            for field in ("num", "channels", "height", "width"):
                setattr(blob, field, chance.choice([0, 1, 3, -1, 2**31 - 1]))
        case 4:
            blob.data = blob.data[: chance.randrange(len(blob.data) + 1)]
        case 5:
            blob.double_data, blob.data = blob.data * 2, b""
        case 6:
            blob.data = np.full(len(blob.data) // 4, chance.choice([np.nan, np.inf, 3e38]), np.float32).tobytes()


def damaged_weights(chance: random.Random, folder: Path, name: str, content: bytes) -> None:
    """Damage that a parser of protobuf does not notice: layers and blobs that lie."""
    (folder / name).write_bytes(content)
    net = read_weights(folder / name)
    layers = net.layer or net.layers
    for _ in range(chance.randrange(1, 4)):
        layer, other = chance.choice(layers), chance.choice(layers)
        match chance.randrange(6):
            case 0:
                layer.name, other.name = other.name, layer.name
            case 1:
                layer.name = chance.choice(["", "\0", "../x", "/", "a\nb", ".", other.name, f"{other.name}/0"])
            case 2:
                layer.blobs.add()
            case 3 if layer.blobs:
                del layer.blobs[-1]
            case _ if layer.blobs:
                damaged_blob(chance, chance.choice(layer.blobs))
    (folder / name).write_bytes(net.SerializeToString())


def hostile_hdf5(chance: random.Random, path: Path, root: str) -> None:
    """HDF5 that opens and lies: `root` is the group that holds the arrays."""
    with h5py.File(path, "a") as file:
        datasets: list[str] = []
        file[root].visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
        name = f"{root}/{chance.choice(datasets)}"
        parent = name.rpartition("/")[0]
        kind = chance.randrange(12)
        if kind in (0, 1, 2, 3, 4, 5):
            del file[name]
        match kind:
            case 0:
                file.create_dataset(name, (2**20, 2**20), np.float32, chunks=(1024, 1024))
            case 1:
                file.create_dataset(name, data=np.zeros(2**24, np.float32), compression="gzip")
            case 2:
                file[name] = chance.choice(["text", b"\xff", 1 + 2j, np.float64(3), np.zeros((2, 0)), h5py.Empty("f")])
            case 3:
                file[name] = h5py.SoftLink(chance.choice(["/nowhere", name, f"/{root}"]))
            case 4:
                file[name] = h5py.ExternalLink(str(path.parent / "other.h5"), "/data")
            case 5:
                file.create_group(name)
            case 6:
                file[f"{parent}/loop"] = file[root]
            case 7:
                file[f"{parent}/00"] = file[name]
            case 8:
                file[f"{parent}/x"] = np.zeros(3)
            case 9:
                del file[root]
                file[root] = np.zeros(3)
            case 10:
                for index in range(200):
                    file[f"{root}/copy{index}/0"] = file[name]
            case 11 if "iter" in file:
                field = chance.choice(["iter", "current_step", "learned_net"])
                del file[field]
                file[field] = chance.choice([2**40, -1, "x", b"\xff\xfe", np.zeros(0), np.nan, "a" * 5000])


INFINITE = "1e999"  # a number to JSON, and infinite to Python

HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), 0.5, "", "x", "a\nb",
    "\ud800", "\0", [], {}, [[]], [0, 0], [-1], [True], [0.0], ["0"], {"": 0}, [2**31], "weights", "a" * 5000, INFINITE,
]  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from places(item)


def damaged_json(chance: random.Random, text: str) -> str:
    if chance.random() < 0.15:
        return damaged_text(chance, text)
    if chance.random() < 0.03:
        return chance.choice(["[" * 10**5, '{"a":' * 10**5, "", "1e999", text.replace("1", "1e999"), "1" * 5000])
    value = json.loads(text)
    for _ in range(chance.randrange(1, 4)):
        # Not one of the many numbers each time: first pick the depth.
        container, key = value, chance.choice(list(value) or [""]) if isinstance(value, dict) else None
        while chance.random() < 0.75 and isinstance(container, dict | list) and (inner := deeper(chance, container)):
            container, key = inner
        if isinstance(container, dict | list) and key is not None:
            change(chance, container, key)
    return json.dumps(value).replace(f'"{INFINITE}"', INFINITE)


def deeper(chance: random.Random, container: Any) -> tuple[Any, Any] | None:
    inner = [
        item
        for item in (container.values() if isinstance(container, dict) else container)
        if item and isinstance(item, dict | list)
    ]
    if not inner:
        return None
    chosen = chance.choice(inner)
    return chosen, chance.choice(list(chosen) if isinstance(chosen, dict) else range(len(chosen)))


def change(chance: random.Random, container: Any, key: Any) -> None:
    if isinstance(container, dict) and key not in container:
        return
    if isinstance(container, list) and not (isinstance(key, int) and key < len(container)):
        return
    match chance.randrange(4):
        case 0:
            del container[key]
        case 1 if isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        case _:
            container[key] = copy.deepcopy(chance.choice(HOSTILE))


# What it is put through


def prune(chance: random.Random, whole: Base, other: Base, folder: Path) -> None:
    """Files to files, with one or two of them damaged."""
    texts, name = dict(whole.texts), chance.choice(list(whole.weights))
    content, importance = whole.weights[name], whole.importance
    damage = chance.choice(["text", "text", "text", "bytes", "bytes", "lies", "stranger", "importance", "hdf5", "none"])
    if damage == "text":
        for _ in range(chance.choice([1, 1, 2])):
            target = chance.choice(list(texts))
            texts[target] = damaged_text(chance, texts[target])
    elif damage == "bytes":
        content = damaged_bytes(chance, content)
    elif damage == "stranger":
        content = other.weights[name]
    elif damage == "importance":
        name = "net.caffemodel"
        content, importance = whole.weights[name], damaged_json(chance, importance)
    elif damage == "hdf5":
        name = "net.caffemodel.h5"
        content = whole.weights[name]
    for file, text in texts.items():
        (folder / file).write_bytes(text.encode("utf-8", "surrogatepass"))
    weights = folder / name
    weights.write_bytes(content)
    if damage == "lies":
        damaged_weights(chance, folder, name, content)
    if damage == "hdf5":
        (folder / "other.h5").write_bytes(other.weights[name])
        hostile_hdf5(chance, weights, "data")
    (folder / "importance.json").write_text(importance, encoding="utf-8")

    criterion = "sep" if damage == "importance" else chance.choice(["l1", "l1", "random", "slimming", "sep"])
    model, also = folder / "deploy.prototxt", [folder / "train_val.prototxt", folder / "solver.prototxt"]
    network = LoadedNetwork.read(model, also[: chance.choice([0, 2, 2])], weights, {})
    schedule = Schedule(
        chance.choice([0.5, 0.95, None]), chance.choice([0.0, -1.0]), chance.choice(["branch", "block", "network"]),
        chance.choice(["rescale", "keep"]), chance.choice([1, 2]),
    )  # fmt: skip
    loaded = Importance.load(folder / "importance.json") if criterion == "sep" else None
    pruned = cut_network(network, plan_pruning(network, criterion, schedule, loaded, 0), {"criterion": criterion})
    out = folder / "out"
    write(network, pruned, None, out)
    # What was accepted makes a network of its own, and a plan.
    Plan.load(out / "plan.json")
    again = LoadedNetwork.read(
        out / "deploy.prototxt", [out / path.name for path in also if (out / path.name).exists()], out / name, {}
    )
    assert again.dependencies.atom_count() <= network.dependencies.atom_count()


def resume(chance: random.Random, whole: Base, other: Base, folder: Path) -> None:
    """Plan and solver state, either damaged or another network's."""
    name = chance.choice(list(whole.states))
    plan, content = whole.plan, whole.states[name]
    damage = chance.choice(["plan", "plan", "bytes", "lies", "stranger", "hdf5", "none"])
    if damage == "plan":
        plan = damaged_json(chance, plan)
    elif damage == "bytes":
        content = damaged_bytes(chance, content)
    elif damage == "stranger":
        content = other.states[name]
    elif damage == "hdf5":
        name = "s.solverstate.h5"
        content = whole.states[name]
    (folder / "plan.json").write_text(plan, encoding="utf-8", errors="surrogatepass")
    state = folder / name
    state.write_bytes(content)
    if damage == "lies":
        lying_state(chance, state)
    if damage == "hdf5":
        (folder / "other.h5").write_bytes(other.weights["net.caffemodel.h5"])
        hostile_hdf5(chance, state, "history")
    loaded, read = Plan.load(folder / "plan.json"), read_state(state)
    check_pair(read, loaded, state)
    out = folder / ("out" + chance.choice(["", ".h5"]))
    write_state(out, convert(read, loaded, str(loaded.outputs.get("weights")), state))
    assert len(read_state(out).history) == len(read.history)


def lying_state(chance: random.Random, path: Path) -> None:
    state = read_state(path)
    match chance.randrange(4):
        case 0:
            state.learned_net = chance.choice(["a" * 5000, "\0", "/", "/dev/zero", "a\nb", ""])
        case 1:
            state.history.add()
        case 2:
            state.iter = chance.choice([-1, 2**31 - 1])
        case 3:
            damaged_blob(chance, chance.choice(state.history))
    path.write_bytes(state.SerializeToString())


def run(cases: int, seed: int, folder: Path) -> dict[str, int]:
    """Damage and exercise; how often what was said, and how often a case was accepted."""
    networks = bases(folder)
    chance = random.Random(seed)
    counts = {"accepted": 0, "refused": 0}
    exercises: list[Callable[..., None]] = [prune, prune, prune, resume]
    for case in range(cases):
        whole, other = chance.choice(networks), chance.choice(networks)
        place = folder / "case"
        place.mkdir()
        begun = time.process_time()
        try:
            chance.choice(exercises)(chance, whole, other, place)
            counts["accepted"] += 1
            written = True
        except InputError as error:
            counts["refused"] += 1
            written = False
            assert "\n" not in str(error) and str(error), (case, str(error))
        except BaseException as error:
            raise AssertionError(f"case {case} (kept in {place}): {type(error).__name__}: {error}") from error
        assert time.process_time() - begun < SECONDS, f"case {case} (kept in {place}) is slow"
        if not written:
            left = [path.name for path in place.iterdir() if path.name.startswith(("out", "."))]
            assert not left, f"case {case} (kept in {place}) left {left}"
        for path in sorted(place.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        place.rmdir()
    return counts


def run_bounded(cases: int, seed: int, folder: Path) -> dict[str, int]:
    """`run` in a process with a bounded address space."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(cases), str(seed), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-4000:]
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counts


# What the cases have found, one by one


def hdf5(path: Path, damage: Callable[[h5py.File], object]) -> Path:
    """A caffemodel of one layer, damaged."""
    weights = NetParameter()
    set_blob(weights.layer.add(name="c").blobs.add(), np.zeros((2, 3), np.float32))
    write_weights(path, weights)
    with h5py.File(path, "a") as file:
        damage(file)
    return path


def moved(file: h5py.File) -> None:
    file.move("data", "elsewhere")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda file: file.create_dataset("data/c/1", (2**20, 2**20), "f4", chunks=(64, 64)), "larger than the file"),
        (lambda file: file.create_dataset("data/c/1", data=np.zeros(2**22, "f4"), compression="gzip"), "larger"),
        (lambda file: file.create_dataset("data/c/00", data=np.zeros(3, "f4")), "none is called '1'"),
        (lambda file: file.create_dataset("data/c/1", data="text"), "not an array of numbers"),
        (lambda file: file.create_dataset("data/c/1", data=h5py.Empty("f")), "not an array of numbers"),
        (moved, "no 'data'"),
    ],
)
def test_hdf5_that_lies(tmp_path: Path, damage: Callable[[h5py.File], object], words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_weights(hdf5(tmp_path / "net.caffemodel.h5", damage))
    assert "\n" not in str(error.value)


def test_hdf5_links_are_not_followed(tmp_path: Path) -> None:
    def damage(file: h5py.File) -> None:
        file["data/c/loop"] = file["data"]
        file["data/far"] = h5py.ExternalLink(str(other), "/data")
        file["data/soft"] = h5py.SoftLink("/data/c")

    other = hdf5(tmp_path / "other.h5", lambda file: None)
    net = read_weights(hdf5(tmp_path / "net.caffemodel.h5", damage))
    assert [(layer.name, len(layer.blobs)) for layer in net.layer] == [("c", 1)]
    external = hdf5(tmp_path / "external.h5", moved)
    with h5py.File(external, "a") as file:
        file["data"] = h5py.ExternalLink(str(other), "/data")
    with pytest.raises(InputError, match="no 'data' of its own"):
        read_weights(external)


def test_names_that_hdf5_cannot_hold(tmp_path: Path) -> None:
    weights = NetParameter()
    for _ in range(2):
        set_blob(weights.layer.add(name="twin").blobs.add(), np.zeros(2, np.float32))
    with pytest.raises(InputError, match="HDF5 cannot hold"):
        write_weights(tmp_path / "net.caffemodel.h5", weights)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a\nb", "\0", "a\u2028", "\x1b[2J"])
def test_names_that_do_not_fit_on_a_line(tmp_path: Path, name: str) -> None:
    model, weights = save(tmp_path, RandomNetwork(0).net)
    net = read_net(model)
    net.layer[1].name = name
    (tmp_path / "net.prototxt").write_text(to_text(net))
    weights.write_bytes(NetParameter(layer=[LayerParameter(name=name)]).SerializeToString())
    for read, path in ((read_net, tmp_path / "net.prototxt"), (read_weights, weights)):
        with pytest.raises(InputError, match="control character") as error:
            read(path)
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("dims", [[0, 2**62], [-1, -6], [1] * 70, [2**31, 0]])
def test_impossible_blobs(dims: list[int]) -> None:
    blob = BlobProto(data=np.zeros(6, "<f4").tobytes() if 0 not in dims else b"")
    blob.shape.dim.extend(dims)
    with pytest.raises(InputError, match="damaged"):
        blob_array(blob)


INPUT = 'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {} }} }} }}\n'
CONV = (
    'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
    "convolution_param { num_output: 4 kernel_size: 1 %s } }\n"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (INPUT.format("dim: 1 dim: 2147483647"), "too long"),
        (INPUT.format("dim: 1 dim: 4096 dim: 64 dim: 64")
         + 'layer { name: "f" type: "Flatten" bottom: "data" top: "f" }\n', "too long"),
        (INPUT.format("") + CONV % "group: 8", "8 groups"),
        (INPUT.format("") + CONV % "group: 0", "0 groups"),
        (INPUT.format("") + CONV.replace("4", "4000000000") % "", "can follow"),
    ],
)  # fmt: skip
def test_networks_too_large_or_impossible(tmp_path: Path, text: str, words: str) -> None:
    """What is behind an input of unknown shape, the graph cannot check."""
    text = text.replace("input_param { shape {  } }", "")
    (tmp_path / "net.prototxt").write_text(text)
    with pytest.raises(InputError, match=words):
        Dependencies.analyse(read_prototxts(tmp_path / "net.prototxt", [], {})[0].graphs)


def test_weights_behind_an_unknown_shape_have_to_fit(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text('layer { name: "data" type: "Input" top: "data" }\n' + CONV % "")
    weights = NetParameter()
    layer = weights.layer.add(name="c")
    for shape in ((5, 3, 1, 1), (5,)):
        set_blob(layer.blobs.add(), np.zeros(shape, np.float32))
    write_weights(tmp_path / "net.caffemodel", weights)
    with pytest.raises(InputError, match="does not fit"):
        LoadedNetwork.read(tmp_path / "net.prototxt", [], tmp_path / "net.caffemodel", {})


def test_files_of_one_name_would_overwrite_one_another(tmp_path: Path) -> None:
    model, weights = save(tmp_path, RandomNetwork(0).net, name="plan")
    model = model.rename(tmp_path / "plan.json")
    with pytest.raises(InputError, match=r"two files are called plan\.json"):
        LoadedNetwork.read(model, [], weights, {})


def test_states_name_any_weights(tmp_path: Path) -> None:
    state = SolverState(iter=1, learned_net="réseau.caffemodel")
    set_blob(state.history.add(), np.zeros(3, np.float32))
    write_state(tmp_path / "s.solverstate.h5", state)
    assert read_state(tmp_path / "s.solverstate.h5").learned_net == "réseau.caffemodel"
    for name in ("a" * 5000, "\0", ""):
        check_pair(SolverState(learned_net=name), Plan({}, {}), "s")


@pytest.mark.parametrize("value", ["1e999", '"a\\nb"', r'"\ud800"', "[" * 100_000, "1" * 5000, '{"format": 1e999}'])
def test_strange_plans(tmp_path: Path, value: str) -> None:
    for text in (value, f'{{"format": {value}}}', f'{{"format": 1, "layers": {{"a": {{"channels": {value}}}}}}}'):
        (tmp_path / "plan.json").write_text(text)
        with pytest.raises(InputError) as error:
            Plan.load(tmp_path / "plan.json")
        assert "\n" not in str(error.value)


def test_names_that_are_not_text(tmp_path: Path) -> None:
    # Field 100 (layer) of 4 bytes: field 1 (name), 2 bytes, of which neither begins a character.
    (tmp_path / "net.caffemodel").write_bytes(b"\xa2\x06\x04\x0a\x02\xff\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        read_weights(tmp_path / "net.caffemodel")


def test_names_in_json_that_do_not_fit_on_a_line(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"blocks": {"a\nb": [1.0]}, "samples": 1, "weights_sha256": "0"}))
    with pytest.raises(InputError, match="not a channel importance file"):
        Importance.load(path)
    Plan({}, {}, (Parameter("a\nb", 0, (3,), ((0,),)),)).save(path)
    with pytest.raises(InputError, match="not a pruning plan"):
        Plan.load(path)


def test_programs_say_it_in_one_line(root: Path, tmp_path: Path) -> None:
    model, weights = save(tmp_path, RandomNetwork(3).net)
    (tmp_path / "cut.caffemodel").write_bytes(weights.read_bytes()[:-7])
    (tmp_path / "huge.prototxt").write_text(INPUT.format("dim: 1 dim: 2147483647"))
    (tmp_path / "deep.prototxt").write_text("layer {" * 100_000)
    (tmp_path / "plan.json").write_text('{"format": 1, "layers": [1e999]}')
    state = SolverState(learned_net="a" * 5000)
    set_blob(state.history.add(), np.zeros(3, np.float32))
    write_state(tmp_path / "s.solverstate", state)
    hdf5(tmp_path / "loop.caffemodel.h5", lambda file: file.create_dataset("data/c/00", data=[1.0]))
    out = tmp_path / "out"
    prune = ["tools/prune.py", "--criterion", "l1", "--ratio", "0.5", "--out", out]
    for command in (
        [*prune, "--model", model, "--weights", tmp_path / "cut.caffemodel"],
        [*prune, "--model", model, "--weights", tmp_path / "loop.caffemodel.h5"],
        [*prune, "--model", tmp_path / "huge.prototxt", "--weights", weights],
        [*prune, "--model", tmp_path / "deep.prototxt", "--weights", weights],
        ["tools/convert_snapshot.py", "--plan", tmp_path / "plan.json", "--snapshot", tmp_path / "s.solverstate",
         "--out", out],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, *map(str, command)], cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1 and len(done.stderr) < 1000, done.stderr
        assert not out.exists()


# Thousands of them


def test_a_few_damaged_inputs(tmp_path: Path) -> None:
    counts = run_bounded(300, 1, tmp_path / "bases")
    assert min(counts.values()) > 10  # neither all nor nothing: the damage reaches deep


@pytest.mark.slow
def test_ten_thousand_damaged_inputs(tmp_path: Path) -> None:
    counts = run_bounded(10_000, 2, tmp_path / "bases")
    assert sum(counts.values()) == 10_000


def main() -> None:
    """What the process with the bounded address space does."""
    cases, seed, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    warnings.simplefilter("ignore")
    folder.mkdir(parents=True)
    print(json.dumps(run(cases, seed, folder)))


if __name__ == "__main__":
    main()
