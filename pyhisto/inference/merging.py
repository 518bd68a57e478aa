"""The network inputs of one image, merged into one answer, or one per rule."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from pyhisto.evaluation.strategies import FUSIONS
from pyhisto.inference.predict import Prediction


def fuse_patches(predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    """The patches of each image by each of FUSIONS, whose name then stands for the patch: three rows per image."""
    for patches in _by_image(predictions):
        probabilities = [np.array([patch.probabilities]) for patch in patches]
        for rule, fuse in FUSIONS.items():
            yield Prediction(patches[0].row, rule, tuple(map(float, fuse(probabilities)[0])))


def average_patches(predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    """The mean over the patches of each image, as one prediction of the whole image."""
    for patches in _by_image(predictions):
        mean = np.mean([patch.probabilities for patch in patches], axis=0)
        yield Prediction(patches[0].row, "", tuple(mean.tolist()))


def _by_image(predictions: Iterable[Prediction]) -> Iterator[list[Prediction]]:
    for _, patches in groupby(predictions, key=lambda prediction: prediction.row.path):
        yield list(patches)
