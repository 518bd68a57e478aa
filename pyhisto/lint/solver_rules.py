"""The traps in solvers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pyhisto.devices.check import fault
from pyhisto.errors import InputError
from pyhisto.graph import layers_in_phase
from pyhisto.lenient import unknown_fields
from pyhisto.lint.data import batch_size, read_source
from pyhisto.lint.rules import RuleBook, Trap
from pyhisto.proto import TEST, TRAIN, Net, SolverParameter, read_net
from pyhisto.prototext import Document
from pyhisto.training.solver import solver_cards

MAX_WEIGHT_DECAY = 0.05
MAX_RATE = 1.0
POLICIES = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power",),
    "sigmoid": ("gamma", "stepsize"),
}
"""Caffe's learning-rate policies and the fields that each reads."""

OLD_TYPES = {0: "SGD", 1: "Nesterov", 2: "AdaGrad", 3: "RMSProp", 4: "AdaDelta", 5: "Adam"}
ADAPTIVE = frozenset({"AdaGrad", "RMSProp", "AdaDelta", "Adam"})


@dataclass(frozen=True)
class SolverFile:
    """A solver's file as the rules look at it. `root` is the folder that Caffe is started in."""

    path: Path
    solver: Any
    document: Document
    root: Path

    @property
    def type(self) -> str:
        """The solver's type, from the field of today or the older one."""
        old = self.solver.HasField("solver_type")
        return OLD_TYPES[self.solver.solver_type] if old else str(self.solver.type)

    @cached_property
    def nets(self) -> dict[str, Net | InputError]:
        """The networks' files that the solver names, read, or why they cannot be."""
        names = [name for name in (self.solver.net, self.solver.train_net, *self.solver.test_net) if name]
        nets: dict[str, Net | InputError] = {}
        for name in names:
            try:
                nets[name] = read_net(self.root / name, lenient=True)
            except InputError as error:
                nets[name] = error
            except ValueError:  # a name with a NUL in it
                nets[name] = InputError(f"{name!r}: not a file's name")
        return nets

    def layers(self, name: str, phase: int) -> list[Any]:
        """The layers of a network in a phase; none if it cannot be read."""
        net = self.nets.get(name)
        if net is None or isinstance(net, InputError):
            return []
        try:
            return [layer for layer, _ in layers_in_phase(net, phase)]
        except InputError:  # linting the network itself says why
            return []


book: RuleBook[SolverFile] = RuleBook()


@book.rule("net", "error", "src/caffe/solver.cpp (InitTrainNet)")
def net(solver: SolverFile) -> Iterator[Trap]:
    """A solver names exactly one training network, in net, train_net, net_param or train_net_param. Paths count from
    the folder that Caffe is started in, not from the solver's own."""
    settings = solver.solver
    named = [name for name in ("net", "train_net", "net_param", "train_net_param") if settings.HasField(name)]
    if len(named) != 1:
        yield solver.document.line, f"names {len(named)} training networks ({', '.join(named) or 'net is missing'})"
    for name, read in solver.nets.items():
        if isinstance(read, InputError):
            field = next(field for field in ("net", "train_net", "test_net") if name in solver.document.values(field))
            yield solver.document.line_of(field), str(read)


@book.rule("unknown-setting", "error", "src/caffe/util/upgrade_proto.cpp (ReadSolverParamsFromTextFileOrDie)")
def unknown_setting(solver: SolverFile) -> Iterator[Trap]:
    """A field that BVLC's Caffe does not have: it stops when it reads the file. It is misspelled, or a fork's."""
    for unknown in unknown_fields(solver.document, SolverParameter.DESCRIPTOR):
        yield unknown.line, f"{unknown.path} is no field of BVLC's Caffe"


@book.rule("weight-decay", "error", "src/caffe/solvers/sgd_solver.cpp (Regularize)")
def weight_decay(solver: SolverFile) -> Iterator[Trap]:
    """Caffe adds weight_decay x weight to every gradient. From about 0.05 on that outweighs the loss: the weights
    shrink to nothing, and the network predicts one class. Usual values are 0.0001 to 0.01. Below 0 the weights
    explode."""
    decay = solver.solver.weight_decay
    if not 0 <= decay < MAX_WEIGHT_DECAY:
        yield solver.document.line_of("weight_decay"), f"a weight_decay of {decay:g} cannot work"


@book.rule("rate", "error", "src/caffe/solvers/sgd_solver.cpp (GetLearningRate)")
def rate(solver: SolverFile) -> Iterator[Trap]:
    """base_lr is 0 if it is not written, and then nothing is learned. Below 0 the loss climbs; above 1 training
    diverges (except for AdaDelta, whose rate is 1 by design). A momentum of 1 or more never forgets: it diverges
    too."""
    settings = solver.solver
    if settings.base_lr <= 0:
        yield solver.document.line_of("base_lr"), f"a base_lr of {settings.base_lr:g} learns nothing"
    elif settings.base_lr > MAX_RATE:
        yield solver.document.line_of("base_lr"), f"a base_lr of {settings.base_lr:g} diverges"
    if not 0 <= settings.momentum < 1:
        yield solver.document.line_of("momentum"), f"a momentum of {settings.momentum:g} diverges"
    if settings.max_iter <= 0:
        yield solver.document.line_of("max_iter"), f"a max_iter of {settings.max_iter} trains nothing"


@book.rule("policy", "error", "BVLC/caffe issue 4946; src/caffe/solvers/sgd_solver.cpp (GetLearningRate)")
def policy(solver: SolverFile) -> Iterator[Trap]:
    """Every lr_policy reads fields of its own, which are 0 if they are not written: a stepsize of 0 divides by 0 (a
    floating point exception), a gamma of 0 stops learning at the first step, a power of 0 keeps poly and inv at
    base_lr. A first step at or behind max_iter never comes."""
    settings, document = solver.solver, solver.document
    line = document.line_of("lr_policy")
    if settings.lr_policy not in POLICIES:
        yield line, f"lr_policy '{settings.lr_policy}' is none of {', '.join(POLICIES)}"
        return
    for field in POLICIES[settings.lr_policy]:
        if not getattr(settings, field):
            yield (
                document.line_of(field) if document.named(field) else line,
                f"lr_policy {settings.lr_policy} needs {field}",
            )
    if settings.lr_policy in ("step", "multistep", "exp") and not 0 <= settings.gamma <= 1:
        yield document.line_of("gamma"), f"a gamma of {settings.gamma:g} lets the rate grow without end"
    if settings.lr_policy == "step" and settings.stepsize >= settings.max_iter > 0:
        message = f"the first step, at {settings.stepsize}, is not before max_iter {settings.max_iter}"
        yield document.line_of("stepsize"), message
    if settings.lr_policy == "multistep" and settings.stepvalue:
        if list(settings.stepvalue) != sorted(settings.stepvalue):
            yield document.line_of("stepvalue"), "the stepvalues do not rise: the later ones come too late"
        if settings.stepvalue[0] >= settings.max_iter > 0:
            message = f"the first step, at {settings.stepvalue[0]}, is not before max_iter {settings.max_iter}"
            yield document.line_of("stepvalue"), message


@book.rule("test-iter", "warning", "src/caffe/solver.cpp (InitTestNets and Test)")
def test_iter(solver: SolverFile) -> Iterator[Trap]:
    """A test pass reads test_iter batches, however many images there are: with fewer, part of the validation set is
    never looked at; with more, some images count twice. test_iter x batch size has to be the number of images. Every
    test network needs a test_iter of its own, and testing needs a test_interval above 0."""
    settings, document = solver.solver, solver.document
    line = document.line_of("test_iter")
    own = [*settings.test_net, *settings.test_net_param]
    if len(settings.test_iter) < len(own):
        yield line, f"{len(own)} test networks have {len(settings.test_iter)} test_iter"
    if settings.test_iter and settings.test_interval <= 0:
        yield document.line_of("test_interval"), "test_iter is given, but no test_interval above 0: Caffe stops"
    generic = [settings.net] * (len(settings.test_iter) - len(own))
    names = [None] * len(settings.test_net_param) + [*settings.test_net, *generic]
    for name, batches in zip(names, settings.test_iter, strict=False):
        yield from ((line, message) for message in _coverage(solver, name, batches))


def _coverage(solver: SolverFile, name: str | None, batches: int) -> Iterator[str]:
    for layer in solver.layers(name or "", TEST):
        source = read_source(layer, solver.root)
        if source is None:
            continue
        size, records = batch_size(layer), source.records
        seen = f"{batches} batches of {size} are {batches * size} of the {records} images of '{source.name}'"
        if batches * size < records:
            yield f"{seen}: {records - batches * size} are never looked at"
        elif batches * size >= records + size:
            yield f"{seen}: some count twice"
        return


@book.rule("snapshot", "warning", "src/caffe/solver.cpp (Step, Solve and CheckSnapshotWritePermissions)")
def snapshot(solver: SolverFile) -> Iterator[Trap]:
    """Without snapshot only the end of training is kept (with snapshot_after_train: false not even that), so that a
    crash or a full disk costs all of it. A snapshot interval above max_iter never comes. With snapshot, Caffe stops at
    once if snapshot_prefix is missing or its folder does not exist."""
    settings, document = solver.solver, solver.document
    if settings.snapshot <= 0:
        kept = "only the end of training" if settings.snapshot_after_train else "nothing"
        yield document.line_of("snapshot"), f"without a snapshot interval {kept} is kept"
        return
    if settings.snapshot > settings.max_iter > 0:
        message = f"a snapshot every {settings.snapshot} iterations never comes before max_iter {settings.max_iter}"
        yield document.line_of("snapshot"), message
    if not settings.snapshot_prefix:
        yield document.line_of("snapshot"), "snapshot is given, but no snapshot_prefix: Caffe stops"
    elif not (solver.root / settings.snapshot_prefix).parent.is_dir():
        folder = Path(settings.snapshot_prefix).parent
        yield (
            document.line_of("snapshot_prefix"),
            f"the folder '{folder}' of snapshot_prefix does not exist: Caffe stops",
        )


@book.rule("solver-mode", "warning", "tools/caffe.cpp (train); include/caffe/util/device_alternate.hpp (NO_GPU)")
def solver_mode(solver: SolverFile) -> Iterator[Trap]:
    """With solver_mode: GPU, Caffe stops as soon as it reads the solver if it was built for the CPU alone, if there is
    no card of the number device_id, or none that it has code for. That is found out for the Caffe and the cards of the
    machine on which this is looked at; if there is no Caffe, nothing is said. Write solver_mode: CPU, or train where
    there is a card. Without the field `caffe train` runs on the CPU."""
    try:
        cards = solver_cards(solver.solver)
        found = fault(cards) if cards else None
    except InputError:  # there is no Caffe here
        return
    if found:
        yield solver.document.line_of("solver_mode"), f"GPU, but {found[0]}"


@book.rule("batch-norm-decay", "warning", "src/caffe/layers/batch_norm_layer.cpp (LayerSetUp); BVLC/caffe issue 5120")
def batch_norm_decay(solver: SolverFile) -> Iterator[Trap]:
    """Versions of Caffe that do not mask BatchNorm's statistics decay them like weights. With SGD and L2 their three
    blobs shrink alike, and mean and variance stay right; an adaptive solver (AdaGrad, RMSProp, AdaDelta, Adam) or L1
    changes each by its own amount, and they come out wrong. Use SGD or Nesterov with L2, or a weight_decay of 0."""
    settings = solver.solver
    uneven = solver.type in ADAPTIVE or settings.regularization_type == "L1"
    name = settings.net or settings.train_net
    if uneven and settings.weight_decay and any(layer.type == "BatchNorm" for layer in solver.layers(name, TRAIN)):
        how = "L1" if settings.regularization_type == "L1" else solver.type
        yield (
            solver.document.line_of("weight_decay"),
            f"weight decay with {how} may spoil the statistics of BatchNorm layers",
        )
