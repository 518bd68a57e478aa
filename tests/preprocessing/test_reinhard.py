"""Reinhard's transfer: its definition, its target, its guards."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.preprocessing.images import Image, read_image
from pyhisto.preprocessing.reinhard import METHODS, Reinhard, ReinhardMethod
from pyhisto.preprocessing.stain import from_json, measure, target


def fit(method: ReinhardMethod, images: list[Image], source: str) -> Reinhard:
    stain = target([measure(image, method) for image in images], method, source)
    assert isinstance(stain, Reinhard)
    return stain


def tissue(seed: int, shift: int = 0) -> Image:
    """A smooth pinkish picture."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 60, (80, 120, 3)), (0, 0), 3)
    return np.asarray(np.clip(np.array([190 - shift, 150, 200]) + 4 * noise, 0, 255), np.uint8)


def test_eight_bit_table_is_the_formula() -> None:
    """x' = (x - mean_s) * std_t / std_s + mean_t on OpenCV's 8-bit Lab, computed here per pixel in float64."""
    image, normalise = tissue(1), fit("reinhard", [tissue(2)], "target")
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB).astype(np.float64)
    moved = (lab - lab.mean((0, 1))) * np.array(normalise.std) / lab.std((0, 1)) + normalise.mean
    expected = cv2.cvtColor(np.clip(np.rint(moved), 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)
    assert np.array_equal(normalise(image), expected)


@pytest.mark.parametrize("method", METHODS)
def test_result_has_the_target_s_statistics(method: ReinhardMethod) -> None:
    normalise = fit(method, [tissue(2, shift=30)], "target")
    got = fit(method, [normalise(tissue(1))], "got")
    # Rounding to 8 bits and clipping to the gamut cost a little.
    assert got.mean == pytest.approx(normalise.mean, abs=1.0)
    assert got.std == pytest.approx(normalise.std, abs=1.0)


@pytest.mark.parametrize("method", METHODS)
def test_own_statistics_change_nearly_nothing(method: ReinhardMethod) -> None:
    image = tissue(3)
    difference = fit(method, [image], "itself")(image).astype(int) - image
    # 8-bit Lab does not hold every 8-bit colour: the round trip alone moves a channel by a few levels.
    assert np.abs(difference).max() <= (8 if method == "reinhard" else 1)


@pytest.mark.parametrize("method", METHODS)
def test_target_of_several_images_is_the_mean_of_their_statistics(method: ReinhardMethod) -> None:
    one, two = (fit(method, [tissue(seed)], "one") for seed in (1, 2))
    both = fit(method, [tissue(1), tissue(2)], "both")
    assert both.mean == pytest.approx(np.mean([one.mean, two.mean], axis=0))
    assert both.std == pytest.approx(np.mean([one.std, two.std], axis=0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_constant_image_stays_as_it_is(method: ReinhardMethod, level: int) -> None:
    image = np.full((10, 12, 3), level, np.uint8)
    assert np.abs(fit(method, [tissue(1)], "target")(image).astype(int) - image).max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_json_round_trip(method: ReinhardMethod) -> None:
    normalise = fit(method, [tissue(1)], "target.png")
    assert from_json(normalise.to_json(), "x") == normalise


@pytest.mark.parametrize(
    "change", [{"method": "paint"}, {"mean": [1, 2]}, {"std": [1, 0, 1]}, {"std": None}, {"mean": "abc"}]
)
def test_bad_json_is_named(change: dict[str, object]) -> None:
    good = Reinhard((1.0, 2.0, 3.0), (1.0, 1.0, 1.0)).to_json()
    with pytest.raises(InputError, match=r"p\.json: "):
        from_json({**good, **change}, "p.json")


def test_white_target_is_refused() -> None:
    with pytest.raises(InputError, match=r"white\.png: white or of one colour"):
        fit("reinhard", [np.full((8, 8, 3), 255, np.uint8)], "white.png")
    with pytest.raises(InputError, match="no tissue"):
        fit("reinhard", [], "nothing")


def test_float_lab_is_scikit_image_s(shared_data: Path) -> None:
    """OpenCV's float Lab against scikit-image's on a real image: the same colour space (sRGB, D65)."""
    from skimage.color import rgb2lab

    path = min(shared_data.glob("BreaKHis_v1/**/*-100-*.png"))
    image = read_image(path)
    lab = rgb2lab(image[:, :, ::-1])
    got = fit("reinhard-float", [image], "got")
    assert got.mean == pytest.approx(lab.mean((0, 1)), abs=0.2)
    assert got.std == pytest.approx(lab.std((0, 1)), abs=0.2)
