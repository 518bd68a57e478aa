"""`make setup`: twice at once in one checkout, and what it puts around Caffe's programs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.caffe


@pytest.mark.slow
def test_two_setups_of_one_checkout_at_once(root: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    left_out = shutil.ignore_patterns(".venv", ".git", "runs", "shared", ".*_cache", ".hypothesis", "*.egg-info")
    shutil.copytree(root, checkout, ignore=left_out)
    # As typed in a shell in which no environment is active.
    path = [folder for folder in os.environ["PATH"].split(":") if not folder.startswith(str(root))]
    environment = {**os.environ, "PATH": ":".join(path)}
    both = [
        subprocess.Popen(
            ["docker/install.sh"],
            cwd=checkout,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [setup.communicate()[0] for setup in both]
    assert [setup.returncode for setup in both] == [0, 0], said
    # One works; the other waits, and finds it done.
    assert sum("Ready:" in text for text in said) == 1
    assert sum("Waiting for another setup" in text for text in said) == 1
    assert subprocess.run([checkout / ".venv" / "bin" / "caffe", "--version"], check=False).returncode == 0


@pytest.mark.parametrize("option", [["-gpu", "0"], ["--gpu=all"], ["-gpu=0"]])
def test_a_card_that_is_not_there_is_one_line(root: Path, option: list[str]) -> None:
    caffe = root / ".venv" / "bin" / "caffe"
    if not caffe.is_file() or Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists():
        pytest.skip("a Caffe that setup did not wrap, or a card")
    done = subprocess.run([caffe, "device_query", *option], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("caffe: --gpu: ")
    assert "make setup GPU=1" in line or "--gpus all" in line
