"""Fixtures that every part of the suite shares."""

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import settings

# A loaded machine is no failure; in CI the same examples every time.
settings.register_profile("pyhisto", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("pyhisto")

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what needs a Caffe that is not there."""
    if importlib.util.find_spec("caffe") is None:
        skip = pytest.mark.skip(reason="needs pycaffe: run `make setup`")
        for item in items:
            if item.get_closest_marker("caffe"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root folder."""
    return ROOT


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
