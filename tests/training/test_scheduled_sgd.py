"""SGD at a schedule's learning rates on real Caffe, compared with numpy; and resumed in the middle of a cycle."""

import math
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyhisto.errors import InputError
from pyhisto.learning_curve import read_points
from pyhisto.proto import layer_blobs, read_weights
from pyhisto.training.run import Run
from pyhisto.training.scheduled_sgd import ScheduledSgd
from pyhisto.training.schedules import Ramp, WarmRestarts
from pyhisto.training.solver_loop import TrainingMethod, train
from tests.hdf5_toy import Hdf5Toy, losses, make_toy, softmax_loss, two_layers
from tests.silent import SILENT

LAYERS = """
layer {
  name: "ip1" type: "InnerProduct" bottom: "x" top: "ip1"
  param { lr_mult: 0.5 decay_mult: 3 } param { lr_mult: 2 decay_mult: 0 } inner_product_param { num_output: 8 }
}
layer { name: "tanh" type: "TanH" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param { num_output: 3 } }
"""
RATES = {("ip1", 0): (0.5, 3), ("ip1", 1): (2, 0), ("ip2", 0): (1, 1), ("ip2", 1): (1, 1)}
"""lr_mult and decay_mult of LAYERS; Caffe's default is 1."""


@pytest.fixture
def toy(tmp_path: Path) -> Hdf5Toy:
    return make_toy(tmp_path)


def test_restarts_by_hand() -> None:
    schedule = WarmRestarts(0.8, cycle=4, mult=2)
    # T = 4: 0.4 (1 + cos(0, 45, 90, 135 degrees)); then T = 8.
    half = math.sqrt(0.5)
    assert [schedule.rate(t) for t in range(5)] == pytest.approx(
        [0.8, 0.4 * (1 + half), 0.4, 0.4 * (1 - half), 0.8], rel=1e-12
    )
    assert schedule.rate(4 + 4) == pytest.approx(0.4) and schedule.rate(4 + 8) == 0.8
    assert [schedule.end(cycles) for cycles in (0, 1, 2, 3)] == [0, 4, 12, 28]  # 4, 4 + 8, 4 + 8 + 16


@given(st.floats(1e-6, 100), st.integers(1, 40), st.integers(1, 3), st.integers(1, 4))
def test_every_cycle_falls_from_the_highest_rate(highest: float, cycle: int, mult: int, cycles: int) -> None:
    schedule = WarmRestarts(highest, cycle, mult)
    for number in range(cycles):
        rates = [schedule.rate(t) for t in range(schedule.end(number), schedule.end(number + 1))]
        assert rates[0] == highest and rates[-1] > 0
        assert all(before > after for before, after in pairwise(rates))
        # cos(x) + cos(pi - x) = 0: but for its first rate, a cycle's mean is half the highest.
        assert sum(rates) == pytest.approx(highest / 2 * (len(rates) + 1))


def test_ramp_by_hand() -> None:
    ramp = Ramp(6, start=1e-5, end=10)
    assert [ramp.rate(i) for i in range(6)] == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1])


def numpy_sgd(toy: Hdf5Toy, schedule: WarmRestarts, iterations: int) -> tuple[dict[str, list[Any]], list[float]]:
    """Plain SGD in float64 with momentum 0.9 and weight decay 0.01; the weights, and the losses of training."""
    w = {name: [np.asarray(array, np.float64) for array in arrays] for name, arrays in two_layers().items()}
    velocity = {name: [np.zeros_like(array) for array in arrays] for name, arrays in w.items()}
    means = []
    for iteration in range(iterations):
        gradient = {name: [np.zeros_like(array) for array in arrays] for name, arrays in w.items()}
        for number in (2 * iteration, 2 * iteration + 1):  # iter_size: 2
            x, y = toy.batch(number)
            hidden = np.tanh(x @ w["ip1"][0].T + w["ip1"][1])
            loss, slope = softmax_loss(hidden @ w["ip2"][0].T + w["ip2"][1], y)
            back = (slope @ w["ip2"][0]) * (1 - hidden**2)
            for name, parts in (("ip1", (back.T @ x, back.sum(0))), ("ip2", (slope.T @ hidden, slope.sum(0)))):
                for blob, part in enumerate(parts):
                    gradient[name][blob] += part / 2
        means.append(loss)
        for (name, blob), (multiplier, decay) in RATES.items():
            rate = schedule.rate(iteration) * multiplier
            velocity[name][blob] *= 0.9
            velocity[name][blob] += rate * (gradient[name][blob] + 0.01 * decay * w[name][blob])
            w[name][blob] -= velocity[name][blob]
    return w, means


@pytest.mark.caffe
def test_equals_numpy(toy: Hdf5Toy) -> None:
    schedule = WarmRestarts(0.2, cycle=16, mult=2)  # restarts at 16 and 48
    # The solver's own policy and rate do not count.
    solver, weights = toy.write(LAYERS, two_layers(), max_iter="100", stepsize="7", base_lr="5")
    train(Run(solver, toy.folder / "out", weights=weights), ScheduledSgd(schedule), SILENT)
    trained = layer_blobs(read_weights(toy.folder / "out/model.caffemodel"))
    expected, expected_losses = numpy_sgd(toy, schedule, 100)
    for name, arrays in expected.items():
        for blob, array in enumerate(arrays):
            assert np.abs(array - two_layers()[name][blob]).max() > 0.1  # it learned
            np.testing.assert_allclose(trained[name][blob], array, rtol=0, atol=1e-6)
    np.testing.assert_allclose(losses(toy.folder / "out", "train"), np.array(expected_losses), atol=1e-6)
    points = [point for point in read_points(toy.folder / "out/metrics.jsonl") if point.phase == "train"]
    assert [point.lr for point in points] == [schedule.rate(t) for t in range(100)]


SHARED = """
layer {
  name: "ip1" type: "InnerProduct" bottom: "x" top: "ip1"
  param { name: "w" lr_mult: 1 } inner_product_param { num_output: 6 bias_term: false }
}
layer {
  name: "again" type: "InnerProduct" bottom: "ip1" top: "again"
  param { name: "w" decay_mult: 0.5 } inner_product_param { num_output: 6 bias_term: false }
}
layer { name: "bn" type: "BatchNorm" bottom: "again" top: "bn" }
layer {
  name: "ip2" type: "InnerProduct" bottom: "bn" top: "ip2" param { lr_mult: 0 }
  inner_product_param { num_output: 3 bias_term: false }
}
"""


class Plain(TrainingMethod):
    """Caffe's own SGD."""

    name = "plain"
    settings: ClassVar[dict[str, Any]] = {}

    def attach(self, net: Any, solver: Any) -> None:
        pass


@pytest.mark.caffe
def test_equals_caffe_where_caffe_has_the_policy(toy: Hdf5Toy) -> None:
    """Weights that two layers share, and a layer of rate 0; the ramp is the policy `exp`."""
    rng = np.random.default_rng(3)
    start = {"ip1": [rng.standard_normal((6, 6)) * 0.5], "ip2": [rng.standard_normal((3, 6)) * 0.5]}
    ramp = Ramp(30, start=0.01, end=0.2)
    policy = {"lr_policy": '"exp"', "base_lr": "0.01", "gamma": str(20 ** (1 / 30)), "weight_decay": "0.1"}
    solver, weights = toy.write(SHARED, start, max_iter="30", **policy)
    for method in (ScheduledSgd(ramp), Plain()):
        train(Run(solver, toy.folder / method.name, weights=weights), method, SILENT)
    ours, theirs = (layer_blobs(read_weights(toy.folder / name / "model.caffemodel")) for name in ("sgd", "plain"))
    for name in ("ip1", "ip2"):
        np.testing.assert_allclose(ours[name][0], theirs[name][0], rtol=0, atol=2e-6)
    assert np.abs(ours["ip1"][0] - start["ip1"][0]).max() > 0.1
    np.testing.assert_array_equal(ours["ip2"][0], np.asarray(start["ip2"][0], np.float32))
    # Weight decay leaves the statistics alone: 60 passes, each fading to 0.999 of it in the next.
    assert ours["bn"][2][0] == pytest.approx((1 - 0.999**60) / (1 - 0.999), rel=1e-5)


@pytest.mark.caffe
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": '"Adam"', "momentum2": "0.99"}, 'its type is Adam; a schedule is for type: "SGD"'),
        ({"clip_gradients": "3"}, "clip_gradients does not go with a schedule"),
        ({"regularization_type": '"L1"'}, "regularization_type is L1"),
    ],
)
def test_solvers_that_a_schedule_is_not_for(toy: Hdf5Toy, change: dict[str, str], message: str) -> None:
    solver, weights = toy.write(LAYERS, two_layers(), **change)
    with pytest.raises(InputError, match=message):
        train(Run(solver, toy.folder / "out", weights=weights), ScheduledSgd(WarmRestarts(0.1, 5)), SILENT)


PROGRAM = """
import os, signal, sys
from pathlib import Path
from pyhisto.training.run import Run, Watch
from pyhisto.training.scheduled_sgd import ScheduledSgd
from pyhisto.training.schedules import WarmRestarts
from pyhisto.training.solver_loop import train

def point(point):
    if len(sys.argv) > 3 and point.iteration == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

watch = Watch(lambda first, total: None, point, lambda text: print(text, file=sys.stderr))
train(Run(Path(sys.argv[1]), Path(sys.argv[2])), ScheduledSgd(WarmRestarts(0.1, 16, 2)), watch)
"""


@pytest.mark.caffe
def test_killed_in_the_middle_of_a_cycle_it_ends_in_the_same_bytes(toy: Hdf5Toy) -> None:
    dropout = 'layer { name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" }\nlayer { name: "tanh"'
    solver, _ = toy.write(LAYERS.replace('layer { name: "tanh"', dropout), {}, max_iter="90")

    def program(out: str, *die_at: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PROGRAM, str(solver), str(toy.folder / out), *die_at]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert program("straight").returncode == 0
    assert program("cut", "31").returncode == -signal.SIGKILL  # the second cycle is 16 to 47; a snapshot at 20
    resumed = program("cut")
    assert resumed.returncode == 0 and "resuming from" in resumed.stderr and "_iter_20." in resumed.stderr
    one, other = ((toy.folder / name / "model.caffemodel").read_bytes() for name in ("straight", "cut"))
    assert one == other
