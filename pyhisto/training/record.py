"""The folder of a training: its metrics, its curve, Caffe's log, and what it was trained from."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyhisto.errors import InputError
from pyhisto.files import read_object, sha256, write_text, writing
from pyhisto.learning_curve import Point, read_points, save_curve, to_line
from pyhisto.training.solver import Solver
from pyhisto.versions import versions

WEIGHTS = "the weights to start from"

METRICS, CURVE, LOG, RECORD = "metrics.jsonl", "learning_curve.png", "caffe.log", "run.json"

DRAW_EVERY = 20.0
"""Seconds between two drawings of the curve while training; a drawing takes a few tenths of one."""


class Record:
    """The training's folder: metrics, curve, Caffe's log, and what was trained from what."""

    def __init__(self, folder: Path, solver: Solver, weights: Path | None) -> None:
        self.folder = folder
        self._solver = solver
        self._weights = weights
        self._began = self._drawn = time.monotonic()
        self._points: list[Point] = []

    def changed(self) -> str | None:
        """What of the solver, networks, data and weights is not what an earlier run's record says; None: nothing."""
        path = self.folder / RECORD
        if not path.is_file():
            return None
        before, now = _read_record(path), self._depends_on()
        # To resume a training it need not be said again which weights it began from.
        ignored = WEIGHTS if self._weights is None else None
        differing = (what for what in {**now, **before} if before.get(what) != now.get(what))
        return next((what for what in differing if what != ignored), None)

    def began_from_weights(self) -> bool:
        """Whether an earlier run's record says that it began from given weights."""
        path = self.folder / RECORD
        return path.is_file() and WEIGHTS in _read_record(path)

    def _depends_on(self) -> dict[str, str]:
        own = {} if self._weights is None else {WEIGHTS: sha256(self._weights)}
        return {**self._solver.depends_on, **own}

    def begin(self, iteration: int, caffe: Path) -> None:
        """Begin, or go on: what an earlier run reported from `iteration` on, after its last snapshot, is dropped."""
        self.folder.mkdir(parents=True, exist_ok=True)
        metrics = self.folder / METRICS
        if iteration and metrics.is_file():
            self._points = [point for point in read_points(metrics) if point.iteration < iteration]
        write_text(metrics, "".join(map(to_line, self._points)))
        path = self.folder / RECORD
        depends_on = self._depends_on()
        if iteration and self._weights is None and path.is_file():
            depends_on.update({what: value for what, value in _read_record(path).items() if what == WEIGHTS})
        settings = {
            "program": "train",
            "caffe": str(caffe),
            "solver": str(self._solver.path),
            "depends_on": depends_on,
            "resumed_from_iteration": iteration,
            "versions": versions(),
        }
        write_text(path, json.dumps(settings, indent=2) + "\n")
        if not iteration:
            (self.folder / LOG).unlink(missing_ok=True)

    def take_up(self) -> bool:
        """Go on behind all that an earlier run recorded; False if there is nothing."""
        metrics = self.folder / METRICS
        self._points = read_points(metrics) if metrics.is_file() else []
        return bool(self._points)

    def has_test(self, iteration: int) -> bool:
        """Whether a test of that iteration is recorded."""
        return any(point.phase == "test" and point.iteration == iteration for point in self._points)

    def log(self) -> Any:
        """Caffe's log, open at its end."""
        return open(self.folder / LOG, "a", encoding="utf-8", buffering=1)

    def add(self, point: Point) -> Point:
        """Record a point, with its time; draw the curve now and then."""
        now = time.monotonic()
        split = self._solver.tested_on if point.phase == "test" else None
        point = replace(point, seconds=now - self._began, split=split)
        self._points.append(point)
        with writing(self.folder / METRICS), open(self.folder / METRICS, "a", encoding="utf-8") as file:
            file.write(to_line(point))
        if now - self._drawn > DRAW_EVERY:
            self.draw()
            self._drawn = time.monotonic()
        return point

    def draw(self) -> None:
        """Draw the learning curve."""
        if self._points:
            save_curve(self.folder / CURVE, self._points, Path(self._solver.prefix).name)


def _read_record(path: Path) -> dict[str, str]:
    """What an earlier training depended on."""
    try:
        return {str(what): str(value) for what, value in read_object(path)["depends_on"].items()}
    except (InputError, KeyError, AttributeError):
        raise InputError(f"{path}: damaged, or of an older program; remove it, or run with --restart") from None
