"""What the parts of a run take on this machine: images as they are prepared, networks, the start of a program."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dry_run import last_line
from speeds import Network, Speed, Times, seconds_of, time_on_cpu
from study import option_words

from data_prep.lmdbs.augment import COPIES
from data_prep.lmdbs.build import record_pixels
from data_prep.lmdbs.writer import Spool, encode_record
from pyhisto.cost import as_json, layer_costs
from pyhisto.errors import InputError
from pyhisto.features.extract import extract_image
from pyhisto.graph import Graph
from pyhisto.manifest import Row
from pyhisto.preprocessing import encoding
from pyhisto.preprocessing import stain as stains
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.patches import RANDOM_PATCHES
from pyhisto.preprocessing.recipe import INTERPOLATIONS, MAX_SIZE, Cut, Preprocessing
from pyhisto.proto import TRAIN, NetParameter, read_net, read_solver, to_text

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Prepared:
    """What becomes of one image, cut in one way."""

    patches: int
    train: float
    """Seconds until a training image, augmented, is records."""
    plain: float
    """The same of an image as it is."""
    copies: int
    """How many records a patch of a training image gives."""
    record: float
    """Bytes of a record in the LMDB."""


@dataclass(frozen=True)
class Length:
    """Of a training."""

    iterations: int
    tests: int
    snapshots: int


@dataclass(frozen=True)
class Trained:
    """A network and its training."""

    times: Times
    times_here: Times | None
    """On this machine's CPU; None: not measured."""
    on_card: bool
    batch: int
    iterations: int
    tests: int
    snapshots: int
    learned: int
    """Bytes of all weights that the training network holds."""
    layers: int
    """Bytes of what else a caffemodel holds: the layers' settings."""
    files: int
    """Bytes of its prototxts."""
    train_val: int
    """Bytes of the one that trains: Caffe's log repeats it."""


def start_of_a_program() -> float:
    """Seconds until a program of the project has read its command line."""
    command = [sys.executable, str(ROOT / "tools/cost.py"), "--help"]
    return min(seconds_of(lambda: subprocess.run(command, capture_output=True, check=True)) for _ in range(3))


def prepare(cut: Cut, settings: Mapping[str, Any], example: Path, default_size: int = 224) -> Prepared:
    """Make one image's records as build_lmdb.py does with these settings. Raises InputError."""
    image = read_image(example)
    method = one_of(settings, "stain", ("reinhard", "none", *stains.METHODS))
    stain = None if method == "none" else stains.target([stains.measure(image, method)], method, "itself")
    size, interpolation = (
        whole_number(settings, "size", default_size),
        one_of(settings, "interpolation", [*INTERPOLATIONS]),
    )
    if not 1 <= size <= MAX_SIZE:
        raise InputError(f"the config's size: {size} is not from 1 to {MAX_SIZE}")
    record = one_of(settings, "record", (encoding.DEFAULT, *encoding.ENCODINGS))
    random = whole_number(settings, "random-patches", RANDOM_PATCHES)
    recipe = Preprocessing(cut, size, stain=stain, interpolation=interpolation, record=record, random_patches=random)
    copies = whole_number(settings, "augment", COPIES)
    made: list[bytes] = []

    def make(copies: int) -> None:
        row = Row(example.name, 0)
        made[:] = [
            encode_record(pixels, 0, recipe.record)
            for _, pixels in record_pixels(row, example.parent, recipe, copies, 0)
        ]

    train = min(seconds_of(lambda: make(copies)) for _ in range(2))
    plain = min(seconds_of(lambda: make(0)) for _ in range(2))
    return Prepared(len(made), train, plain, max(1, copies), _stored(made))


def _stored(records: Sequence[bytes]) -> float:
    """Bytes that such a record takes in an LMDB, by one of some hundred."""
    number = max(1, 256 // len(records)) * len(records)
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder, "spool"), number)
        for rank in range(number):
            spool.add(rank, "image", records[rank % len(records)])
        spool.write_lmdb(Path(folder, "lmdb"))
        spool.close()
        return Path(folder, "lmdb", "data.mdb").stat().st_size / number


def describe(example: Path, descriptors: Sequence[str]) -> tuple[float, int]:
    """Seconds of an image's hand-crafted features, once the first has made its tables; how many numbers they are."""
    found: dict[str, Any] = {}
    seconds = min(seconds_of(lambda: found.update(extract_image(example, descriptors))) for _ in range(2))
    return seconds, sum(len(values) for values in found.values())


def generate(kind: str, settings: Mapping[str, Any], folder: Path) -> Network:
    """The network that generate.py makes, ready to be timed. Raises InputError."""
    command = [sys.executable, str(ROOT / "prototxt/generate.py"), kind, *option_words(settings), "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(last_line(done.stderr))
    deploy, train_val = read_net(folder / "deploy.prototxt"), read_net(folder / "train_val.prototxt")
    batch = next(layer.data_param.batch_size for layer in train_val.layer if layer.type == "Data")
    deploy.layer[0].input_param.shape[0].dim[0] = batch
    timed = folder / "timed.prototxt"
    timed.write_text(to_text(deploy), encoding="utf-8")
    return Network(timed, batch, as_json(layer_costs(Graph.build(deploy, source=timed)))["total"]["flops"])


def train(network: Network, speed: Speed, cpu_too: bool = False) -> Trained:
    """What a generated network and its training take. `cpu_too`: it also is timed on this machine's CPU."""
    folder = network.deploy.parent
    net = read_net(folder / "train_val.prototxt")
    times = speed.times(network)
    here = times if not speed.on_card else time_on_cpu(network) if cpu_too else None
    prototxts = [path for path in folder.glob("*.prototxt") if path != network.deploy]
    return Trained(
        times,
        here,
        speed.on_card,
        network.batch,
        **vars(length_of(network)),
        learned=4 * learned_weights(net, network),
        layers=net.ByteSize(),
        files=sum(path.stat().st_size for path in prototxts),
        train_val=(folder / "train_val.prototxt").stat().st_size,
    )


def length_of(network: Network) -> Length:
    """How long a generated network's solver trains."""
    solver = read_solver(network.deploy.parent / "solver.prototxt")
    tests = solver.max_iter // solver.test_interval + 1 if solver.test_interval else 0
    return Length(solver.max_iter, tests, solver.max_iter // solver.snapshot if solver.snapshot else 1)


def learned_weights(net: Any, network: Network) -> int:
    """How many numbers the training network's layers hold, auxiliary heads included."""
    fed = NetParameter()
    fed.CopyFrom(net)
    shape = read_net(network.deploy).layer[0].input_param.shape[0].dim
    graph = Graph.build(fed, TRAIN, input_shapes={"data": tuple(shape)}, source=network.deploy)
    return sum(layer.cost.weights for layer in layer_costs(graph, partial=True))


def whole_number(settings: Mapping[str, Any], name: str, default: int) -> int:
    """A number of a config's section. Raises InputError where it is none, or out of all proportion."""
    value = settings.get(name, default)
    if name in settings and (type(value) is not int or not 0 <= value <= 10**6):
        raise InputError(f"the config's {name}: {str(value)[:60]!r} is not a whole number up to a million")
    return int(value)


def one_of(settings: Mapping[str, Any], name: str, choices: Sequence[str]) -> Any:
    """A choice of a config's section, the first if it says nothing. Raises InputError where it is none of them."""
    value = settings.get(name, choices[0])
    if value not in choices:
        raise InputError(f"the config's {name}: {str(value)[:60]!r} is none of {', '.join(choices)}")
    return value
