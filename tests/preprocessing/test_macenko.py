"""Macenko through torchstain: the same levels, the target's stains, white that stays white."""

from pathlib import Path

import numpy as np
import pytest
from torchstain.numpy.normalizers import NumpyMacenkoNormalizer, NumpyReinhardNormalizer

from data_prep.synthetic.breakhis import Sample, draw, make_patients
from pyhisto.errors import InputError
from pyhisto.preprocessing.images import Image, read_image
from pyhisto.preprocessing.macenko import Macenko, measure
from pyhisto.preprocessing.stain import Stain, from_json, target
from pyhisto.preprocessing.stain import measure as measure_any


def fit(image: Image) -> Macenko:
    stain = target([measure_any(image, "macenko")], "macenko", "target")
    assert isinstance(stain, Macenko)
    return stain


@pytest.fixture(scope="module")
def pair() -> tuple[Image, Image]:
    """Two patients, two stains."""
    first, second = make_patients(3, 0)[1:]
    return draw(Sample(first, 1, 100), 0), draw(Sample(second, 1, 100), 0)


def test_is_torchstain(pair: tuple[Image, Image]) -> None:
    image, aim = pair
    theirs = NumpyMacenkoNormalizer()
    theirs.fit(aim[:, :, ::-1])
    expected, _, _ = theirs.normalize(image[:, :, ::-1], stains=False)
    # torchstain keeps the target's vectors in full; ours are normalised to length 1 once more, and stored.
    assert np.abs(fit(aim)(image)[:, :, ::-1].astype(int) - expected).max() <= 1


def test_target_s_stains_are_reached(pair: tuple[Image, Image]) -> None:
    image, aim = pair
    before, after, wanted = measure(image), measure(fit(aim)(image)), measure(aim)
    assert before is not None
    assert after is not None
    assert wanted is not None
    assert np.abs(after - wanted)[:3, 0].max() < 0.01  # hematoxylin; eosin's extreme pixels are clipped by the map
    assert np.abs(after - wanted)[:3].mean() < 0.5 * np.abs(before - wanted)[:3].mean()
    assert after[3] == pytest.approx(wanted[3], rel=0.25)


@pytest.mark.parametrize("level", [255, 230, 128, 0])
def test_constant_image_stays_as_it_is(pair: tuple[Image, Image], level: int) -> None:
    image = np.full((40, 50, 3), level, np.uint8)
    assert np.array_equal(fit(pair[1])(image), image)
    with pytest.raises(InputError, match="no tissue"):
        fit(image)


@pytest.mark.parametrize(
    "change", [{"vectors": [[1, 2]] * 2}, {"strength": [0, 1]}, {"strength": None}, {"vectors": "abc"}]
)
def test_bad_json_is_named(pair: tuple[Image, Image], change: dict[str, object]) -> None:
    stain = fit(pair[0])
    assert from_json(stain.to_json(), "x") == stain
    with pytest.raises(InputError, match=r"p\.json: stain needs"):
        from_json({**stain.to_json(), **change}, "p.json")


def test_reinhard_and_torchstain_on_a_real_image(shared_data: Path) -> None:
    """Stated in numbers: mean absolute difference of levels between our Reinhard and torchstain's numpy Reinhard.

    torchstain computes in float Lab and cuts off the fraction (half a level less on average).
    """
    paths = sorted((shared_data / "BreaKHis_v1").rglob("*-100-*.png"))
    image, aim = read_image(paths[40]), read_image(paths[100])
    theirs = NumpyReinhardNormalizer()
    theirs.fit(aim[:, :, ::-1])
    expected = theirs.normalize(image[:, :, ::-1])[:, :, ::-1].astype(int)

    def difference(stain: Stain) -> float:
        return float(np.abs(stain(image).astype(int) - expected).mean())

    assert difference(target([measure_any(aim, "reinhard-float")], "reinhard-float", "x")) < 1.0  # measured: 0.27
    assert difference(target([measure_any(aim, "reinhard")], "reinhard", "x")) < 3.0  # measured: 0.9
