"""Training with the real `caffe train`: started, watched, recorded, resumed.

Caffe runs in the working directory, so that relative paths in prototxts mean what they mean to `caffe train` itself.
"""

import json
import math
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pyhisto
from pyhisto.errors import InputError
from pyhisto.files import sha256, write_text
from pyhisto.learning_curve import Point, read_points, save_curve, to_line
from pyhisto.proto import layer_blobs, read_net, read_weights
from pyhisto.training.caffe_program import caffe_environment, find_caffe
from pyhisto.training.log import LogReader, failure, points_of_log
from pyhisto.training.snapshots import Snapshot, newest_whole, read_snapshot, solver_states
from pyhisto.training.solver import Solver, check_solver

METRICS, CURVE, LOG, RECORD = "metrics.jsonl", "learning_curve.png", "caffe.log", "run.json"

DRAW_EVERY = 20.0
"""Seconds between two drawings of the curve while training; a drawing takes a few tenths of one."""

COLLAPSED_TESTS = 3
"""Tests in a row with the accuracy of naming one class, after which a network is taken to do so."""


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
    folder: Path | None = None,
) -> Outcome:
    """Train until the solver's max_iter, from the newest whole snapshot of its prefix where there is one.

    Args:
        solver_path: the solver's prototxt.
        watch: is told what happens.
        weights: a caffemodel to start from, where no snapshot is.
        snapshot: a solver state to go on from, instead of the newest.
        restart: begin anew. The solver states of the prefix are removed, or the next run would resume from them.
        folder: for metrics.jsonl, learning_curve.png, caffe.log and run.json; see `default_folder`.

    Raises InputError where the input is at fault, the loss becomes NaN or infinite, or Caffe fails. On SIGINT or
    SIGTERM Caffe writes a snapshot and ends.
    """
    solver = check_solver(solver_path)
    caffe = find_caffe()
    if weights is not None:
        _check_common_layers(solver, weights)
    folder = folder or default_folder(solver)
    start = _start(solver, snapshot, restart, watch.note)
    record = _Record(folder, solver)
    if start is not None:
        record.check_weights(weights)
        if start.iteration >= solver.max_iter:
            return Outcome(start, already=True, stopped=False)
        watch.note(f"resuming from {start.state}")
    Path(f"{solver.prefix}_").parent.mkdir(parents=True, exist_ok=True)
    record.begin(start.iteration if start else 0, caffe, weights)
    watch.begin(start.iteration if start else 0, solver.max_iter)

    command = [str(caffe), "train", f"--solver={solver.path}"]
    if start is not None:
        command.append(f"--snapshot={start.state}")
    elif weights is not None:
        command.append(f"--weights={weights}")
    stopped = _run(command, solver, record, watch)

    end = newest_whole(solver.prefix, watch.note)
    if end is None or (end.iteration < solver.max_iter and not stopped):
        raise InputError(f"{solver.path}: Caffe ended without a whole snapshot; is the disk full? See {folder / LOG}")
    return Outcome(end, already=False, stopped=stopped and end.iteration < solver.max_iter)


def _start(solver: Solver, snapshot: Path | None, restart: bool, note: Callable[[str], None]) -> Snapshot | None:
    if snapshot is not None:
        return read_snapshot(snapshot)
    if restart:
        for state in solver_states(solver.prefix):
            state.unlink()
            note(f"removed {state}")
        return None
    return newest_whole(solver.prefix, note)


def _run(command: list[str], solver: Solver, record: "_Record", watch: Watch) -> bool:
    """Run Caffe to its end; True if a signal ended it. Raises InputError on failure and on divergence."""
    reader = LogReader(solver.accuracy)
    tail: deque[str] = deque(maxlen=400)
    collapse = _Collapse(solver, watch.note)

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


class _Record:
    """The training's folder: metrics, curve, Caffe's log, and what was trained from what."""

    def __init__(self, folder: Path, solver: Solver) -> None:
        self.folder = folder
        self._solver = solver
        self._began = self._drawn = time.monotonic()
        self._points: list[Point] = []

    def check_weights(self, weights: Path | None) -> None:
        """Raise InputError where the snapshots to go on from were trained from other weights than those asked for."""
        path = self.folder / RECORD
        if weights is None or not path.is_file():
            return
        if _read_record(path).get("weights_sha256") != sha256(weights):
            raise InputError(
                f"{weights}: the snapshots of {self._solver.prefix} were not trained from these weights; "
                "--restart passes over them"
            )

    def begin(self, iteration: int, caffe: Path, weights: Path | None) -> None:
        """Begin, or go on: what an earlier run reported from `iteration` on, after its last snapshot, is dropped."""
        self.folder.mkdir(parents=True, exist_ok=True)
        metrics = self.folder / METRICS
        if iteration:
            self._points = [point for point in self._reported() if point.iteration < iteration]
        write_text(metrics, "".join(map(to_line, self._points)))
        path = self.folder / RECORD
        before = _read_record(path) if iteration and path.is_file() else {}
        settings = {
            "program": "train",
            "pyhisto": pyhisto.__version__,
            "caffe": str(caffe),
            "solver": str(self._solver.path),
            "solver_sha256": sha256(self._solver.path),
            "nets": {str(net): sha256(net) for net in self._solver.nets},
            "weights": str(weights) if weights else before.get("weights"),
            "weights_sha256": sha256(weights) if weights else before.get("weights_sha256"),
            "resumed_from_iteration": iteration,
        }
        write_text(path, json.dumps(settings, indent=2) + "\n")
        if not iteration:
            (self.folder / LOG).unlink(missing_ok=True)

    def _reported(self) -> list[Point]:
        """What earlier runs reported; from Caffe's log where a workflow took the metrics away with a failed job."""
        if (self.folder / METRICS).is_file():
            return read_points(self.folder / METRICS)
        if (self.folder / LOG).is_file():
            return points_of_log((self.folder / LOG).read_text(encoding="utf-8"), self._solver.accuracy)
        return []

    def log(self) -> Any:
        """Caffe's log, open at its end."""
        return open(self.folder / LOG, "a", encoding="utf-8", buffering=1)

    def add(self, point: Point) -> Point:
        """Record a point, with its time; draw the curve now and then."""
        now = time.monotonic()
        point = replace(point, seconds=now - self._began)
        self._points.append(point)
        with open(self.folder / METRICS, "a", encoding="utf-8") as file:
            file.write(to_line(point))
        if now - self._drawn > DRAW_EVERY:
            self.draw()
            self._drawn = time.monotonic()
        return point

    def draw(self) -> None:
        """Draw the learning curve."""
        if self._points:
            save_curve(self.folder / CURVE, self._points, Path(self._solver.prefix).name)


class _Collapse:
    """Notices, once, a network that names one class for every image: its test accuracy stays that class's share.

    Where the classes' shares are not known, an accuracy that does not move at all is taken for that.
    """

    def __init__(self, solver: Solver, note: Callable[[str], None]) -> None:
        self._solver = solver
        self._note = note
        self._rates: deque[float] = deque(maxlen=COLLAPSED_TESTS)
        self._told = False

    def look(self, point: Point) -> None:
        """Take in a point."""
        if self._told or point.phase != "test" or point.accuracy is None:
            return
        self._rates.append(point.accuracy)
        found = self._one_class() if len(self._rates) == COLLAPSED_TESTS else None
        if found is not None:
            self._told = True
            self._note(
                f"warning: the test accuracy was {100 * point.accuracy:.1f}% in {COLLAPSED_TESTS} tests in a row, as "
                f"if the network named {found} for every image; check base_lr, the labels and the mean"
            )

    def _one_class(self) -> str | None:
        if self._solver.shares:
            for number, share in enumerate(self._solver.shares):
                if share < 1 and all(abs(rate - share) <= self._solver.slack + 1e-4 for rate in self._rates):
                    return f"class {number}"
            return None
        return "one class" if len(set(self._rates)) == 1 and self._rates[0] < 0.99 else None


def _check_common_layers(solver: Solver, weights: Path) -> None:
    """Raise InputError where no layer of the weights is in the network: Caffe would start from noise, silently."""
    held = set(layer_blobs(read_weights(weights)))
    named = {layer.name for net in solver.nets for layer in read_net(net).layer}
    if solver.nets and not held & named:
        raise InputError(f"{weights}: has no layer in common with {solver.nets[0]}; are they weights of this network?")


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None
    if not isinstance(record, dict):
        raise InputError(f"{path}: damaged; remove it, or run with --restart")
    return record
