"""Running a program for a device."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXACT = {"NVIDIA_TF32_OVERRIDE": "0", "OPENBLAS_NUM_THREADS": "1", "GLOG_minloglevel": "2"}
"""From Ampere on, cuDNN multiplies in TF32 (10 bits) unless it is told not to: nothing to compare with a CPU."""


@pytest.fixture(scope="session")
def succeed(root: Path) -> Callable[..., str]:
    """Run one of the repository's programs, which must succeed; what it prints."""

    def run(program: str, *arguments: object, cwd: Path = root) -> str:
        command = [sys.executable, str(root / program), *map(str, arguments)]
        environment = {**os.environ, **EXACT, "PYTHONPATH": str(root)}
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run
