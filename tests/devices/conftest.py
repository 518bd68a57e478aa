"""A machine with cards, as far as the CUDA driver tells it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("driver.c")


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Mapping[str, str]]:
    """The environment in which programs find a CUDA driver with so many cards, or one that fails; or a skip."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("needs a C compiler for the stand-in of the CUDA driver")
    folder = tmp_path_factory.mktemp("driver")
    command = [compiler, "-shared", "-fPIC", "-o", folder / "libcuda.so.1", SOURCE]
    subprocess.run(list(map(str, command)), check=True)

    def environment(cards: int = 0, error: int = 0) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("LD_LIBRARY_PATH")]))
        made = {**os.environ, "LD_LIBRARY_PATH": path, "STAND_IN_CARDS": str(cards), "STAND_IN_ERROR": str(error)}
        return {name: value for name, value in made.items() if name != "CUDA_VISIBLE_DEVICES"}

    return environment
