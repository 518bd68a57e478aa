"""PFTAS: neighbours counted by hand, and mahotas's own numbers."""

import cv2
import mahotas.features
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from pyhisto.features.pftas import adjacency, channel_pftas, pftas


def test_neighbours_by_hand() -> None:
    mask = np.zeros((4, 4), bool)
    mask[1, 1] = True
    # Of the 15 pixels outside, the 8 around (1, 1) have one neighbour inside; the mirrored border adds none.
    assert adjacency(mask) == pytest.approx([7 / 15, 8 / 15, 0, 0, 0, 0, 0, 0, 0])
    mask[:] = True
    assert adjacency(mask).tolist() == [0] * 9
    mask[2, 2] = False
    assert adjacency(mask).tolist() == [0] * 8 + [1]
    # In the corner two of its 8 neighbours are itself, mirrored, and so is the third beyond the corner.
    mask[:] = True
    mask[0, 0] = False
    assert adjacency(mask).tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0]


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=12), elements=st.integers(0, 255)))
def test_mahotas_s_numbers(channel: NDArray[np.uint8]) -> None:
    assert np.array_equal(channel_pftas(channel), mahotas.features.pftas(channel))


@pytest.mark.parametrize("blur", [1, 3])
def test_mahotas_s_numbers_on_smooth_images_red_first(blur: int) -> None:
    noise = np.random.default_rng(blur).integers(0, 256, (90, 120, 3), np.uint8)
    image = np.asarray(cv2.GaussianBlur(noise, (0, 0), blur), np.uint8)
    theirs = np.concatenate([mahotas.features.pftas(image[..., channel]) for channel in (2, 1, 0)])
    assert pftas(image) == pytest.approx(theirs, abs=1e-7)
    assert pftas(image).shape == (162,)
