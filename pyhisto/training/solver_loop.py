"""Training in pycaffe, for methods that act between the forward pass, the gradient and the update.

One iteration of Caffe's solver (solver.cpp, Solver::Step) is: test if it is time, `on_start`, forward and backward
(iter_size times), `on_gradients_ready`, ApplyUpdate (clipping, weight decay and momentum, on the weights that the net
then holds), snapshot. A `TrainingMethod` hangs on the two callbacks. Testing and snapshots are done here and not by the
solver: it would test the weights that it updates, which need not be the weights that a method deploys.

A run that was stopped or killed goes on exactly: weights, history and the method's own state come from the newest whole
snapshot, the layers that read data are run forward to where they were (nothing else is computed meanwhile), and the
random numbers of an iteration (dropout) depend on the seed and the iteration alone.
"""

import json
import math
import shutil
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pyhisto import caffe_child, pycaffe, watched
from pyhisto.caffe_child import ChildEndedError, run_in_child
from pyhisto.errors import InputError
from pyhisto.files import exclusive, whole_file, write_text
from pyhisto.learning_curve import Point
from pyhisto.proto import SolverParameter, layer_blobs, read_solver, read_weights, to_text
from pyhisto.pycaffe import CaffeNet
from pyhisto.training.collapse import Collapse
from pyhisto.training.record import Record
from pyhisto.training.run import Run, TrainingOutcome, Watch
from pyhisto.training.signals import catch_stop
from pyhisto.training.snapshots import Snapshot, newest_whole, remove_older
from pyhisto.training.solver import Solver, check_solver, require_solver_cards, solver_cards

MODEL, SOLVER, SNAPSHOTS = "model.caffemodel", "solver.prototxt", "snapshots"

UNWRITTEN = ("Caffe cannot write it", "is the disk full? make room, and run the same command again")
ENDED = ("Caffe ended the training", "correct what it complains of, and run the same command again")

NEVER = 2**31 - 1
"""A test_interval for the solver itself; with test nets it must be above 0."""


class TrainingMethod(Protocol):
    """What is done to a network while it trains. The defaults do nothing."""

    name: str
    """Names the snapshots, and the settings in what errors say."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides the result, as JSON: a run does not go on from snapshots of other settings."""

    def configure(self, solver: Any, path: Path) -> None:
        """Called first, with the SolverParameter of `path`: may change what Caffe gets. Raises InputError."""
        return None

    def attach(self, net: CaffeNet, solver: Any) -> None:
        """Called once: the training net and its SolverParameter. Raises InputError if they do not do."""

    def begin(self, net: CaffeNet) -> None:
        """The net holds the weights to start from."""
        return None

    def load(self, net: CaffeNet, path: Path) -> None:
        """Go on, in place of `begin`: read what `save` wrote. Raises InputError."""
        return None

    def save(self, path: Path) -> None:
        """Write what of the method's own state a resumed run needs, whole or not at all."""
        return None

    def on_start(self, net: CaffeNet, iteration: int) -> None:
        """Before the forward passes of an iteration; `net` holds the weights as updated."""
        return None

    def on_gradients_ready(self, net: CaffeNet) -> None:
        """After the backward passes, whose gradients are summed in the diffs; the update works on what it leaves."""
        return None

    def deployed(self, net: CaffeNet) -> AbstractContextManager[None]:
        """While it lasts, the net holds the weights that are tested and written at the end."""
        return nullcontext()

    def rate(self, iteration: int) -> float | None:
        """The learning rate of an iteration, if the method and not the solver decides it."""
        return None

    def status(self, net: CaffeNet) -> str:
        """Where the method stands, for a person; empty: nothing to say."""
        return ""


def train(run: Run, method: TrainingMethod, watch: Watch, iterations: int | None = None) -> TrainingOutcome:
    """Train until the solver's max_iter (or `iterations`).

    Writes into the run's folder: model.caffemodel (what the method deploys), metrics.jsonl, learning_curve.png,
    run.json, solver.prototxt (as Caffe got it) and snapshots/. A solver without random_seed gets 0.

    Raises InputError if the input is at fault, Caffe refuses it, or the loss becomes NaN or infinite. SIGINT and
    SIGTERM write a snapshot and end.
    """
    require_solver_cards(run.solver)
    with exclusive(run.folder, watch.note):
        message = own_solver(run.solver, iterations, run.folder / SNAPSHOTS / method.name)
        method.configure(message, run.solver)
        checked = _checked(run.solver, message, method)
        record = Record(run.folder, checked, run.weights)
        snapshots = Path(message.snapshot_prefix).parent
        if snapshots.is_dir() and (run.restart or (run.restart_if_changed and record.changed())):
            shutil.rmtree(snapshots)
            watch.note(f"removed {snapshots}")
        start = newest_whole(message.snapshot_prefix, watch.note)
        if start is not None and (changed := record.changed()):
            raise InputError(f"{run.solver}: {changed} changed since {snapshots} was made: --restart begins anew")
        snapshots.mkdir(parents=True, exist_ok=True)
        own = run.folder / SOLVER
        write_text(own, to_text(message))
        return _Loop(own, message, checked, method, record, watch, run.keep).run(start, run.weights)


class _Loop:
    """One run of the program."""

    def __init__(
        self,
        path: Path,
        message: Any,
        checked: Solver,
        method: TrainingMethod,
        record: Record,
        watch: Watch,
        keep: int | None,
    ) -> None:
        self._solver, self._keep = open_solver(path, message), keep
        self._net = self._solver.net
        self._message, self._checked, self._method = message, checked, method
        self._record, self._watch = record, watch
        self._asked = read_solver(checked.path)
        self._collapse = Collapse(checked, watch.note)
        self._losses: deque[float] = deque(maxlen=max(1, message.average_loss))

    def run(self, start: Snapshot | None, weights: Path | None) -> TrainingOutcome:
        """Start or go on; train; write the result."""
        method, net, end = self._method, self._net, self._message.max_iter
        method.attach(net, self._message)
        already = start is not None and start.iteration >= end
        if start is None:
            if weights is not None:
                load_weights(net, weights)
            method.begin(net)
        else:
            self._solver.restore(str(start.state))
            method.load(net, self._own_state(start.iteration))
        if self._solver.test_nets:
            self._solver.test_nets[0].share_with(net)
        hang_on(method, self._solver)
        if not already:
            if start is not None:
                self._watch.note(f"resuming from {start.state}")
                self._replay(start.iteration)
            self._record.begin(self._solver.iter, Path(pycaffe.load().__file__))
            self._watch.begin(self._solver.iter, end)
            try:
                self._train(end)
            finally:
                self._record.draw()
        if self._solver.iter >= end:
            model = self._record.folder / MODEL
            with method.deployed(net), whole_file(model) as partial, watched.at(model, *UNWRITTEN):
                net.save(str(partial))
        self._tidy()
        done = newest_whole(self._message.snapshot_prefix, self._watch.note)
        if done is None:
            raise InputError(f"{self._checked.path}: Caffe wrote no whole snapshot; is the disk full?")
        return TrainingOutcome(done, already, stopped=self._solver.iter < end)

    def _train(self, end: int) -> None:
        """Iterate to the end, or to a signal."""
        first = self._solver.iter
        with catch_stop() as received:
            while True:
                iteration = self._solver.iter
                if self._is_test(iteration):
                    self._report(self._test(iteration))
                    if status := self._method.status(self._net):
                        self._watch.note(f"iteration {iteration}: {status}")
                if iteration == end or received:
                    self._snapshot()
                    return
                if iteration != first and self._asked.snapshot and iteration % self._asked.snapshot == 0:
                    self._snapshot()
                with watched.at(self._checked.path, *ENDED):
                    self._step(iteration)

    def _step(self, iteration: int) -> None:
        self._losses.append(step(self._solver, self._message.random_seed))
        rate = self._method.rate(iteration)
        if not math.isfinite(self._losses[-1]):
            lower = (
                f"base_lr (now {self._checked.base_lr:g})" if rate is None else f"the learning rate (now {rate:.3g})"
            )
            raise InputError(
                f"{self._checked.path}: the train loss is {self._losses[-1]} at iteration {iteration}: the training "
                f"diverged; lower {lower}, then run it again with --restart"
            )
        if self._asked.display and iteration % self._asked.display == 0:
            self._report(Point(iteration, "train", loss=sum(self._losses) / len(self._losses), lr=rate))

    def _is_test(self, iteration: int) -> bool:
        if not self._solver.test_nets:
            return False
        if iteration == self._message.max_iter:
            return True
        interval = self._asked.test_interval
        return bool(interval and iteration % interval == 0 and (iteration > 0 or self._asked.test_initialization))

    def _test(self, iteration: int) -> Point:
        """The first test net over its test_iter batches, with the weights that the method deploys."""
        net, batches, name = self._solver.test_nets[0], self._message.test_iter[0], self._checked.accuracy
        losses, rates = [], []
        with self._method.deployed(self._net):
            for _ in range(batches):
                net.forward()
                losses.append(_loss(net))
                if name in net.blobs:
                    rates.append(float(net.blobs[name].data))
        accuracy = sum(rates) / batches if rates else None
        return Point(iteration, "test", loss=sum(losses) / batches, accuracy=accuracy)

    def _report(self, point: Point) -> None:
        timed = self._record.add(point)
        self._watch.point(timed)
        self._collapse.look(timed)

    def _snapshot(self) -> None:
        """Caffe's two files hold what the solver updates; the method's own state is there before them."""
        self._method.save(self._own_state(self._solver.iter))
        with watched.at(Path(self._message.snapshot_prefix).parent, *UNWRITTEN):
            self._solver.snapshot()
        self._tidy()

    def _tidy(self) -> None:
        """Remove the snapshots before those that stay."""
        if self._keep is not None:
            remove_older(self._message.snapshot_prefix, self._keep)

    def _own_state(self, iteration: int) -> Path:
        return Path(f"{self._message.snapshot_prefix}_iter_{iteration}.state")

    def _replay(self, iteration: int) -> None:
        """Take from the data layers what the first `iteration` iterations and the tests before them took."""
        tests = sum(map(self._is_test, range(iteration)))
        nets = [(self._net, iteration * self._message.iter_size)]
        if tests:
            nets.append((self._solver.test_nets[0], tests * self._message.test_iter[0]))
        for net, passes in nets:
            sources = [layer for layer in range(len(net.layers)) if not len(net._bottom_ids(layer))]
            for _ in range(passes):
                for layer in sources:
                    net._forward(layer, layer)


def load_weights(net: CaffeNet, path: Path) -> None:
    """Put a caffemodel's blobs into the layers of the same names.

    Unlike Caffe's own copying, which aborts, raises InputError if shapes differ, or no layer is common.
    """
    stored = layer_blobs(read_weights(path))
    if not stored.keys() & net.params.keys():
        raise InputError(f"{path}: has no layer in common with the network; are they weights of this network?")
    for name in stored.keys() & net.params.keys():
        blobs, arrays = net.params[name], stored[name]
        shapes, given = [b.data.shape for b in blobs], [a.shape for a in arrays]
        if [_plain(shape) for shape in shapes] != [_plain(shape) for shape in given]:
            raise InputError(f"{path}: layer '{name}' has blobs of {given}, the network's are {shapes}")
        for blob, array in zip(blobs, arrays, strict=True):
            blob.data[...] = array.reshape(blob.data.shape)


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without leading axes of 1: old files give every blob four axes."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def own_solver(path: Path, iterations: int | None, prefix: Path) -> Any:
    """The SolverParameter for Caffe: the user's, but that tests, display and snapshots are left to this module."""
    message = read_solver(path)
    if iterations is not None:
        message.max_iter = iterations
    message.random_seed = max(message.random_seed, 0)
    message.test_interval, message.test_initialization = NEVER, False
    message.display = message.snapshot = 0
    message.snapshot_prefix = str(prefix)
    message.snapshot_format = SolverParameter.BINARYPROTO
    return message


def _checked(path: Path, message: Any, method: TrainingMethod) -> Solver:
    """The solver as checked, with the method's settings among what the result depends on."""
    checked = check_solver(path)
    settings = json.dumps(method.settings, sort_keys=True)
    depends_on = {**checked.depends_on, f"the settings of {method.name}": sha256(settings.encode()).hexdigest()}
    return replace(checked, max_iter=message.max_iter, prefix=message.snapshot_prefix, depends_on=depends_on)


def open_solver(path: Path, message: Any) -> Any:
    """Caffe's solver for the file `path`, which holds `message`. Raises InputError if Caffe refuses it."""
    caffe = pycaffe.load()
    cards = solver_cards(message)
    try:  # in a process of its own first: what Caffe refuses, it refuses by aborting
        run_in_child(caffe_child.open_solver, str(path), list(cards))
    except ChildEndedError as error:
        raise InputError(f"{path}: Caffe refuses it: {error}") from None
    for card in cards:
        caffe.set_device(card)
        caffe.set_mode_gpu()
    with pycaffe.runs(path):
        return caffe.get_solver(str(path))


def hang_on(method: TrainingMethod, solver: Any) -> None:
    """Have the solver call the method in each iteration.

    Caffe never frees its callbacks, so that these must not hold the solver or its net: Data layers of one name and
    source share one reader in a process, which waits for ever if a second net is made while there is a first.
    """
    reference = weakref.ref(solver)

    def alive() -> Any:
        return reference()

    solver.add_callback(
        lambda: method.on_start(alive().net, alive().iter), lambda: method.on_gradients_ready(alive().net)
    )


def step(solver: Any, seed: int) -> float:
    """One iteration; its loss, after the last of its forward passes.

    Seeded anew each time, so that an iteration does not depend on where the run was resumed.
    """
    pycaffe.load().set_random_seed(int(np.random.SeedSequence((seed, solver.iter)).generate_state(1)[0]))
    solver.step(1)
    return _loss(solver.net)


def _loss(net: CaffeNet) -> float:
    """The weighted losses of the last forward pass, summed."""
    return float(sum(net.blob_loss_weights[name] * net.blobs[name].data.sum() for name in net.outputs))
