"""Timing networks in turns, and noticing what else the machine does."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyhisto.training.timing import Rounds, Timing, time_in_turns


def test_medians_of_the_rounds() -> None:
    rounds = Rounds(
        tuple(Timing(forward, 2 * forward, (("conv", forward / 2, forward),), 10) for forward in (3.0, 1.0, 50.0))
    )
    assert rounds.median == Timing(3, 6, (("conv", 1.5, 3),), 10)


@pytest.fixture
def busy() -> Iterator[None]:
    """A process that keeps a core busy, and is none of this process's children that have ended."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield
    process.kill()
    process.wait()


@pytest.mark.caffe
@pytest.mark.usefixtures("busy")
def test_networks_take_turns_and_other_processes_are_noticed(root: Path) -> None:
    model = root / "prototxt/patch_cnn_32/deploy.prototxt"
    measured, others = time_in_turns([(model, 1), (model, 1)], rounds=3, iterations=200)
    assert [len(rounds.timings) for rounds in measured] == [3, 3]
    assert all(timing.forward_ms > 0 for rounds in measured for timing in rounds.timings)
    assert others is not None and others > 0.2


@pytest.mark.caffe
def test_a_file_for_each_network(root: Path, tmp_path: Path) -> None:
    model = root / "prototxt/patch_cnn_32/deploy.prototxt"
    command = [sys.executable, str(root / "tools/caffe_time.py"), "--model", str(model), str(model), "--out"]
    done = subprocess.run([*command, str(tmp_path / "a.json")], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--out names 1 files, --model 2: give one for each" in done.stderr
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    settings = ["--rounds", "3", "--iterations", "2"]
    done = subprocess.run([*command, *map(str, files), *settings], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for file in files:
        content = json.loads(file.read_text())
        rounds = content["forward_ms_rounds"]
        assert len(rounds) == 3 and content["forward_ms"] == sorted(rounds)[1]
        assert content["cores_used_by_others"] >= 0 and content["cores"] >= 1
