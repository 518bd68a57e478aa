"""Caffe's training log, line by line, as points of a learning curve."""

import re
from collections.abc import Iterator

from pyhisto.glog import PREFIX
from pyhisto.learning_curve import Point

_ITERATION = re.compile(
    r"Iteration (\d+)(?: \([^)]*\))?, (.*)"
)  # some Caffes add the speed: (2.1 iter/s, 47s/100 iters)
_OUTPUT = re.compile(r"\s*Test net output #\d+: (.+) = (\S+?)(?: \(\* \S+ = (\S+) loss\))?$")
_TEST_LOSS = re.compile(r"Test loss: (\S+)$")
_ENDS_TEST = ("Snapshotting", "Optimization", "Test interrupted")


class LogReader:
    """Reads the log of one `caffe train` run. `accuracy` names the test net's output that is its accuracy, if any.

    Of several test nets the first one counts.
    """

    def __init__(self, accuracy: str | None = None) -> None:
        self._accuracy_name = accuracy
        self._train: tuple[int, float] | None = None
        self._test: int | None = None
        self._ignored_net = False
        self._rate: float | None = None
        self._losses: list[float] = []

    def feed(self, line: str) -> Iterator[Point]:
        """Take in one line; yield the points that it completes."""
        text = PREFIX.sub("", line.rstrip())
        if match := _ITERATION.match(text):
            yield from self._iteration(int(match[1]), match[2])
        elif self._test is not None and not self._ignored_net:
            if match := _OUTPUT.match(text):
                self._output(match)
            elif (match := _TEST_LOSS.match(text)) and not self._losses:
                pass  # the sum of the weighted outputs says the same
            elif text.startswith(_ENDS_TEST):
                yield from self.finish()

    def finish(self) -> Iterator[Point]:
        """Yield what the log's end, or the next report, completes."""
        if self._train is not None:
            yield Point(self._train[0], "train", loss=self._train[1])
            self._train = None
        if self._test is not None and (self._losses or self._rate is not None):
            yield Point(self._test, "test", loss=sum(self._losses) if self._losses else None, accuracy=self._rate)
        self._test, self._rate, self._losses = None, None, []

    def _iteration(self, iteration: int, rest: str) -> Iterator[Point]:
        if rest.startswith("lr = ") and self._train is not None and self._train[0] == iteration:
            yield Point(iteration, "train", loss=self._train[1], lr=float(rest[5:]))
            self._train = None
            return
        if rest.startswith("Testing net (#") and not rest.startswith("Testing net (#0)"):
            yield from self.finish()
            self._ignored_net = True
            return
        yield from self.finish()
        self._ignored_net = False
        if rest.startswith("loss = "):
            self._train = (iteration, float(rest[7:]))
        elif rest.startswith("Testing net"):
            self._test = iteration

    def _output(self, match: re.Match[str]) -> None:
        name, value, weighted = match.groups()
        if weighted is not None:
            self._losses.append(float(weighted))
        elif name == self._accuracy_name:
            self._rate = float(value)
