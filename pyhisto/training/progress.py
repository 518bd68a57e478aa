"""A training's progress for a person: a bar on a terminal, a line now and then in a log file."""

import sys
import time

from tqdm import tqdm

from pyhisto.learning_curve import Point
from pyhisto.training.run import Watch

LINE_EVERY = 15.0
"""Seconds between two lines if there is no terminal."""


class Progress:
    """Shows iteration, loss, test accuracy, learning rate and remaining time on stderr.

    `time_limit` (seconds): says, as soon as it can be seen, that the run will not finish within it.
    """

    def __init__(self, time_limit: float | None = None) -> None:
        self._limit = time_limit
        self._bar: tqdm[None] | None = None
        self._shown: dict[str, str] = {}
        self._last: Point | None = None
        self._first = self._total = 0
        self._began = self._printed = time.monotonic()

    def watch(self) -> Watch:
        """What `train` calls."""
        return Watch(self.begin, self.point, self.note)

    def begin(self, first: int, total: int) -> None:
        """The training starts at iteration `first`."""
        self._first, self._total = first, total
        self._began = time.monotonic()
        self._bar = tqdm(initial=first, total=total, unit="it", disable=None, dynamic_ncols=True)

    def point(self, point: Point) -> None:
        """Caffe reported something."""
        if point.loss is not None:
            self._shown["loss" if point.phase == "train" else "test loss"] = f"{point.loss:.4f}"
        if point.accuracy is not None:
            self._shown["test"] = f"{100 * point.accuracy:.1f}%"
        if point.lr is not None:
            self._shown["lr"] = f"{point.lr:.3g}"
        self._check_time(point)
        if self._bar is None:
            return
        if not self._bar.disable:
            self._bar.set_postfix(self._shown, refresh=False)
            self._bar.update(point.iteration - self._bar.n)
        elif time.monotonic() - self._printed > LINE_EVERY:
            left = self._remaining(point)
            self._line(point, f", {tqdm.format_interval(int(left))} left" if left is not None else "")
        self._last = point

    def note(self, text: str) -> None:
        """A line of its own, above the bar."""
        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """The bar stays as it is; without one, a last line says how it ended."""
        if self._bar is None:
            return
        if self._bar.disable and self._last is not None:
            self._line(self._last, "")
        self._bar.close()

    def _line(self, point: Point, remaining: str) -> None:
        self._printed = time.monotonic()
        shown = ", ".join(f"{name} {value}" for name, value in self._shown.items())
        self.note(f"iteration {point.iteration} of {self._total}{remaining}: {shown}")

    def _remaining(self, point: Point) -> float | None:
        """Seconds until max_iter at the present speed."""
        done = point.iteration - self._first
        return (time.monotonic() - self._began) * (self._total - point.iteration) / done if done > 0 else None

    def _check_time(self, point: Point) -> None:
        left = self._remaining(point)
        if self._limit is None or left is None:
            return
        needed = time.monotonic() - self._began + left
        if needed > self._limit:
            self.note(
                f"warning: at this speed the training takes {tqdm.format_interval(int(needed))} and not the "
                f"{tqdm.format_interval(int(self._limit))} it has; it can be stopped (Ctrl-C) and resumed at any time"
            )
            self._limit = None
