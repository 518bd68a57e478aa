"""The learning rate range test (Smith 2017) as Kone & Boulmane 2018 use it, section 2.2, with fastai 0.7's numbers.

The rate rises by the same factor in every iteration. The loss is smoothed by an exponential mean of 0.98 with bias
correction; the run ends as soon as it is above 4 times the best that came after the first 10 iterations, or is no
number. The loss starts to diverge where the smoothed loss is lowest; a tenth of that rate is suggested.

Nothing that was learned on the way is kept: the weights that a training starts from stay as they are.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure

import pyhisto
from pyhisto.errors import InputError
from pyhisto.files import read_object, sha256, whole_file, whole_files, write_text
from pyhisto.learning_curve import Point
from pyhisto.proto import to_text
from pyhisto.training.record import WEIGHTS
from pyhisto.training.run import Watch
from pyhisto.training.scheduled_sgd import ScheduledSgd
from pyhisto.training.schedules import Ramp
from pyhisto.training.solver import check_solver, require_solver_cards
from pyhisto.training.solver_loop import SOLVER, hang_on, load_weights, open_solver, own_solver, step

SMOOTHING, SETTLED, DIVERGED, SHARE = 0.98, 10, 4.0, 0.1

RESULT, PICTURE = "lr.json", "lr.png"


@dataclass(frozen=True)
class Curve:
    """What a run found: a number an iteration in each."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    diverged: bool
    """The loss ended the run."""

    @property
    def divergence(self) -> float:
        """The learning rate from which on the smoothed loss is never again as low."""
        return self.rates[self._lowest]

    @property
    def suggestion(self) -> float:
        """The learning rate to train with."""
        return SHARE * self.divergence

    @property
    def fault(self) -> str | None:
        """Why nothing can be suggested, if so."""
        if not self.diverged and self._lowest == len(self.rates) - 1:
            return f"the loss still falls at a learning rate of {self.rates[-1]:.3g}; let the ramp end higher"
        if self.suggestion < self.rates[0]:
            return (
                f"the loss does not fall, or diverges from {self.divergence:.3g} on; let the ramp start lower, and see "
                f"that the last layers are not trained yet"
            )
        return None

    @property
    def _lowest(self) -> int:
        return min(range(SETTLED, len(self.smoothed)), key=lambda index: self.smoothed[index])


def follow(losses: Iterable[float]) -> Iterator[tuple[float, float]]:
    """Each loss with the smoothed one, until it diverges."""
    mean, best = 0.0, math.inf
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING**number)
        if not math.isfinite(smoothed) or smoothed > DIVERGED * best:
            return
        if number > SETTLED:
            best = min(best, smoothed)
        yield loss, smoothed


def find_rate(solver_path: Path, ramp: Ramp, watch: Watch, folder: Path, weights: Path | None = None) -> Curve:
    """Train along the ramp, and write what was found into `folder`: lr.json, lr.png, and Caffe's solver.prototxt.

    Raises InputError if the input is at fault, or nothing can be suggested.
    """
    require_solver_cards(solver_path)
    if ramp.iterations <= 2 * SETTLED:
        raise InputError(f"a ramp of {ramp.iterations} iterations is too short: give more than {2 * SETTLED}")
    method = ScheduledSgd(ramp)
    message = own_solver(solver_path, ramp.iterations, folder / "unused")
    for field in ("test_iter", "test_interval", "test_net", "test_state", "test_net_param"):
        message.ClearField(field)
    method.configure(message, solver_path)
    checked = check_solver(solver_path)
    write_text(folder / SOLVER, to_text(message))
    solver = open_solver(folder / SOLVER, message)
    method.attach(solver.net, message)
    if weights is not None:
        load_weights(solver.net, weights)
    hang_on(method, solver)
    watch.begin(0, ramp.iterations)
    pairs: list[tuple[float, float]] = []
    for pair in follow(step(solver, message.random_seed) for _ in range(ramp.iterations)):
        watch.point(Point(len(pairs), "train", loss=pair[1], lr=ramp.rate(len(pairs))))
        pairs.append(pair)
    if len(pairs) <= SETTLED:
        raise InputError(f"{solver_path}: the loss diverges at once; start below a learning rate of {ramp.start:g}")
    losses, smoothed = zip(*pairs, strict=True)
    rates = tuple(map(ramp.rate, range(len(pairs))))
    curve = Curve(rates, losses, smoothed, diverged=len(pairs) < ramp.iterations)
    started = {} if weights is None else {WEIGHTS: sha256(weights)}
    _write(folder, curve, {"ramp": asdict(ramp), "depends_on": {**checked.depends_on, **started}})
    if curve.fault:
        raise InputError(f"{solver_path}: {curve.fault} (see {folder / PICTURE})")
    return curve


def read_suggestion(path: Path) -> float:
    """The suggested learning rate of an lr.json. Raises InputError."""
    try:
        rate = float(read_object(path)["suggestion"])
    except (ValueError, KeyError, TypeError, OverflowError):
        raise InputError(f"{path}: suggests no learning rate; is it what tools/find_lr.py wrote?") from None
    if not (math.isfinite(rate) and rate > 0):
        raise InputError(f"{path}: suggests a learning rate of {rate}")
    return rate


def _write(folder: Path, curve: Curve, settings: dict[str, object]) -> None:
    found = {
        "suggestion": None if curve.fault else curve.suggestion,
        "divergence": None if curve.fault else curve.divergence,
        "diverged": curve.diverged,
        "pyhisto": pyhisto.__version__,
        **settings,
        "rates": curve.rates,
        "losses": curve.losses,
        "smoothed": curve.smoothed,
    }
    with whole_files(folder / PICTURE, folder / RESULT) as (picture, result):
        save_curve(picture, curve)
        write_text(result, json.dumps(found, indent=1) + "\n")


def save_curve(path: Path, curve: Curve) -> None:
    """Draw the losses over the learning rate as a PNG, whole or not at all; the same curve gives the same bytes."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.rates, curve.losses, color="#9aa5b1", linewidth=0.8, label="loss of a batch")
    axes.plot(curve.rates, curve.smoothed, color="#c2410c", linewidth=1.8, label="smoothed loss")
    if not curve.fault:
        axes.axvline(curve.divergence, color="#6b7280", linestyle=":", label=f"diverges: {curve.divergence:.3g}")
        axes.axvline(curve.suggestion, color="#1d4ed8", linestyle="--", label=f"suggested: {curve.suggestion:.3g}")
    lowest = min(curve.smoothed[SETTLED:])
    axes.set(xlabel="learning rate", ylabel="loss", xscale="log", ylim=(0, 1.6 * max(curve.smoothed[0], 2 * lowest)))
    axes.grid(alpha=0.25)
    figure.legend(loc="outside upper center", ncols=4, fontsize="small", frameon=False)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=110, metadata={"Software": None})
