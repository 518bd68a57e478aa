"""prototxt/generate.py: several cards, and the mode that fits the Caffe that is there."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyhisto.nets.solvers import ZHU_2019
from pyhisto.proto import TRAIN, SolverParameter, read_net, read_solver


def generate(root: Path, *arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, root / "prototxt/generate.py", *arguments]
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def batch_sizes(folder: Path) -> tuple[int, int, int]:
    """Of training, validation and statistics."""
    train_val = {layer.include[0].phase: layer for layer in read_net(folder / "train_val.prototxt").layer[:2]}
    statistics = read_net(folder / "statistics.prototxt").layer[0]
    training = train_val.pop(TRAIN)
    (validation,) = train_val.values()
    sizes = [layer.data_param.batch_size for layer in (training, validation, statistics)]
    return sizes[0], sizes[1], sizes[2]


def test_several_cards_share_the_paper_s_batch_and_keep_its_schedule(root: Path, tmp_path: Path) -> None:
    schedules = []
    for cards, batch in ((1, 10), (2, 5), (5, 2)):
        folder = tmp_path / str(cards)
        native = ("inception-sep", "--sep", "native", "--solver-mode", "GPU", "--width", "0.25")
        done = generate(root, *native, "--cards", cards, "--out", folder)
        assert done.returncode == 0, done.stderr
        # Only the training network runs on every card; the validation batches and the statistics are of one.
        assert batch_sizes(folder) == (batch, 10, 10)
        solver = read_solver(folder / "solver.prototxt")
        schedules.append((solver.base_lr, solver.stepsize, solver.gamma, solver.max_iter, solver.iter_size))
    assert schedules == [(pytest.approx(ZHU_2019.base_lr), 10000, pytest.approx(0.1), 40000, 1)] * 3
    assert (
        "# For 2 cards: caffe train --gpu 0,1; each takes 5 images an iteration, 10 in all\n"
        in (tmp_path / "2/solver.prototxt").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--sep", "native", "--cards", 3], "--cards 3: does not divide the batch of 10"),
        (["--sep", "native", "--cards", 20], "--cards 20: does not divide the batch of 10"),
        (["--cards", 2], "--cards 2: a Python layer does not run on several cards from the command line: give --sep"),
        (["--sep", "native", "--cards", 2, "--solver-mode", "CPU"], "--cards 2: solver-mode CPU has none"),
        (["--cards", 0], "argument --cards"),
    ],
)
def test_cards_that_do_not_do(root: Path, tmp_path: Path, arguments: list[object], complaint: str) -> None:
    done = generate(root, "inception-sep", *arguments, "--out", tmp_path / "net")
    assert done.returncode == 2 and complaint in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "net").exists()


def test_without_a_card_the_mode_is_cpu_unless_asked_otherwise(root: Path, tmp_path: Path) -> None:
    for asked, mode in (([], SolverParameter.CPU), (["--solver-mode", "GPU"], SolverParameter.GPU)):
        done = generate(root, "patch-cnn", *asked, "--out", tmp_path, CUDA_VISIBLE_DEVICES="")
        assert done.returncode == 0
        solver = tmp_path / "solver.prototxt"
        assert read_solver(solver).solver_mode == mode
        assert bool(asked) != ("solver_mode is CPU, as Caffe can use no card here" in done.stderr)
        # The command at its head makes the same file on a machine with a card.
        assert f"--solver-mode {'GPU' if asked else 'CPU'}\n" in solver.read_text().splitlines(keepends=True)[0]


def test_with_a_card_that_caffe_can_use_it_is_gpu(
    root: Path, tmp_path: Path, stand_in: Callable[..., dict[str, str]]
) -> None:
    """Caffe's and the driver's words are made up; what the generator makes of them is not."""
    caffe = tmp_path / "caffe"
    caffe.write_text("#!/bin/sh\necho 'Check failed: error == cudaSuccess (100 vs. 0)' >&2\nexit 134\n")
    caffe.chmod(0o755)
    environment = {**stand_in(cards=1), "CUDA_VISIBLE_DEVICES": "0", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = generate(root, "patch-cnn", "--out", tmp_path / "net", **environment)
    assert done.returncode == 0 and done.stderr == ""
    assert read_solver(tmp_path / "net/solver.prototxt").solver_mode == SolverParameter.GPU
    # What is committed does not depend on the machine: it is the same without a card (test_inception_sep.py) and with.
    assert generate(root, "--check", **environment).returncode == 0
