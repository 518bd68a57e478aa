"""How the probabilities of patches, branches and models become one decision per image.

Everywhere n is images, m patches of an image, c classes; a decision is the class of largest probability, the lower
number if two are equal.
"""

from collections.abc import Sequence

import numpy as np

from pyhisto.arrays import Floats

LAMBDA = 0.6
"""The weight of the local branch in eq. 1, as the paper selects it."""

NOTEBOOK_MARGIN = 0.3
NOTEBOOK_WEIGHTS = {  # magnification -> weight of the local branch, for the image level and for the patient level
    "40": (1.9, 6.2),
    "100": (5.9, 5.9),
    "200": (3.8, 8.5),
    "400": (3.65, 5.4),
}


def average(patches: Floats) -> Floats:
    """The mean of the patches' probabilities: the paper's L. Shape (n, m, c) -> (n, c)."""
    return np.asarray(patches.mean(axis=1))


def majority(patches: Floats) -> Floats:
    """The share of the patches that vote for each class: the paper's Max. Shape (n, m, c) -> (n, c).

    Shares, and not the winner alone: the winner's whole weight of 0.6 would overrule the global branch always, and
    3(Max) would be 2(Max), which it is not in Tables 2 and 3. A tie of votes goes to the larger mean probability.
    """
    classes = patches.shape[2]
    votes = np.eye(classes)[patches.argmax(axis=2)].mean(axis=1)
    tie_break = 1e-9  # below any difference of shares, above rounding
    return np.asarray((1 - tie_break) * votes + tie_break * average(patches))


def hybrid(local: Floats, whole: Floats, weight: float = LAMBDA) -> Floats:
    """Eq. 1: P = lambda L + (1 - lambda) G. Shapes (n, c) and (n, c) -> (n, c)."""
    return np.asarray(weight * local + (1 - weight) * whole)


def model_sum(models: Sequence[Floats]) -> Floats:
    """Sum fusion: the models' probabilities added (as their mean). Shape (n, c) each -> (n, c)."""
    return np.asarray(np.mean(models, axis=0))


def model_product(models: Sequence[Floats]) -> Floats:
    """Product fusion: the models' probabilities multiplied, scaled to sum 1. Shape (n, c) each -> (n, c).

    By logarithms: a thousand factors leave the range of a float. A probability of 0 counts as the smallest float32: one
    model whose Softmax underflowed does not decide alone against others that are as sure of the opposite.
    """
    smallest = float(np.finfo(np.float32).tiny)
    logarithms = np.log(np.maximum(models, smallest)).sum(axis=0)
    products = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return np.asarray(products / products.sum(axis=1, keepdims=True))


def model_max(models: Sequence[Floats]) -> Floats:
    """Max fusion: the single largest probability among all models and classes wins. Shape (n, c) each -> (n, c).

    The largest probability of each class, scaled to sum 1.
    """
    largest = np.max(models, axis=0)
    return np.asarray(largest / largest.sum(axis=1, keepdims=True))


def notebook_patches(patches: Floats) -> Floats:
    """The authors' published notebook: undecided patches (|p0 - p1| < 0.3) are dropped, the rest averaged.

    Shape (n, m, 2) -> (n, 2). Theirs divides by zero if an image loses all of its patches; here such an image keeps
    them all, that is, its plain average decides.
    """
    decided = np.abs(patches[..., 0] - patches[..., 1]) >= NOTEBOOK_MARGIN
    decided |= ~decided.any(axis=1, keepdims=True)
    return np.asarray((patches * decided[..., None]).sum(axis=1) / decided.sum(axis=1, keepdims=True))


def notebook_hybrid(local: Floats, whole: Floats, weight: float) -> Floats:
    """The authors' published notebook: P = w L + G, scaled to sum 1. Shapes (n, c) and (n, c) -> (n, c)."""
    return hybrid(local, whole, weight / (weight + 1))
