"""Every layer type of the networks gives on a card what it gives on the CPU, forward and backward.

The same on the CPU twice shows that the comparison itself is sound: to the last bit.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from pyhisto.arrays import Floats
from tests.gpu.run_layer_types import CASES

pytestmark = pytest.mark.caffe

Results = Mapping[str, Floats]

DEVICES = [pytest.param("CPU", 0.0), pytest.param("GPU", 1e-4, marks=pytest.mark.gpu)]
"""A device, and how far it may be off the CPU, as a share of the largest value."""

ELSEWHERE = {"Data", "Input", "Silence"}
"""They compute nothing. Data layers are in test_training_on_a_card.py."""


@pytest.fixture(scope="module")
def results(succeed: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Results]:
    """What a device's layers gave, in a run of this number; each is run once."""
    folder = tmp_path_factory.mktemp("layers")

    def run(device: str, number: int) -> Results:
        path = folder / f"{device}{number}.npz"
        if not path.exists():
            succeed("tests/gpu/run_layer_types.py", device, path)
        return dict(np.load(path))

    return run


@pytest.mark.parametrize(("device", "tolerance"), DEVICES)
@pytest.mark.parametrize("case", [case.name for case in CASES if case.name != "Dropout in training"])
def test_as_on_the_cpu(results: Callable[[str, int], Results], case: str, device: str, tolerance: float) -> None:
    reference, found = results("CPU", 1), results(device, 2)
    names = [name for name in reference if name.startswith(f"{case}/")]
    assert names and [name for name in found if name.startswith(f"{case}/")] == names
    assert any(np.ptp(reference[name]) for name in names) or case == "Accuracy"  # something was computed
    for name in names:
        assert found[name].shape == reference[name].shape
        furthest = np.abs(found[name] - reference[name]).max()
        assert furthest <= tolerance * max(1.0, np.abs(reference[name]).max()), (name, furthest)


@pytest.mark.parametrize("device", ["CPU", pytest.param("GPU", marks=pytest.mark.gpu)])
def test_dropout_cuts_its_share_and_scales_the_rest(results: Callable[[str, int], Results], device: str) -> None:
    """Each device draws its own numbers, so that there is nothing to compare but what they do."""
    found = results(device, 2)
    plain, scaled = found["Dropout in testing/top"], found["Dropout in training/top"]  # of the same input
    cut = scaled == 0
    assert np.allclose(scaled[~cut], plain[~cut] / 0.3, rtol=1e-5)
    # Of 2,000 numbers 1,400 are cut, with a deviation of the root of 2000 x 0.7 x 0.3 = 20.5: five of them.
    assert abs(cut.sum() - 1400) < 103
    gradient, above = (found[f"Dropout in {phase}/gradient of a"] for phase in ("training", "testing"))
    assert np.allclose(gradient[~cut], above[~cut] / 0.3, rtol=1e-5) and not gradient[cut].any()


def test_no_layer_type_of_the_networks_is_left_out(root: Path) -> None:
    text = "".join(path.read_text() for path in (root / "prototxt").rglob("*.prototxt"))
    of_networks = set(re.findall(r'^  type: "(\w+)"$', text, re.MULTILINE))
    here = {re.match(r'type: "(\w+)"', case.layer)[1] for case in CASES}  # type: ignore[index]
    assert of_networks - ELSEWHERE == here
