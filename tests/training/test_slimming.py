"""Network slimming's penalty on real Caffe, compared with numpy."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.proto import layer_blobs, read_weights
from pyhisto.training.regularise import Slimming
from pyhisto.training.run import Run
from pyhisto.training.solver_loop import train
from tests.hdf5_toy import CLASSES, FEATURES, Hdf5Toy, losses, make_toy, softmax_loss
from tests.silent import SILENT

EPS = 0.001
LAYERS = """
layer { name: "bn" type: "BatchNorm" bottom: "x" top: "bn" batch_norm_param { eps: 0.001 } }
layer {
  name: "scale" type: "Scale" bottom: "bn" top: "bn"
  param { lr_mult: 1 decay_mult: 0 } param { lr_mult: 1 decay_mult: 0 }
  scale_param { bias_term: true filler { value: 1 } }
}
layer {
  name: "ip2" type: "InnerProduct" bottom: "bn" top: "ip2"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
"""
TWICE_READ = (
    LAYERS.replace('bottom: "bn" top: "bn"\n  param', 'bottom: "bn" top: "scaled"\n  param')
    .replace('bottom: "bn" top: "ip2"', 'bottom: "sum" top: "ip2"')
    .replace(
        'layer {\n  name: "ip2"',
        'layer { name: "sum" type: "Eltwise" bottom: "bn" bottom: "scaled" top: "sum" }\nlayer {\n  name: "ip2"',
    )
)


def start() -> dict[str, list[Any]]:
    rng = np.random.default_rng(2)
    gammas = np.array([1.0, -0.5, 0.02, 0.7, 0.0, -1.2])
    return {
        "bn": [np.zeros(FEATURES), np.zeros(FEATURES), np.zeros(1)],
        "scale": [gammas, np.zeros(FEATURES)],
        "ip2": [rng.standard_normal((CLASSES, FEATURES)).astype(np.float32) * 0.5, np.zeros(CLASSES)],
    }


@pytest.fixture
def toy(tmp_path: Path) -> Hdf5Toy:
    return make_toy(tmp_path)


def numpy_slimming(toy: Hdf5Toy, lambda_l1: float, iterations: int) -> tuple[dict[str, Any], list[float]]:
    """SGD in float64 with the settings of hdf5_toy.SOLVER; trained parameters, and the losses of training."""
    stored = start()
    w = {name: np.asarray(stored[layer][blob], np.float32).astype(np.float64) for name, layer, blob in PARAMETERS}
    velocity = {name: np.zeros_like(array) for name, array in w.items()}
    rates = {"gamma": (1, 0), "beta": (1, 0), "w": (1, 0.01), "b": (2, 0)}
    means = []
    for iteration in range(iterations):
        gradient = {name: np.zeros_like(array) for name, array in w.items()}
        for number in (2 * iteration, 2 * iteration + 1):  # iter_size: 2
            x, y = toy.batch(number)
            normed = (x - x.mean(0)) / np.sqrt(x.var(0) + EPS)
            scaled = normed * w["gamma"] + w["beta"]
            loss, slope = softmax_loss(scaled @ w["w"].T + w["b"], y)
            back = slope @ w["w"]
            gradient["w"] += slope.T @ scaled / 2
            gradient["b"] += slope.sum(0) / 2
            gradient["gamma"] += (back * normed).sum(0) / 2
            gradient["beta"] += back.sum(0) / 2
        means.append(loss)
        gradient["gamma"] += lambda_l1 * np.sign(w["gamma"])
        for name, (multiplier, decay) in rates.items():
            rate = 0.2 * 0.5 ** (iteration // 20) * multiplier
            velocity[name] = 0.9 * velocity[name] + rate * (gradient[name] + decay * w[name])
            w[name] -= velocity[name]
    return w, means


PARAMETERS = (("gamma", "scale", 0), ("beta", "scale", 1), ("w", "ip2", 0), ("b", "ip2", 1))


@pytest.mark.caffe
def test_equals_numpy(toy: Hdf5Toy) -> None:
    solver, weights = toy.write(LAYERS, start())
    train(Run(solver, toy.folder / "out", weights=weights), Slimming(0.03), SILENT)
    trained = layer_blobs(read_weights(toy.folder / "out/model.caffemodel"))
    expected, expected_losses = numpy_slimming(toy, 0.03, 50)
    for name, layer, blob in PARAMETERS:
        np.testing.assert_allclose(trained[layer][blob], expected[name], rtol=0, atol=2e-5)
    np.testing.assert_allclose(losses(toy.folder / "out", "train"), np.array(expected_losses), atol=2e-5)


@pytest.mark.caffe
def test_gammas_shrink(toy: Hdf5Toy) -> None:
    solver, weights = toy.write(LAYERS, start())
    means = []
    for penalty in (0.0, 0.01, 0.1):
        out = toy.folder / str(penalty)
        train(Run(solver, out, weights=weights), Slimming(penalty), SILENT)
        means.append(np.abs(layer_blobs(read_weights(out / "model.caffemodel"))["scale"][0]).mean())
    assert means[0] > means[1] > means[2]


@pytest.mark.caffe
def test_a_scale_behind_a_batch_norm_that_others_read_too(toy: Hdf5Toy) -> None:
    solver, weights = toy.write(TWICE_READ, start())
    train(Run(solver, toy.folder / "out", weights=weights), Slimming(10.0), SILENT, iterations=1)
    moved = layer_blobs(read_weights(toy.folder / "out/model.caffemodel"))["scale"][0] - start()["scale"][0]
    # One step of 0.2 * 10 towards zero and beyond, by which the loss's gradient is small; none where gamma is 0.
    np.testing.assert_allclose(moved, [-2, 2, -2, -2, 0, 2], atol=0.3)


@pytest.mark.caffe
def test_nothing_to_slim(toy: Hdf5Toy) -> None:
    layers = 'layer { name: "ip2" type: "InnerProduct" bottom: "x" top: "ip2" inner_product_param { num_output: 3 } }'
    solver, _ = toy.write(layers, {})
    with pytest.raises(InputError, match="has no BatchNorm with a Scale behind it"):
        train(Run(solver, toy.folder / "out"), Slimming(0.1), SILENT)


@pytest.mark.caffe
@pytest.mark.slow
def test_killed_the_same_command_gives_the_same_result(toy: Hdf5Toy, root: Path) -> None:
    toy.write(LAYERS, start(), max_iter="4000", snapshot="500", test_interval="700", base_lr="0.01", display="100")

    def command(out: str, *options: str) -> list[str]:
        solver = ["--solver", f"{toy.folder}/solver.prototxt", "--lambda-l1", "0.01"]  # weights from the fillers
        return [sys.executable, f"{root}/tools/train_slimming.py", *solver, "--out", f"{toy.folder}/{out}", *options]

    straight = subprocess.run(command("straight"), capture_output=True, text=True, check=False)
    assert straight.returncode == 0, straight.stderr
    assert straight.stdout == f"{toy.folder}/straight/model.caffemodel\n" and "mean |gamma|" in straight.stderr
    with subprocess.Popen(command("cut"), stderr=subprocess.DEVNULL) as process:
        while not list(toy.folder.glob("cut/snapshots/*_500.solverstate")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not (toy.folder / "cut/model.caffemodel").exists(), "it was not killed in time"
    resumed = subprocess.run(command("cut"), capture_output=True, text=True, check=False)
    assert resumed.returncode == 0 and "resuming from" in resumed.stderr, resumed.stderr
    one, other = ((toy.folder / name / "model.caffemodel").read_bytes() for name in ("straight", "cut"))
    assert one == other
    refused = subprocess.run(command("cut", "--lambda-l1", "-1"), capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
