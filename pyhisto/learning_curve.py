"""What a training run reported, kept as JSON lines, and drawn: loss and accuracy over iterations."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyhisto.errors import InputError
from pyhisto.files import parse_json, reading, whole_file
from pyhisto.manifest import LMDBS, MONITOR

TRAIN_COLOUR, TEST_COLOUR, ACCURACY_COLOUR = "#9aa5b1", "#c2410c", "#1d4ed8"


@dataclass(frozen=True)
class Point:
    """One report of the training program."""

    iteration: int
    phase: Literal["train", "test"]
    loss: float | None = None
    """In the train phase over the batches since the last report, as the solver averages it; NaN where it diverged."""
    lr: float | None = None
    accuracy: float | None = None
    """Of the test net, as a fraction; of its last Accuracy layer where it has several."""
    split: str | None = None
    """Of the test phase: the images that were tested on, val, test or monitor; None: not known."""
    seconds: float = 0.0
    """Since this run of the program began."""


def read_points(path: Path) -> list[Point]:
    """Read a metrics file (JSON lines). A last line that was cut short by a kill is passed over."""
    try:
        with reading(path):
            lines = Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a metrics file (JSON lines)") from None
    points = []
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            break
        try:
            points.append(_point(parse_json(line.encode(), path, constants=True)))
        except (InputError, ValueError, TypeError, KeyError):
            raise InputError(f"{path} line {number}: not a metrics line") from None
    return points


def to_line(point: Point) -> str:
    """A point as one JSON line. Loss may be NaN or Infinity, as Python's json writes them."""
    fields = {key: value for key, value in asdict(point).items() if value is not None}
    return json.dumps({**fields, "seconds": round(point.seconds, 3)}) + "\n"


def draw(loss: Axes, points: Sequence[Point], title: str) -> None:
    """Draw losses (left axis) and the accuracy of Caffe's test phase in percent (right axis) over the iterations.

    The test phase is called by its images: validation, or monitor, which is of training images as they are.
    """
    tested = {"val": "validation", MONITOR: MONITOR}.get(tested_on(points) or "", "test")
    train, test = _series(points, "train", "loss"), _series(points, "test", "loss")
    # Before BatchNorm has seen much, a test loss can be a hundred times what follows, which would flatten all the rest.
    top = 1.15 * max([*train[1], 2 * median(test[1]) if test[1] else 0.0, 0.1])
    loss.plot(*train, color=TRAIN_COLOUR, linewidth=1, label="train loss")
    if test[0]:
        label = f"{tested} loss" if max(test[1]) <= top else f"{tested} loss (highest cut off)"
        loss.plot(*test, color=TEST_COLOUR, linewidth=1.5, marker="o", markersize=3, label=label)
    loss.set(xlabel="iteration", ylabel="loss")
    loss.set_title(title, pad=24, parse_math=False)  # the legend lies between title and axes, where it hides nothing
    loss.set_ylim(0, top)
    loss.locator_params(axis="x", nbins=6)
    loss.grid(alpha=0.25)
    handles, labels = loss.get_legend_handles_labels()
    rates = _series(points, "test", "accuracy")
    if rates[0]:
        right = loss.twinx()
        percent = [100 * rate for rate in rates[1]]
        (line,) = right.plot(
            rates[0],
            percent,
            color=ACCURACY_COLOUR,
            linewidth=1.5,
            marker="s",
            markersize=3,
            label=f"{tested} accuracy",
        )
        right.set(ylabel=f"{tested} accuracy, %", ylim=(0, 102))
        handles, labels = [*handles, line], [*labels, line.get_label()]
    loss.legend(
        handles,
        labels,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.99),
        ncols=3,
        fontsize="small",
        frameon=False,
    )


def tested_on(points: Sequence[Point]) -> str | None:
    """The split of the images of all tests; None if there is no test, or they are not known to be of one split."""
    splits = {point.split for point in points if point.phase == "test"}
    return splits.pop() if len(splits) == 1 else None


def save_curve(path: Path, points: Sequence[Point], title: str) -> None:
    """Write the learning curve as a PNG, whole or not at all; the same points give the same bytes."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    draw(figure.subplots(), points, title)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=110, metadata={"Software": None})


def _series(points: Sequence[Point], phase: str, value: str) -> tuple[list[int], list[float]]:
    pairs = [(p.iteration, getattr(p, value)) for p in points if p.phase == phase]
    pairs = [(iteration, number) for iteration, number in pairs if number is not None and math.isfinite(number)]
    return [iteration for iteration, _ in pairs], [number for _, number in pairs]


def _point(value: Any) -> Point:
    if value["phase"] not in ("train", "test") or type(value["iteration"]) is not int:
        raise ValueError
    numbers = {key: value[key] for key in ("loss", "lr", "accuracy", "seconds") if key in value}
    split = value.get("split")
    if split not in (None, *LMDBS):
        raise ValueError
    numbers = {key: float(number) for key, number in numbers.items()}
    return Point(value["iteration"], value["phase"], split=split, **numbers)
