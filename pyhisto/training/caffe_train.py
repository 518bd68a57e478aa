"""Training with the real `caffe train`: started, watched, recorded, resumed.

Caffe runs in the working directory, so that relative paths in prototxts mean what they mean to `caffe train` itself.
"""

import math
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from pyhisto.caffe_program import caffe_environment, find_caffe, starts_from_weights
from pyhisto.devices.check import require_cards
from pyhisto.errors import InputError
from pyhisto.files import claimed, exclusive
from pyhisto.glog import failure
from pyhisto.learning_curve import Point
from pyhisto.proto import layer_blobs, read_net, read_weights
from pyhisto.training.collapse import Collapse
from pyhisto.training.last_test import solver_of_last_test
from pyhisto.training.log import LogReader
from pyhisto.training.record import LOG, Record
from pyhisto.training.snapshots import Snapshot, newest_whole, read_snapshot, solver_states
from pyhisto.training.solver import Solver, check_python_layers, check_solver, require_solver_cards

ENDING_WITH_PARENT = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
"""Before Caffe's command: where this process is killed, Linux tells Caffe to write a snapshot and end."""


@dataclass(frozen=True)
class Watch:
    """Where progress goes; the program shows it."""

    begin: Callable[[int, int], None]
    """(iteration to start from, max_iter)"""
    point: Callable[[Point], None]
    note: Callable[[str], None]
    """A line for the user."""


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    snapshot: Snapshot
    """The newest whole snapshot: the trained weights, where `stopped` is false."""
    already: bool
    """It had finished before: nothing was run."""
    stopped: bool
    """A signal stopped it early."""


def default_folder(solver: Solver) -> Path:
    """Where the log, metrics and curve go if not said otherwise: <snapshot_prefix>_training."""
    return Path(f"{solver.prefix}_training")


def train(
    solver_path: Path,
    watch: Watch,
    *,
    weights: Path | None = None,
    snapshot: Path | None = None,
    restart: bool = False,
    restart_if_changed: bool = False,
    folder: Path | None = None,
    cards: tuple[int, ...] = (),
) -> Outcome:
    """Train until the solver's max_iter, from the newest whole snapshot of its prefix where there is one; test the end.

    Args:
        solver_path: the solver's prototxt.
        watch: is told what happens.
        weights: a caffemodel to start from, where no snapshot is.
        snapshot: a solver state to go on from, instead of the newest.
        restart: begin anew. The solver states of the prefix are removed, or the next run would resume from them.
        restart_if_changed: begin anew where the snapshots are of other settings, networks, data or weights; else that
            is an error. (A given `snapshot` is gone on from whatever has changed.)
        folder: for metrics.jsonl, learning_curve.png, caffe.log and run.json; see `default_folder`.
        cards: the cards to train on, whatever the solver says; each takes batches of the size in the network's file.

    Raises InputError where the input is at fault, the loss becomes NaN or infinite, or Caffe fails. On SIGINT or
    SIGTERM Caffe writes a snapshot and ends; where this process is killed, too, and a later run waits for that.
    """
    solver = check_solver(solver_path)
    if cards:
        solver = _on_cards(solver, cards)
        require_cards(cards, f"--gpu {','.join(map(str, cards))}", "leave out --gpu")
    else:
        require_solver_cards(solver_path)
    if weights is not None:
        _check_common_layers(solver, weights)
        if not starts_from_weights(caffe := find_caffe()):
            raise InputError(
                f"{caffe}: this Caffe ignores --weights and would start from noise; use the one that `make setup` "
                "builds (unset CAFFE_ROOT), or another build of BVLC's Caffe"
            )
    folder = folder or default_folder(solver)
    snapshots = Path(f"{solver.prefix}_iter")
    busy = f"another run writes the snapshots {snapshots}_*; wait for that one, or choose another snapshot_prefix"
    with exclusive(folder, watch.note) as lock, claimed(snapshots, f"{solver.path}: {busy}"):
        return _train(solver, folder, lock, watch, weights, snapshot, restart, restart_if_changed)


def _train(
    solver: Solver,
    folder: Path,
    lock: int,
    watch: Watch,
    weights: Path | None,
    snapshot: Path | None,
    restart: bool,
    restart_if_changed: bool,
) -> Outcome:
    caffe = find_caffe()
    record = Record(folder, solver, weights)
    if restart or (restart_if_changed and snapshot is None and record.changed()):
        _remove_states(solver, watch.note)
    start = read_snapshot(snapshot) if snapshot is not None else newest_whole(solver.prefix, watch.note)
    if not (snapshot or restart or restart_if_changed) and (changed := record.changed()):
        goes_on = f", --snapshot {start.state} goes on all the same" if start is not None else ""
        raise InputError(
            f"{solver.path}: {changed} changed since {folder} was trained: --restart begins anew{goes_on}; or choose "
            "another --out"
        )
    if start is not None:
        if start.iteration >= solver.max_iter:
            if record.take_up():
                _test_last(caffe, start, lock, solver, record, watch)
            return Outcome(start, already=True, stopped=False)
        watch.note(f"resuming from {start.state}")
    elif weights is not None:
        watch.note(f"starting from {weights}")
    elif not restart and record.began_from_weights():
        raise InputError(
            f"{solver.path}: was begun from --weights and has no snapshot yet: give --weights again, or --restart to "
            "begin without them"
        )
    Path(f"{solver.prefix}_").parent.mkdir(parents=True, exist_ok=True)
    record.begin(start.iteration if start else 0, caffe)
    watch.begin(start.iteration if start else 0, solver.max_iter)

    command = [*ENDING_WITH_PARENT, str(caffe), "train", f"--solver={solver.path}"]
    if solver.cards:
        command.append(f"--gpu={','.join(map(str, solver.cards))}")
    if start is not None:
        command.append(f"--snapshot={start.state}")
    elif weights is not None:
        command.append(f"--weights={weights}")
    stopped = _run(command, lock, solver, record, watch)

    end = newest_whole(solver.prefix, watch.note)
    if end is None or (end.iteration < solver.max_iter and not stopped):
        raise InputError(f"{solver.path}: Caffe ended without a whole snapshot; is the disk full? See {folder / LOG}")
    if not stopped:
        _test_last(caffe, end, lock, solver, record, watch)
    return Outcome(end, already=False, stopped=stopped and end.iteration < solver.max_iter)


def _on_cards(solver: Solver, cards: tuple[int, ...]) -> Solver:
    """The solver, to train on these cards. Raises InputError where Caffe cannot train its network on several."""
    if len(cards) == 1:
        return replace(solver, cards=cards)
    check_python_layers(solver.path, len(cards))
    # Each card adds a batch to an iteration: with another number of them another training.
    return replace(solver, cards=cards, depends_on={**solver.depends_on, "the number of cards": str(len(cards))})


def _test_last(caffe: Path, end: Snapshot, lock: int, solver: Solver, record: Record, watch: Watch) -> None:
    """Test the trained network if it has tests and no test of it is recorded yet."""
    if not solver.tests or record.has_test(end.iteration):
        return
    with solver_of_last_test(solver.path, end) as path:
        command = [*ENDING_WITH_PARENT, str(caffe), "train", f"--solver={path}", f"--snapshot={end.state}"]
        if solver.cards:
            command.append(f"--gpu={solver.cards[0]}")
        _run(command, lock, solver, record, watch)


def _remove_states(solver: Solver, note: Callable[[str], None]) -> None:
    """Remove the solver states of the prefix: a later run would resume from them."""
    for state in solver_states(solver.prefix):
        state.unlink()
        note(f"removed {state}")


def _run(command: list[str], lock: int, solver: Solver, record: Record, watch: Watch) -> bool:
    """Run Caffe to its end; True if a signal ended it. Raises InputError on failure and on divergence."""
    reader = LogReader(solver.accuracy)
    tail: deque[str] = deque(maxlen=400)
    collapse = Collapse(solver, watch.note)

    def take(points: Iterator[Point]) -> None:
        for point in points:
            timed = record.add(point)
            watch.point(timed)
            collapse.look(timed)
            if point.loss is not None and not math.isfinite(point.loss):
                raise InputError(
                    f"{solver.path}: the {point.phase} loss is {point.loss} at iteration {point.iteration}: the "
                    f"training diverged; lower base_lr (now {solver.base_lr:g}), then run it again with --restart"
                )

    # A session of its own: Ctrl-C reaches this program alone, which passes it on once.
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=caffe_environment(),
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=[lock],
    )
    assert process.stderr is not None
    try:
        with _passing_signals_to(process) as signals, record.log() as log:
            for line in process.stderr:
                log.write(line)
                tail.append(line)
                take(reader.feed(line))
            take(reader.finish())
            code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        record.draw()
    if signals and code in (0, -signal.SIGINT):  # the second: before Caffe had installed its handler
        return True
    if code != 0:
        raise InputError(f"caffe train failed: {failure(tail)} (exit {code}; all of it: {record.folder / LOG})")
    return False


@contextmanager
def _passing_signals_to(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """While it lasts, SIGINT and SIGTERM make Caffe snapshot and stop; a second one kills it. Yields those received."""
    received: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            process.send_signal(signal.SIGINT)
        else:
            process.kill()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_common_layers(solver: Solver, weights: Path) -> None:
    """Raise InputError where no layer of the weights is in the network: Caffe would start from noise, silently."""
    held = set(layer_blobs(read_weights(weights)))
    named = {layer.name for net in solver.nets for layer in read_net(net).layer}
    if solver.nets and not held & named:
        raise InputError(f"{weights}: has no layer in common with {solver.nets[0]}; are they weights of this network?")
