"""Augmentation: a function of its arguments alone, without black corners, of varied geometry."""

import cv2
import numpy as np

from data_prep.lmdbs.augment import COPIES, augmentations, random_crop, random_map
from pyhisto.preprocessing.images import Image


def picture() -> Image:
    noise = np.random.default_rng(0).integers(100, 256, (92, 140, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (7, 7), 2), np.uint8)


def test_same_arguments_same_image_whatever_else_is_made() -> None:
    many, few = list(augmentations(picture(), 1, "a", 5)), list(augmentations(picture(), 1, "a", 3))
    assert all(np.array_equal(one, other) for one, other in zip(few, many, strict=False))


def test_seed_name_and_index_each_matter() -> None:
    images = [
        *augmentations(picture(), 1, "a", 2),
        *augmentations(picture(), 2, "a", 1),
        *augmentations(picture(), 1, "b", 1),
    ]
    assert len({image.tobytes() for image in images}) == 4


def test_is_the_affine_map_about_the_centre_with_mirrored_surroundings() -> None:
    """The same map in one step of OpenCV, which rounds coordinates to 1/32 pixel: a level or two."""
    for index, image in enumerate(augmentations(picture(), 0, "a", 20)):
        linear, centre = random_map(0, "a", index), np.array([69.5, 45.5])
        affine = np.hstack([linear, (centre - linear @ centre)[:, np.newaxis]])
        expected = cv2.warpAffine(picture(), affine, (140, 92), borderMode=cv2.BORDER_REFLECT_101)
        difference = np.abs(image.astype(int) - expected)
        assert difference.max() <= 6
        assert difference.mean() < 0.5


def test_no_black_corner_and_shape_kept() -> None:
    for image in augmentations(picture(), 0, "a", 20 * COPIES):
        assert image.shape == (92, 140, 3)
        assert image.min() >= picture().min()  # interpolation and reflection never leave the range


def test_a_constant_image_stays_constant() -> None:
    grey = np.full((30, 40, 3), 137, np.uint8)
    assert all((image == 137).all() for image in augmentations(grey, 0, "a", 10))


def test_angles_cover_the_circle() -> None:
    """A bright dot right of the centre comes out in all four quadrants."""
    dot = np.zeros((101, 101, 3), np.uint8)
    dot[45:56, 75:86] = 255
    quadrants = set()
    for image in augmentations(dot, 0, "a", 40):
        rows, columns = np.nonzero(image[:, :, 0] > 100)
        quadrants.add((bool(rows.mean() > 50), bool(columns.mean() > 50)))
    assert len(quadrants) == 4


def test_thin_images_are_mirrored_more_than_once() -> None:
    for image in augmentations(picture()[:7], 0, "a", 20):
        assert image.shape == (7, 140, 3)
        assert image.min() >= picture().min()


def test_kone_s_keeps_shapes_and_sizes_and_crops_along_the_longer_side() -> None:
    """Rotation and reflection alone: no shear, no zoom; the crop's middle goes from end to end of what is left."""
    middles = []
    for index in range(200):
        linear = random_map(0, "a", index, "kone2018")
        assert np.allclose(linear @ linear.T, np.eye(2))  # lengths and angles stay as they are
        x, y = random_crop(0, "a", index, 140, 92)
        assert y == 0 and abs(x) <= 24  # (140 - 92) / 2
        middles.append(x)
    assert min(middles) < -20 and max(middles) > 20
    assert {np.sign(np.linalg.det(random_map(0, "a", index, "kone2018"))) for index in range(20)} == {-1, 1}


def test_kone_s_central_square_is_the_crop() -> None:
    for index, image in enumerate(augmentations(picture(), 0, "a", 10, "kone2018")):
        linear, centre = random_map(0, "a", index, "kone2018"), np.array([69.5, 45.5])
        middle = centre + random_crop(0, "a", index, 140, 92)
        affine = np.hstack([linear, (centre - linear @ middle)[:, np.newaxis]])
        expected = cv2.warpAffine(picture(), affine, (140, 92), borderMode=cv2.BORDER_REFLECT_101)
        difference = np.abs(image.astype(int) - expected)
        assert difference.max() <= 6 and difference.mean() < 0.5
