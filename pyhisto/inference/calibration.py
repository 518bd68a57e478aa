"""How far probabilities can be believed: temperature scaling and expected calibration error (Guo et al. 2017)."""

from dataclasses import dataclass

import numpy as np

from pyhisto.arrays import Floats, Ints
from pyhisto.errors import InputError

BINS = 15
"""Of confidence, equally wide; Guo et al.'s."""
RANGE = (0.05, 20.0)
"""Temperatures that are tried: with the validation images all right the best one is 0, which says nothing."""
SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Bin:
    """Predictions of about one confidence (the probability of the class that is named)."""

    low: float
    high: float
    count: int
    confidence: float
    """Their mean; 0 if there are none."""
    right: float
    """The share of them that is right; 0 if there are none."""


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """Probabilities (..., classes) at a temperature: Softmax(log p / T), for one network its scores divided by T."""
    scores = np.log(np.maximum(probabilities, SMALLEST)) / temperature
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=-1, keepdims=True))


def log_loss(probabilities: Floats, labels: Ints) -> float:
    """The mean of -log p of the true classes; n x classes and n."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, SMALLEST)).mean())


def fit_temperature(probabilities: Floats, labels: Ints) -> float:
    """The temperature, within RANGE, whose probabilities have the smallest log loss. Raises InputError without images.

    The loss is convex in 1 / T, so that a search on a line finds its minimum.
    """
    from scipy.optimize import minimize_scalar

    if not len(labels):
        raise InputError("no images to fit a temperature on; give the manifest some of split val")

    def loss(inverse: float) -> float:
        return log_loss(tempered(probabilities, 1 / inverse), labels)

    found = minimize_scalar(loss, bounds=(1 / RANGE[1], 1 / RANGE[0]), method="bounded", options={"xatol": 1e-5})
    return round(float(1 / found.x), 4)


def reliability(probabilities: Floats, labels: Ints, bins: int = BINS) -> list[Bin]:
    """Confidence against the share that is right, by confidence; a confidence of 1 counts to the last bin."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    made = []
    for index in range(bins):
        ours = number == index
        count = int(ours.sum())
        means = (float(confidence[ours].mean()), float(right[ours].mean())) if count else (0.0, 0.0)
        made.append(Bin(index / bins, (index + 1) / bins, count, *means))
    return made


def calibration_error(bins: list[Bin]) -> float:
    """The expected calibration error: the mean distance of confidence and share, weighted by images."""
    total = sum(part.count for part in bins)
    return sum(part.count * abs(part.confidence - part.right) for part in bins) / max(1, total)
