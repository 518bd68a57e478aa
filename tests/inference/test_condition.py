"""What is unusual about an image: glass, blur, other colours."""

import cv2
import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.inference.condition import Condition, Reference, measure, reference
from pyhisto.preprocessing.images import Image


def tissue(seed: int, shift: int = 0) -> Image:
    """Pink, with detail."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 60, (64, 64, 3)), (3, 3), 0.8)
    return np.clip(np.array([190 - shift, 120, 200]) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def usual() -> Reference:
    images = [tissue(seed) for seed in range(40)]
    return reference([measure(image, [image]) for image in images])


def words(usual: Reference, image: Image) -> list[str]:
    return [flag.split(" (")[0] for flag in usual.flags(measure(image, [image]))]


def test_each_fault_is_named_and_nothing_else(usual: Reference) -> None:
    assert words(usual, tissue(5)) == []
    assert "hardly any tissue" in words(usual, np.full((64, 64, 3), 244, np.uint8))
    assert words(usual, cv2.GaussianBlur(tissue(100), (9, 9), 3).astype(np.uint8))[0] == "blurred"
    assert words(usual, tissue(100, shift=120)) == ["colours far from the training images'"]


def test_colours_are_those_of_the_coloured_pixels() -> None:
    image = np.full((64, 64, 3), 240, np.uint8)
    image[:32] = (200, 100, 200)
    found = measure(image, [image])
    assert found.tissue == pytest.approx(0.5, abs=0.05)
    lab = cv2.cvtColor(np.array([[[200, 100, 200]]], np.uint8), cv2.COLOR_BGR2LAB)[0, 0]
    assert found.colours == pytest.approx((*lab, 0, 0, 0), abs=1.0)


def test_json_and_back(usual: Reference) -> None:
    assert Reference.from_json(usual.to_json(), "x") == usual
    with pytest.raises(InputError, match="x: reference needs images"):
        Reference.from_json({"images": 3}, "x")
    with pytest.raises(InputError, match="x: reference's colours are 6 numbers"):
        Reference.from_json({**usual.to_json(), "colours": [1, 2]}, "x")


def test_distance_by_hand() -> None:
    rule = Reference(9, 0.0, (100.0,) * 6, tuple(tuple(0.25 * (i == j) for j in range(6)) for i in range(6)), 5.0)
    assert rule.colour_distance(Condition(1, 1, (108.0, 94.0, 100.0, 100.0, 100.0, 100.0))) == 5.0  # root(64 + 36) / 2
