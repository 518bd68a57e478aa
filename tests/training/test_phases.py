"""The phases of Kone & Boulmane on real Caffe."""

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyhisto.learning_curve import read_points
from pyhisto.proto import layer_blobs, read_net, read_weights, to_text
from pyhisto.training.phases import NETWORK, epoch_iterations, fine, head, write_phase
from pyhisto.training.run import Run
from pyhisto.training.scheduled_sgd import ScheduledSgd
from pyhisto.training.solver_loop import train
from tests.silent import SILENT

pytestmark = pytest.mark.caffe

UNIT = """
layer {{
  name: "conv{0}" type: "Convolution" bottom: "{1}" top: "conv{0}"
  convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "msra" }} }}
}}
layer {{
  name: "bn{0}" type: "BatchNorm" bottom: "conv{0}" top: "conv{0}" batch_norm_param {{ moving_average_fraction: 0.9 }}
}}
layer {{ name: "scale{0}" type: "Scale" bottom: "conv{0}" top: "conv{0}" scale_param {{ bias_term: true }} }}
layer {{ name: "relu{0}" type: "ReLU" bottom: "conv{0}" top: "conv{0}" }}
"""
DROP = 'layer { name: "drop" type: "Dropout" bottom: "conv2" top: "conv2" }'
GROUPS = ("--last", "ip", "--middle", "*2")
FIRST, MIDDLE = ("conv1", "bn1", "scale1"), ("conv2", "bn2", "scale2")


@pytest.fixture
def pretrained(toy: Any) -> Path:
    """The toy's folder with a network of three groups, trained for a while; gives its weights."""
    toy.net(UNIT.format(1, "data") + UNIT.format(2, "conv1") + DROP, "conv2", batch_size=8)
    toy.solver(max_iter="20", test_interval="10", snapshot="15", display="1", weight_decay="0.01")
    done = toy.train()
    assert done.returncode == 0, done.stderr
    return Path("snap/net_iter_20.caffemodel")


def command(root: Path, weights: Path, out: str, *options: str) -> list[str]:
    program = [sys.executable, f"{root}/tools/train_phases.py", "--solver", "solver.prototxt"]
    return [*program, "--weights", str(weights), "--lr", "0.05", "--out", out, *GROUPS, *options]


def run(toy: Any, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, cwd=toy.folder, capture_output=True, text=True, check=False)


def blobs(path: Path) -> dict[str, list[bytes]]:
    return {name: [array.tobytes() for array in arrays] for name, arrays in layer_blobs(read_weights(path)).items()}


def test_head_then_middle_and_last_layers(toy: Any, root: Path, pretrained: Path) -> None:
    done = run(toy, command(root, pretrained, "out"))
    assert done.returncode == 0 and done.stdout == "out/fine/model.caffemodel\n", done.stderr
    before, after_head, after_fine = (
        blobs(toy.folder / path) for path in (pretrained, "out/head/model.caffemodel", "out/fine/model.caffemodel")
    )
    for name in (*FIRST, *MIDDLE):
        assert after_head[name] == before[name]  # BatchNorm's statistics too
    for name in FIRST:
        assert after_fine[name] == before[name]
    assert all(one != other for one, other in zip(after_head["ip"], before["ip"], strict=True))
    for name in (*MIDDLE, "ip"):
        assert all(one != other for one, other in zip(after_fine[name], after_head[name], strict=True))

    # 60 images, 8 a batch: 8 iterations an epoch. The head: 3 cycles of one; then 1, 2 and 4 epochs.
    for phase, cycles in (("head", (8, 8, 8)), ("fine", (8, 16, 32))):
        points = read_points(toy.folder / "out" / phase / "metrics.jsonl")
        expected = [0.025 * (1 + math.cos(math.pi * t / length)) for length in cycles for t in range(length)]
        assert [point.lr for point in points if point.phase == "train"] == pytest.approx(expected)
        tests = [point.iteration for point in points if point.phase == "test"]
        assert tests == list(range(0, sum(cycles) + 1, 8))
    assert (toy.folder / "out/schedule.png").is_file()


def test_an_epoch_is_a_pass_over_the_original_images(toy: Any, in_toy: Any, pretrained: Path) -> None:
    """Of 60 records, made of 20 images: 20 of 8 a batch are 3 iterations; not known of how many images: 60 are 8."""
    recipe = toy.folder / "train/preprocessing.json"
    for images, epoch in (({"0": 10, "1": 10}, 3), ({"0": 30, "1": 30}, 8)):
        recipe.write_text(json.dumps({"provenance": {"images": {"train": images}}}))
        assert epoch_iterations(Path("solver.prototxt")) == epoch
    recipe.write_text("{}")
    assert epoch_iterations(Path("solver.prototxt")) == 8


@pytest.mark.slow
def test_killed_in_the_second_phase_it_ends_in_the_same_bytes(toy: Any, root: Path, pretrained: Path) -> None:
    assert run(toy, command(root, pretrained, "straight", "--cycles", "6")).returncode == 0
    with subprocess.Popen(
        command(root, pretrained, "cut", "--cycles", "6"), cwd=toy.folder, stderr=subprocess.DEVNULL
    ) as process:
        while not list(toy.folder.glob("cut/fine/snapshots/*_45.solverstate")) and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert not (toy.folder / "cut/fine/model.caffemodel").exists(), "it was not killed in time"
    resumed = run(toy, command(root, pretrained, "cut", "--cycles", "6"))
    assert resumed.returncode == 0 and "resuming from cut/fine/snapshots/sgd_iter_" in resumed.stderr, resumed.stderr
    one, other = ((toy.folder / name / "fine/model.caffemodel").read_bytes() for name in ("straight", "cut"))
    assert one == other


def test_stopping_backward_passes_changes_no_bytes(toy: Any, in_toy: Any, pretrained: Path) -> None:
    """What learns gets the same gradients with propagate_down and without."""
    solver = Path("solver.prototxt")
    assert epoch_iterations(solver) == 8
    groups = {**dict.fromkeys(MIDDLE, "middle"), "ip": "last"}
    for phase in (head(1), fine(0.5, 1, 1, 1)):
        written = write_phase(solver, groups, phase.shares, pretrained, Path(phase.name), max_iter=8)
        for out in ("with", "without"):
            train(
                Run(written, Path(phase.name) / out, weights=pretrained), ScheduledSgd(phase.schedule(0.1, 8)), SILENT
            )
            net = read_net(Path(phase.name) / NETWORK)
            assert any(layer.propagate_down for layer in net.layer) == (out == "with")
            for layer in net.layer:
                layer.ClearField("propagate_down")
            (Path(phase.name) / NETWORK).write_text(to_text(net))
        one, other = (blobs(Path(phase.name) / out / "model.caffemodel") for out in ("with", "without"))
        assert one == other


def test_the_middle_layers_take_a_share_of_a_step(toy: Any, in_toy: Any, pretrained: Path) -> None:
    groups = {**dict.fromkeys(MIDDLE, "middle"), "ip": "last"}
    moved = {}
    for share in (0.25, 0.5):
        phase = fine(share, 1, 1, 1)
        written = write_phase(Path("solver.prototxt"), groups, phase.shares, pretrained, Path(str(share)), max_iter=1)
        train(Run(written, Path(str(share)), weights=pretrained), ScheduledSgd(phase.schedule(0.1, 8)), SILENT)
        start, end = (layer_blobs(read_weights(path)) for path in (pretrained, Path(str(share), "model.caffemodel")))
        moved[share] = {name: end[name][0] - start[name][0] for name in ("conv1", "conv2", "ip")}
    assert np.abs(moved[0.5]["conv2"]).max() > 1e-3 and not moved[0.5]["conv1"].any()
    np.testing.assert_allclose(moved[0.5]["conv2"], 2 * moved[0.25]["conv2"], atol=1e-6)
    np.testing.assert_array_equal(moved[0.5]["ip"], moved[0.25]["ip"])


def test_what_is_refused(toy: Any, root: Path, pretrained: Path) -> None:
    program = command(root, pretrained, "out")
    for change, message in (
        (program[: program.index("--last")], "say which layers are the --last ones"),
        ([*program, "--groups", "g.json"], "give --groups, or --last and --middle, not both"),
        ([word.replace("*2", "res*") for word in program], "no layer matches 'res*' of the middle layers"),
        ([*program, "--lr", "0"], "--lr: 0 is not above 0"),
        ([word.replace(str(pretrained), "none") for word in program], "none: cannot be read"),
    ):
        refused = run(toy, change)
        assert refused.returncode == 2 and message in refused.stderr and refused.stderr.count("\n") == 1, refused.stderr
    (toy.folder / "g.json").write_text(json.dumps({"conv2": "middle", "ip": "last"}))
    without = program[: program.index("--last")]
    short = ["--head-epochs", "1", "--cycles", "1", "--epoch-iterations", "2"]
    assert run(toy, [*without, "--groups", "g.json", *short]).returncode == 0
