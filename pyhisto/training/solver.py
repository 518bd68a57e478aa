"""A solver's prototxt, checked before Caffe sees it: what Caffe would find out late, or say at length."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyhisto.devices.check import require_cards
from pyhisto.errors import InputError
from pyhisto.graph import layers_in_phase
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.proto import TEST, TRAIN, Net, SolverParameter, read_net, read_solver

NOT_LEARNED_FROM = (
    ("net", "train_net", "test_net", "max_iter", "display", "average_loss", "debug_info", "solver_mode", "device_id")
    + ("test_iter", "test_interval", "test_initialization", "test_compute_loss", "layer_wise_reduce")
    + ("snapshot", "snapshot_prefix", "snapshot_after_train", "snapshot_format", "snapshot_diff")
)  # fmt: skip
"""The solver's fields that say how long to train, what to show and where to keep it, and not what is learned."""

WHERE = "relative paths start from the folder in which the program is run"


@dataclass(frozen=True)
class Solver:
    """What training needs to know of a solver."""

    path: Path
    max_iter: int
    base_lr: float
    prefix: str
    """snapshot_prefix: snapshots are <prefix>_iter_N.caffemodel and .solverstate."""
    nets: tuple[Path, ...]
    tests: bool
    """Whether it has a test net."""
    accuracy: str | None
    """The test net's output that is its accuracy: the top of its last Accuracy layer."""
    shares: tuple[float, ...]
    """The accuracies of naming one class for every test image, by class; empty where the classes are not known."""
    slack: float
    """By how much these can be off: a test reads whole batches, so that it may read some images twice."""
    depends_on: Mapping[str, str]
    """What decides the trained weights (solver's settings, networks, data) -> SHA-256."""
    cards: tuple[int, ...]
    """The card that it asks for; empty: it trains on the CPU."""
    tested_on: str | None
    """Which images the test net reads, val, test or monitor (training images); None where the data do not say."""


def check_solver(path: Path) -> Solver:
    """Read a solver and check that its networks and their data are there.

    Paths in prototxts are taken as Caffe takes them: relative to the working directory. Raises InputError.
    """
    solver = read_solver(path)
    if solver.max_iter <= 0:
        raise InputError(f"{path}: max_iter is {solver.max_iter}; give the number of iterations to train")
    if not solver.snapshot_prefix:
        raise InputError(f"{path}: no snapshot_prefix; say where the trained weights go")
    if not solver.snapshot_after_train and (solver.snapshot == 0 or solver.max_iter % solver.snapshot):
        raise InputError(f"{path}: would not keep its last weights; take out snapshot_after_train: false")
    nets = []
    depends_on = {"the solver's settings": _settings_sha256(solver)}
    accuracy = None
    shares: tuple[float, ...] = ()
    slack = 0.0
    tested_on = None
    for file, net in _nets(solver, path):
        for layer in net.layer:
            _check_sources(layer, file)
            if layer.type == "Data":
                data = LmdbFolder(Path(layer.data_param.source))
                depends_on[f"the data {layer.data_param.source}"] = data.sha256()
                if _is_for_test(layer) and solver.test_iter:
                    shares, slack = _shares(data, solver.test_iter[0] * layer.data_param.batch_size)
                    tested_on = _split(data)
            if layer.type == "Accuracy" and layer.top:
                accuracy = layer.top[0]
        if file != path:
            nets.append(file)
            depends_on[f"the network {file}"] = _sha256(net.SerializeToString(deterministic=True))
    tests = bool(solver.test_iter)
    return Solver(
        path, solver.max_iter, solver.base_lr, solver.snapshot_prefix, tuple(nets), tests, accuracy, shares, slack,
        depends_on, solver_cards(solver), tested_on,
    )  # fmt: skip


def solver_cards(solver: Any) -> tuple[int, ...]:
    """The card that a SolverParameter asks for, as `caffe train` reads it; empty: it trains on the CPU.

    The schema's default is GPU, but `caffe train` does not take a field that is not written for one (tools/caffe.cpp).
    """
    gpu = solver.HasField("solver_mode") and solver.solver_mode == SolverParameter.GPU
    return (solver.device_id,) if gpu else ()


def check_python_layers(path: Path, cards: int) -> None:
    """Raise InputError where several cards are to train a network that has a Python layer.

    `caffe train` does not run it then, and aborts (python_layer.hpp): each card's thread would need the interpreter.
    """
    solver = read_solver(path)
    trained = {solver.train_net or solver.net, str(path)}
    for file, net in _nets(solver, path):
        if str(file) not in trained:
            continue
        for layer, _ in layers_in_phase(net, TRAIN, source=file):
            if layer.type == "Python":
                raise InputError(
                    f"{file}: has the Python layer '{layer.name}', which does not run on {cards} cards: generate the "
                    "network with --sep native, or train on one card"
                )


def require_solver_cards(path: Path) -> None:
    """Raise InputError where a solver asks for a card that Caffe cannot use here."""
    require_cards(solver_cards(read_solver(path)), f"{path}: solver_mode is GPU", "write solver_mode: CPU")


def _nets(solver: Any, path: Path) -> Iterator[tuple[Path, Net]]:
    """The solver's networks, each with the file that holds it."""
    files = [name for name in (solver.net, solver.train_net, *solver.test_net) if name]
    inline = [getattr(solver, field) for field in ("net_param", "train_net_param") if solver.HasField(field)]
    if not files and not inline:
        raise InputError(f'{path}: names no network; give net: "train_val.prototxt"')
    for name in dict.fromkeys(files):
        if not Path(name).is_file():
            raise InputError(f"{path}: its network {name} is not there; {WHERE}")
        yield Path(name), read_net(Path(name))
    for net in [*inline, *solver.test_net_param]:
        yield path, net


def _check_sources(layer: Any, net: Path) -> None:
    """Raise InputError where a file or LMDB that a layer reads is not there."""
    where = f"{net}: layer '{layer.name}'"
    if layer.type == "Data":
        source = Path(layer.data_param.source)
        if layer.data_param.backend == layer.data_param.LMDB and not LmdbFolder(source).exists:
            raise InputError(f"{where}: there is no LMDB at {source}; build it, or see that {WHERE}")
    for parameters in ("image_data_param", "hdf5_data_param", "window_data_param"):
        if layer.HasField(parameters) and not Path(getattr(layer, parameters).source).is_file():
            raise InputError(f"{where}: its source {getattr(layer, parameters).source} is not there; {WHERE}")
    mean = layer.transform_param.mean_file
    if mean and not Path(mean).is_file():
        raise InputError(f"{where}: its mean_file {mean} is not there; {WHERE}")


def _settings_sha256(solver: Any) -> str:
    learned_from = type(solver)()
    learned_from.CopyFrom(solver)
    for field in NOT_LEARNED_FROM:
        learned_from.ClearField(field)
    return _sha256(learned_from.SerializeToString(deterministic=True))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_for_test(layer: Any) -> bool:
    return not layer.include or any(not rule.HasField("phase") or rule.phase == TEST for rule in layer.include)


def _shares(data: LmdbFolder, read: int) -> tuple[tuple[float, ...], float]:
    """The classes' shares of an LMDB's images, and how far a test that reads so many records may be off them."""
    try:
        shares, records = data.shares(), data.records()
    except InputError:
        return (), 0.0  # a damaged preprocessing.json: a warning less
    return (shares, (read % records) / read) if shares and records and read else ((), 0.0)


def _split(data: LmdbFolder) -> str | None:
    """Which split of its images an LMDB holds, if it says so."""
    try:
        return data.split
    except InputError:
        return None
