"""Augmentation: a function of its arguments alone, without black corners, of varied geometry."""

import cv2
import numpy as np

from data_prep.augment import COPIES, augmented
from pyhisto.preprocessing.images import Image


def picture() -> Image:
    noise = np.random.default_rng(0).integers(100, 256, (92, 140, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (7, 7), 2), np.uint8)


def test_same_arguments_same_image() -> None:
    assert np.array_equal(augmented(picture(), 1, "a", 2), augmented(picture(), 1, "a", 2))


def test_seed_name_and_index_each_matter() -> None:
    images = [augmented(picture(), *key) for key in [(1, "a", 2), (2, "a", 2), (1, "b", 2), (1, "a", 3)]]
    assert len({image.tobytes() for image in images}) == 4


def test_no_black_corner_and_shape_kept() -> None:
    for index in range(20 * COPIES):
        image = augmented(picture(), 0, "a", index)
        assert image.shape == (92, 140, 3)
        assert image.min() >= picture().min()  # interpolation and reflection never leave the range


def test_a_constant_image_stays_constant() -> None:
    grey = np.full((30, 40, 3), 137, np.uint8)
    assert all((augmented(grey, 0, "a", index) == 137).all() for index in range(10))


def test_angles_cover_the_circle() -> None:
    """A bright dot right of the centre comes out in all four quadrants."""
    dot = np.zeros((101, 101, 3), np.uint8)
    dot[45:56, 75:86] = 255
    quadrants = set()
    for index in range(40):
        rows, columns = np.nonzero(augmented(dot, 0, "a", index)[:, :, 0] > 100)
        quadrants.add((bool(rows.mean() > 50), bool(columns.mean() > 50)))
    assert len(quadrants) == 4
