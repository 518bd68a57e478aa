"""Dynamic Network Surgery on real Caffe, compared with numpy."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.learning_curve import read_points
from pyhisto.proto import layer_blobs, read_weights
from pyhisto.pruning.sparse import read_sparse
from pyhisto.training.dns import DynamicNetworkSurgery, SurgerySettings, threshold, update_mask
from pyhisto.training.run import Run, TrainingOutcome
from pyhisto.training.solver_loop import train
from tests.hdf5_toy import Hdf5Toy, losses, make_toy, softmax_loss, two_layers
from tests.silent import SILENT

LAYERS = """
layer {
  name: "ip1" type: "InnerProduct" bottom: "x" top: "ip1"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 } inner_product_param { num_output: 8 }
}
layer { name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }
layer {
  name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 } inner_product_param { num_output: 3 }
}
"""
DROPOUT = LAYERS.replace(
    'layer { name: "relu"', 'layer { name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" }\nlayer { name: "relu"'
)


@pytest.fixture
def toy(tmp_path: Path) -> Hdf5Toy:
    return make_toy(tmp_path)


def test_threshold_by_hand() -> None:
    weights = np.array([[-1.0, 2.0], [3.0, -4.0]], np.float32)
    # |W| has mean 2.5 and variance (2.25 + 0.25 + 0.25 + 2.25) / 4 = 1.25.
    assert threshold(weights, SurgerySettings(10, c_rate=2)) == pytest.approx(2.5 + 2 * 1.25**0.5)
    assert threshold(weights, SurgerySettings(10, c_rate=-9)) == 0  # 2.5 - 9 * 1.118 is below 0


def test_mask_by_hand() -> None:
    weights = np.array([0.89, -0.89, 1.0, -1.0, 1.11, -1.11], np.float32)
    kept, cut = np.ones(6, bool), np.zeros(6, bool)
    assert update_mask(kept, weights, 1.0).tolist() == [False, False, True, True, True, True]
    assert update_mask(cut, weights, 1.0).tolist() == [False, False, False, False, True, True]


@pytest.mark.parametrize("sparsity", [0.001, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_wanted_sparsity_is_what_the_first_update_cuts(sparsity: float, size: int) -> None:
    weights = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    t = threshold(weights, SurgerySettings(10, sparsity=sparsity))
    assert (~update_mask(np.ones(size, bool), weights, t)).sum() == int(sparsity * size)


def numpy_dns(
    toy: Hdf5Toy, settings: SurgerySettings, iterations: int
) -> tuple[Any, Any, list[float], list[float], bool]:
    """DNS with SGD in float64: dense weights and masks at the end, losses of training and (every 10) of testing.

    The settings are those of hdf5_toy.SOLVER and LAYERS. Last: whether a weight that was cut returned.
    """
    w = {name: [np.asarray(array, np.float64) for array in arrays] for name, arrays in two_layers().items()}
    velocity = {name: [np.zeros_like(array) for array in arrays] for name, arrays in w.items()}
    mask = {name: np.ones(arrays[0].shape, bool) for name, arrays in w.items()}
    t = {}
    for name, arrays in w.items():
        sizes = np.abs(arrays[0])
        t[name] = max(sizes.mean() + settings.c_rate * sizes.std(), 0.0)
    returned = False
    trained, tests = [], []

    def forward(x: Any, y: Any) -> tuple[float, dict[str, list[Any]]]:
        masked = {name: arrays[0] * mask[name] for name, arrays in w.items()}
        before = x @ masked["ip1"].T + w["ip1"][1]
        hidden = np.maximum(before, 0)
        loss, slope = softmax_loss(hidden @ masked["ip2"].T + w["ip2"][1], y)
        back = (slope @ masked["ip2"]) * (before > 0)
        return loss, {"ip1": [back.T @ x, back.sum(0)], "ip2": [slope.T @ hidden, slope.sum(0)]}

    for iteration in range(iterations + 1):
        if iteration % 10 == 0:
            tests.append(forward(toy.x, toy.y)[0])
        if iteration == iterations:
            break
        chance = (1 + settings.gamma * iteration) ** -settings.power
        if iteration < settings.iter_stop and np.random.default_rng((settings.seed, iteration)).random() < chance:
            for name, arrays in w.items():
                sizes, old = np.abs(arrays[0]), mask[name].copy()
                mask[name][sizes <= 0.9 * t[name]] = False
                mask[name][sizes > 1.1 * t[name]] = True
                returned |= bool((mask[name] & ~old).any())
        passes = [forward(*toy.batch(2 * iteration + number)) for number in (0, 1)]  # iter_size: 2
        trained.append(passes[1][0])  # what Caffe's loss blob holds after the last pass
        rate = 0.2 * 0.5 ** (iteration // 20)
        for name, arrays in w.items():
            for blob, (multiplier, decay) in enumerate(((1, 0.01), (2, 0))):
                gradient = (passes[0][1][name][blob] + passes[1][1][name][blob]) / 2 + decay * arrays[blob]
                velocity[name][blob] = 0.9 * velocity[name][blob] + rate * multiplier * gradient
                arrays[blob] -= velocity[name][blob]
    return w, mask, trained, tests, returned


@pytest.mark.caffe
def test_equals_numpy(toy: Hdf5Toy) -> None:
    settings = SurgerySettings(iter_stop=40, c_rate=0.3, gamma=0.05, seed=3)
    solver, weights = toy.write(LAYERS, two_layers())
    surgery = DynamicNetworkSurgery(settings)
    out = toy.folder / "out"
    assert train(Run(solver, out, weights=weights), surgery, SILENT).snapshot.iteration == 50
    dense, masks, trained, tests, returned = numpy_dns(toy, settings, 50)
    assert returned and 0 < sum(mask.sum() for mask in masks.values()) < 72
    snapshot = layer_blobs(read_weights(out / "snapshots/dns_iter_50.caffemodel"))
    deployed = layer_blobs(read_weights(out / "model.caffemodel"))
    for name, mask in masks.items():
        np.testing.assert_array_equal(surgery.masks[name], mask)
        np.testing.assert_allclose(snapshot[name][0], dense[name][0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(deployed[name][0], dense[name][0] * mask, rtol=0, atol=1e-5)
        assert not np.signbit(deployed[name][0][~mask]).any()  # 0 and not -0
        for stored in (snapshot, deployed):
            np.testing.assert_allclose(stored[name][1], dense[name][1], rtol=0, atol=1e-5)
    points = read_points(out / "metrics.jsonl")
    assert [p.iteration for p in points if p.phase == "test"] == [0, 10, 20, 30, 40, 50]
    # The test net sees W*T.
    np.testing.assert_allclose(losses(out, "test"), np.array(tests), atol=1e-5)
    np.testing.assert_allclose(losses(out, "train"), np.array(trained), atol=1e-5)


@pytest.mark.caffe
def test_only_the_layers_asked_for_are_cut(toy: Hdf5Toy) -> None:
    solver, weights = toy.write(LAYERS, two_layers())
    surgery = DynamicNetworkSurgery(SurgerySettings(iter_stop=5, sparsity=0.5, layers=("ip1",)))
    run(solver, surgery, toy.folder / "out", weights)
    assert set(surgery.masks) == {"ip1"}
    assert layer_blobs(read_weights(toy.folder / "out/model.caffemodel"))["ip2"][0].all()


def run(solver: Path, surgery: DynamicNetworkSurgery, out: Path, weights: Path) -> TrainingOutcome:
    return train(Run(solver, out, weights=weights), surgery, SILENT, iterations=5)


@pytest.mark.caffe
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (SurgerySettings(5, c_rate=50), "layer 'ip1' would be cut whole"),
        (SurgerySettings(5, sparsity=0.5, layers=("relu",)), "layer 'relu' is no convolution or inner product"),
    ],
)
def test_what_cannot_be_cut(toy: Hdf5Toy, settings: SurgerySettings, complaint: str) -> None:
    solver, weights = toy.write(LAYERS, two_layers())
    with pytest.raises(InputError, match=complaint):
        run(solver, DynamicNetworkSurgery(settings), toy.folder / "out", weights)
    assert not (toy.folder / "out/model.caffemodel").exists()


def command(root: Path, toy: Hdf5Toy, out: str, *options: str) -> list[str]:
    files = ["--solver", f"{toy.folder}/solver.prototxt", "--weights", f"{toy.folder}/start.caffemodel"]
    amount = [] if "--c-rate" in options else ["--sparsity", "0.6"]
    return [sys.executable, f"{root}/tools/dns.py", *files, *amount, "--out", f"{toy.folder}/{out}", *options]


def finish(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.caffe
@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_or_killed_the_same_command_gives_the_same_result(
    toy: Hdf5Toy, root: Path, sent: signal.Signals
) -> None:
    toy.write(
        DROPOUT, two_layers(), max_iter="4000", snapshot="500", test_interval="700", base_lr="0.01", display="100"
    )
    straight = finish(command(root, toy, "straight"))
    assert straight.returncode == 0, straight.stderr
    assert straight.stdout == f"{toy.folder}/straight/model.caffemodel\n"
    with subprocess.Popen(command(root, toy, "cut"), stderr=subprocess.PIPE, text=True) as process:
        while not list(toy.folder.glob("cut/snapshots/*_500.solverstate")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(sent)
        assert process.stderr is not None
        said = process.stderr.read()
    assert not (toy.folder / "cut/model.caffemodel").exists(), "it was not stopped in time"
    if sent != signal.SIGKILL:
        assert process.returncode == 130 and "run the same command to go on" in said
    resumed = finish(command(root, toy, "cut"))
    assert resumed.returncode == 0 and "resuming from" in resumed.stderr, resumed.stderr
    for name in ("model.caffemodel", "model.sparse", "sparsity.json"):
        assert (toy.folder / "cut" / name).read_bytes() == (toy.folder / "straight" / name).read_bytes()
    one, other = (
        [(p.iteration, p.phase, p.loss, p.accuracy) for p in read_points(toy.folder / name / "metrics.jsonl")]
        for name in ("straight", "cut")
    )
    assert one == other


@pytest.mark.caffe
@pytest.mark.slow
def test_the_tool(toy: Hdf5Toy, root: Path) -> None:
    toy.write(LAYERS, two_layers())
    done = finish(command(root, toy, "out"))
    assert done.returncode == 0, done.stderr
    assert "iteration 0: 100.0% of 72 weights kept" in done.stderr and "iteration 50 of 50" in done.stderr
    numbers = json.loads((toy.folder / "out/sparsity.json").read_text())
    model = layer_blobs(read_weights(toy.folder / "out/model.caffemodel"))
    assert numbers["method"] == "DNS" and numbers["weights"] == 72
    assert numbers["bytes"] == (toy.folder / "out/model.sparse").stat().st_size
    assert numbers["kept"] == sum(np.count_nonzero(blobs[0]) for blobs in model.values())
    assert {name: layer["kept"] for name, layer in numbers["layers"].items()} == {
        name: np.count_nonzero(blobs[0]) for name, blobs in model.items()
    }
    sparse = layer_blobs(read_sparse(toy.folder / "out/model.sparse"))
    assert all((a == b).all() for name in model for a, b in zip(model[name], sparse[name], strict=True))

    before = (toy.folder / "out/model.caffemodel").read_bytes()
    (toy.folder / "out/model.caffemodel").unlink()  # as a workflow does that takes a failed job's outputs away
    assert finish(command(root, toy, "out")).returncode == 0
    assert (toy.folder / "out/model.caffemodel").read_bytes() == before

    changed = finish(command(root, toy, "out", "--seed", "1"))
    assert changed.returncode == 2 and "the settings of dns changed since" in changed.stderr
    anew = finish(command(root, toy, "out", "--seed", "1", "--restart-if-changed"))
    assert anew.returncode == 0 and "removed " in anew.stderr
    state = toy.folder / "out/snapshots/dns_iter_50.state"
    state.write_bytes(state.read_bytes()[:100])
    damaged = finish(command(root, toy, "out", "--seed", "1"))
    assert damaged.returncode == 2 and "not the masks of this network, or damaged" in damaged.stderr


@pytest.mark.caffe
@pytest.mark.slow
def test_bad_input_is_one_line_and_exit_2(toy: Hdf5Toy, root: Path) -> None:
    toy.write(LAYERS, two_layers(), base_lr="1e30")
    assert complaint(root, toy, "the training diverged; lower base_lr")
    toy.write(LAYERS, two_layers(), lr_policy='"fixd"', type='"SGB"')
    assert complaint(root, toy, "Caffe refuses it: Check failed")
    toy.write(LAYERS, {"ip1": [np.ones((8, 5)), np.ones(8)]})
    assert complaint(root, toy, r"layer 'ip1' has blobs of [(8, 5), (8,)], the network's are [(8, 6), (8,)]")
    toy.write(LAYERS, {"ip": [np.ones((8, 5)), np.ones(8)]})
    assert complaint(root, toy, "has no layer in common with the network")
    (toy.folder / "list.txt").unlink()
    assert complaint(root, toy, "its source")
    (toy.folder / "solver.prototxt").unlink()
    assert complaint(root, toy, "cannot be read")


def complaint(root: Path, toy: Hdf5Toy, expected: str) -> bool:
    done = finish(command(root, toy, "bad", "--restart"))
    lines = [line for line in done.stderr.splitlines() if line.startswith("dns.py: ")]
    assert done.returncode == 2 and "Traceback" not in done.stderr and len(lines) == 1, done.stderr
    assert expected in lines[0], lines[0]
    return True
