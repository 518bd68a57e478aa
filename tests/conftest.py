"""Fixtures that every part of the suite shares."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from pyhisto.devices.check import fault
from pyhisto.errors import InputError

# A loaded machine is no failure; in CI the same examples every time.
settings.register_profile("pyhisto", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("pyhisto")

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what needs a Caffe, or a card, that is not there."""
    if importlib.util.find_spec("caffe") is None:
        skip = pytest.mark.skip(reason="needs pycaffe: run `make setup`")
        for item in items:
            if item.get_closest_marker("caffe"):
                item.add_marker(skip)
    on_card = [item for item in items if item.get_closest_marker("gpu")]
    if on_card and (reason := no_card()):
        for item in on_card:
            item.add_marker(pytest.mark.skip(reason=reason))


def no_card() -> str:
    """Why nothing can be run on a card; empty: it can."""
    try:
        found = fault((0,))
    except InputError as error:
        return f"needs a card: {error}"
    return f"needs a card, but {found[0]}" if found else ""


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """The environment in which programs find a CUDA driver with so many cards, or one that fails; or a skip."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("needs a C compiler for the stand-in of the CUDA driver")
    folder = tmp_path_factory.mktemp("driver")
    command = [compiler, "-shared", "-fPIC", "-o", folder / "libcuda.so.1", ROOT / "tests/stand_in_driver.c"]
    subprocess.run(list(map(str, command)), check=True)

    def environment(cards: int = 0, error: int = 0) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("LD_LIBRARY_PATH")]))
        made = {**os.environ, "LD_LIBRARY_PATH": path, "STAND_IN_CARDS": str(cards), "STAND_IN_ERROR": str(error)}
        return {name: value for name, value in made.items() if name != "CUDA_VISIBLE_DEVICES"}

    return environment


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data set files beside the checkout (../shared/data), or a skip."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data is not at {folder.parent.name}/{folder.name} beside the checkout")
    return folder


@pytest.fixture(scope="session")
def caffe_models() -> Path:
    """Caffe's own models/ folder, which `make setup` keeps beside the Caffe that it builds, or a skip."""
    spec = importlib.util.find_spec("caffe")
    for folder in Path(spec.origin).parents if spec is not None and spec.origin else ():
        if (folder / "models" / "bvlc_alexnet").is_dir():
            return folder / "models"
    pytest.skip("the Caffe in use has no models/ beside it")
