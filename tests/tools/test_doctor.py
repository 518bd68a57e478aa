"""tools/doctor.py on this very installation, and on one without Caffe."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.caffe
def test_a_healthy_installation(root: Path) -> None:
    done = subprocess.run([sys.executable, root / "tools" / "doctor.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "BAD" not in done.stdout
    assert "imports the SEP layer" in done.stdout


@pytest.mark.caffe
def test_cards_are_listed(root: Path, stand_in: Callable[..., dict[str, str]]) -> None:
    command = [sys.executable, str(root / "tools" / "doctor.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=stand_in(cards=2))
    (first, second) = (line for line in done.stdout.splitlines() if re.match(r"(ok |BAD)  card [01] ", line))
    assert "card 0 (Stand-in 0, compute capability 6.1, 11.0 GiB): " in first and "card 1 (Stand-in 1" in second
    if "built for the CPU alone" in done.stdout:
        assert done.returncode == 0 and first.startswith("ok ") and "`make setup GPU=1`" in first
    none = subprocess.run(command, capture_output=True, text=True, check=False, env=stand_in(error=100))
    assert "; no card is to be had here, as the NVIDIA driver says: no CUDA-capable device is detected" in none.stdout


def test_what_is_missing_is_said_with_what_to_do(root: Path, tmp_path: Path) -> None:
    # A Python without site-packages of its own finds no Caffe; neither does an empty PATH beside it.
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    (tmp_path / "caffe.py").write_text("raise ImportError('no Caffe here')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PATH": str(tmp_path)}
    code = (
        "import sys, runpy; sys.executable = sys.argv[1]; sys.argv = sys.argv[2:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", code, python, root / "tools" / "doctor.py"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert bad
    assert all("make setup" in line for line in bad)
