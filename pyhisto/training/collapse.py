"""A network that has come to name one class for every image: accuracy that looks like learning, and is none."""

from collections import deque
from collections.abc import Callable

from pyhisto.learning_curve import Point
from pyhisto.training.solver import Solver

COLLAPSED_TESTS = 3
"""Tests in a row with the accuracy of naming one class, after which a network is taken to do so."""


class Collapse:
    """Notices, once, a network that names one class for every image: its test accuracy stays that class's share.

    If the classes' shares are not known, an accuracy that does not move at all is taken for that.
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
