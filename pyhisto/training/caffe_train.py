"""Training with the real `caffe train`: started, watched, recorded, resumed.

Caffe runs in the working directory, so that relative paths in prototxts mean what they mean to `caffe train` itself.
"""

import math
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pyhisto.caffe_program import caffe_environment, find_caffe, starts_from_weights
from pyhisto.devices.check import require_cards
from pyhisto.errors import InputError
from pyhisto.files import claimed, exclusive
from pyhisto.glog import PREFIX, failure
from pyhisto.learning_curve import Point
from pyhisto.proto import layer_blobs, read_net, read_solver, read_weights
from pyhisto.training.collapse import Collapse
from pyhisto.training.last_test import solver_of_last_test
from pyhisto.training.log import LogReader
from pyhisto.training.record import LOG, Record
from pyhisto.training.run import Run, TrainingOutcome, Watch
from pyhisto.training.signals import catch_stop
from pyhisto.training.snapshots import Snapshot, newest_whole, read_snapshot, remove_older, solver_states
from pyhisto.training.solver import Solver, check_python_layers, check_solver, require_solver_cards

ENDING_WITH_PARENT = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
"""Before Caffe's command: if this process is killed, Linux tells Caffe to write a snapshot and end."""


WRITES_SNAPSHOT = "Snapshotting to "
"""How the line begins by which Caffe says that it begins to write a snapshot."""


def default_folder(solver: Path) -> Path:
    """Where what is recorded goes if not said otherwise: <snapshot_prefix>_training. Raises InputError."""
    return Path(f"{read_solver(solver).snapshot_prefix}_training")


def train(run: Run, watch: Watch, snapshot: Path | None = None, cards: tuple[int, ...] = ()) -> TrainingOutcome:
    """Train until the solver's max_iter, and test the end.

    Args:
        run: see Run; its folder gets caffe.log, too.
        watch: is told what happens.
        snapshot: a solver state to go on from, instead of the newest, whatever has changed since.
        cards: the cards to train on, whatever the solver says; each takes batches of the size in the network's file.

    Raises InputError if the input is at fault, the loss becomes NaN or infinite, or Caffe fails. On SIGINT or SIGTERM
    Caffe writes a snapshot and ends; if this process is killed, too, and a later run waits for that.
    """
    solver = check_solver(run.solver)
    if cards:
        solver = _on_cards(solver, cards)
        require_cards(cards, f"--gpu {','.join(map(str, cards))}", "leave out --gpu")
    else:
        require_solver_cards(run.solver)
    caffe = find_caffe()
    if run.weights is not None:
        _check_weights(solver, run.weights, caffe)
    snapshots = Path(f"{solver.prefix}_iter")
    busy = f"another run writes the snapshots {snapshots}_*; wait for that one, or choose another snapshot_prefix"
    with exclusive(run.folder, watch.note) as lock, claimed(snapshots, f"{solver.path}: {busy}"):
        record = Record(run.folder, solver, run.weights)
        training = _Training(caffe, solver, record, watch, lock, run.keep)
        start = _find_start(run, snapshot, training)
        if start is not None and start.iteration >= solver.max_iter:
            if record.take_up():
                training.test(start)
            training.tidy()
            return TrainingOutcome(start, already=True, stopped=False)
        stopped = training.go_on(start) if start is not None else training.begin(run.weights)
        end = newest_whole(solver.prefix, watch.note)
        if end is None or (end.iteration < solver.max_iter and not stopped):
            told = f"See {run.folder / LOG}"
            raise InputError(f"{solver.path}: Caffe ended without a whole snapshot; is the disk full? {told}")
        if not stopped:
            training.test(end)
        training.tidy()
    return TrainingOutcome(end, already=False, stopped=stopped and end.iteration < solver.max_iter)


def _find_start(run: Run, given: Path | None, training: "_Training") -> Snapshot | None:
    """The snapshot to go on from; None: there is none, and the training begins.

    Raises InputError if something has changed since the snapshots were made, and `run` does not say what then.
    """
    solver, record, note = training.solver, training.record, training.watch.note
    if run.restart or (run.restart_if_changed and given is None and record.changed()):
        _remove_states(solver, note)
    start = read_snapshot(given) if given is not None else newest_whole(solver.prefix, note)
    if not (given or run.restart or run.restart_if_changed) and (changed := record.changed()):
        goes_on = f", --snapshot {start.state} goes on all the same" if start is not None else ""
        raise InputError(
            f"{solver.path}: {changed} changed since {run.folder} was trained: --restart begins anew{goes_on}; or "
            "choose another --out"
        )
    if start is None and run.weights is None and not run.restart and record.began_from_weights():
        raise InputError(
            f"{solver.path}: was begun from --weights and has no snapshot yet: give --weights again, or --restart to "
            "begin without them"
        )
    return start


@dataclass(frozen=True)
class _Training:
    """One training in its folder, which is this process's alone."""

    caffe: Path
    solver: Solver
    record: Record
    watch: Watch
    lock: int
    """The descriptor that holds the folder, also while Caffe runs."""
    keep: int | None
    """How many whole snapshots stay; None: all."""

    def begin(self, weights: Path | None) -> bool:
        """Train from the weights, or from the network's fillers; True if a signal ended it. Raises InputError."""
        if weights is None:
            return self._train(0)
        self.watch.note(f"starting from {weights}")
        return self._train(0, f"--weights={weights}")

    def go_on(self, start: Snapshot) -> bool:
        """Train from a snapshot; True if a signal ended it. Raises InputError."""
        self.watch.note(f"resuming from {start.state}")
        return self._train(start.iteration, f"--snapshot={start.state}")

    def test(self, end: Snapshot) -> None:
        """Test the trained network if it has tests and no test of it is recorded yet."""
        if not self.solver.tests or self.record.has_test(end.iteration):
            return
        with solver_of_last_test(self.solver.path, end) as path:
            self._run(path, self.solver.cards[:1], f"--snapshot={end.state}")

    def tidy(self) -> None:
        """Remove the snapshots before those that stay."""
        if self.keep is not None:
            remove_older(self.solver.prefix, self.keep)

    def _train(self, iteration: int, *options: str) -> bool:
        Path(f"{self.solver.prefix}_").parent.mkdir(parents=True, exist_ok=True)
        self.record.begin(iteration, self.caffe)
        self.watch.begin(iteration, self.solver.max_iter)
        return self._run(self.solver.path, self.solver.cards, *options)

    def _run(self, solver: Path, cards: tuple[int, ...], *options: str) -> bool:
        """Run Caffe to its end; True if a signal ended it. Raises InputError on failure and on divergence."""
        gpu = [f"--gpu={','.join(map(str, cards))}"] if cards else []
        reader = LogReader(self.solver.accuracy)
        tail: deque[str] = deque(maxlen=400)
        collapse = Collapse(self.solver, self.watch.note)
        # A session of its own: Ctrl-C reaches this program alone, which passes it on once.
        process = subprocess.Popen(
            [*ENDING_WITH_PARENT, str(self.caffe), "train", f"--solver={solver}", *gpu, *options],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=caffe_environment(),
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=[self.lock],
        )
        assert process.stderr is not None
        try:
            with (
                catch_stop(lambda: process.send_signal(signal.SIGINT), process.kill) as signals,
                self.record.log() as log,
            ):
                for line in process.stderr:
                    log.write(line)
                    tail.append(line)
                    self._take(reader.feed(line), collapse)
                    if PREFIX.sub("", line).startswith(WRITES_SNAPSHOT):
                        self.tidy()  # all that are there before it are complete
                self._take(reader.finish(), collapse)
                code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            self.record.draw()
        if signals and code in (0, -signal.SIGINT):  # the second: before Caffe had installed its handler
            return True
        if code != 0:
            told = f"exit {code}; all of it: {self.record.folder / LOG}"
            raise InputError(f"caffe train failed: {failure(tail)} ({told})")
        return False

    def _take(self, points: Iterable[Point], collapse: Collapse) -> None:
        """Record and show what Caffe reported. Raises InputError if the training diverged."""
        for point in points:
            timed = self.record.add(point)
            self.watch.point(timed)
            collapse.look(timed)
            if point.loss is not None and not math.isfinite(point.loss):
                raise InputError(
                    f"{self.solver.path}: the {point.phase} loss is {point.loss} at iteration {point.iteration}: the "
                    f"training diverged; lower base_lr (now {self.solver.base_lr:g}), then run it again with --restart"
                )


def _on_cards(solver: Solver, cards: tuple[int, ...]) -> Solver:
    """The solver, to train on these cards. Raises InputError if Caffe cannot train its network on several."""
    if len(cards) == 1:
        return replace(solver, cards=cards)
    check_python_layers(solver.path, len(cards))
    # Each card adds a batch to an iteration: with another number of them another training.
    return replace(solver, cards=cards, depends_on={**solver.depends_on, "the number of cards": str(len(cards))})


def _remove_states(solver: Solver, note: Callable[[str], None]) -> None:
    """Remove the solver states of the prefix: a later run would resume from them."""
    for state in solver_states(solver.prefix):
        state.unlink()
        note(f"removed {state}")


def _check_weights(solver: Solver, weights: Path, caffe: Path) -> None:
    """Raise InputError if Caffe would begin from noise instead of these weights, silently.

    It does so if no layer of theirs is in the network, and some forks of Caffe always do.
    """
    held = set(layer_blobs(read_weights(weights)))
    named = {layer.name for net in solver.nets for layer in read_net(net).layer}
    if solver.nets and not held & named:
        raise InputError(f"{weights}: has no layer in common with {solver.nets[0]}; are they weights of this network?")
    if not starts_from_weights(caffe):
        raise InputError(
            f"{caffe}: this Caffe ignores --weights and would start from noise; use the one that `make setup` "
            "builds (unset CAFFE_ROOT), or another build of BVLC's Caffe"
        )
