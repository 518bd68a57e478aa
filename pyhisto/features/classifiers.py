"""The four classifiers of Spanhol et al. 2015 (ref. [9]): 1-NN, QDA, SVM with a Gaussian kernel, random forest.

And logistic regression (LR), the plain one for a control.

How the publication scaled features and chose parameters is not known here; it was not at hand. In this module features
are standardised (mean 0, deviation 1 over the training images), and parameters are chosen by cross-validation in which
a training patient is on one side only, by the patient score that the publication reports. QDA cannot be had without a
parameter: histograms have linearly dependent bins and CLBP more bins than a class has images, so that no class's
covariance can be inverted; it is shrunk towards a multiple of the identity.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from pyhisto.arrays import Floats, Ints
from pyhisto.errors import InputError
from pyhisto.evaluation.metrics import patient_level

PARTS = 5
"""Of the cross-validation; fewer where a class has fewer training patients."""
TREES = 500


@dataclass(frozen=True)
class Classifier:
    """One classifier.

    Attributes:
        make: seed and chosen parameters -> a scikit-learn classifier that is not trained yet.
        grid: parameter -> the values to choose from, the simplest model first: of equals the first is taken.
    """

    make: Callable[..., Any]
    grid: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier that has seen the training patients.

    Attributes:
        parameters: what was chosen.
        patient_score: of the cross-validation with these parameters; NaN where a class has one training patient.
    """

    estimator: Any
    parameters: Mapping[str, float]
    patient_score: float

    def probabilities(self, values: Floats) -> Floats:
        """One row an image, sum 1; shape (n, d) -> (n, classes). The largest names the classifier's own decision.

        1-NN: 0 or 1. QDA, LR: the posterior. Random forest: the mean of its trees. SVM: a softmax of the decision
        values, two classes' single value f as 1 / (1 + exp(-f)); not calibrated.
        """
        if hasattr(self.estimator, "predict_proba"):
            return np.asarray(self.estimator.predict_proba(values))
        decision = np.asarray(self.estimator.decision_function(values))
        if decision.ndim == 1:
            decision = np.stack([np.zeros_like(decision), decision], axis=1)
        raised = np.exp(decision - decision.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _nearest(seed: int) -> Any:
    return KNeighborsClassifier(n_neighbors=1)


def _qda(seed: int, shrinkage: float) -> Any:
    return QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage, tol=0)


def _svm(seed: int, c: float, gamma: float) -> Any:
    return SVC(C=c, gamma=gamma, break_ties=True)


def _forest(seed: int) -> Any:
    return RandomForestClassifier(TREES, random_state=seed)


def _logistic(seed: int) -> Any:
    return LogisticRegression(max_iter=1000)


CLASSIFIERS: Mapping[str, Classifier] = MappingProxyType(
    {
        "1-NN": Classifier(_nearest, {}),
        "QDA": Classifier(_qda, {"shrinkage": (0.9, 0.5, 0.1, 0.01, 0.001)}),
        "SVM": Classifier(_svm, {"c": (1, 10, 100, 1000), "gamma": (1e-4, 1e-3, 1e-2, 1e-1)}),
        "RF": Classifier(_forest, {}),
        "LR": Classifier(_logistic, {}),
    }
)
"""Name (the publication's own, and LR) -> classifier."""

SPANHOL_2015 = ("1-NN", "QDA", "SVM", "RF")
"""Those of the publication."""


def train(name: str, values: Floats, labels: Ints, groups: Sequence[str], seed: int = 0) -> TrainedClassifier:
    """Choose the parameters of a classifier by cross-validation over patients, and train it on all of them.

    Args:
        name: of CLASSIFIERS.
        values: the training images' features, shape (n, d).
        labels: their classes, shape (n,), each of 0 .. classes - 1 at least twice.
        groups: their patients.
        seed: of the random forest.
    """
    counts = np.bincount(labels)
    if len(counts) < 2 or counts.min() < 2:
        raise InputError(f"training images per class are {counts.tolist()}; every class needs two or more")
    classifier = CLASSIFIERS[name]
    parts = deal_patients(labels, groups)
    patients = np.unique(groups, return_inverse=True)[1]

    def fit(chosen: Ints | slice, parameters: Mapping[str, float]) -> Any:
        pipeline = make_pipeline(StandardScaler(), classifier.make(seed, **parameters))
        return pipeline.fit(values[chosen], labels[chosen])

    def patient_score(parameters: Mapping[str, float]) -> float:
        decided = np.full_like(labels, -1)
        for part in range(parts.max() + 1):
            decided[parts == part] = fit(np.flatnonzero(parts != part), parameters).predict(values[parts == part])
        return patient_level(decided == labels, patients)

    with threadpool_limits(1):  # a sum in another order is another number
        grid = list(ParameterGrid(classifier.grid))
        scores = [patient_score(parameters) for parameters in grid] if parts.max() else [np.nan] * len(grid)
        best = int(np.argmax(scores))  # the first, where all are NaN
        return TrainedClassifier(fit(slice(None), grid[best]), grid[best], float(scores[best]))


def deal_patients(labels: Ints, groups: Sequence[str]) -> Ints:
    """The part of the cross-validation that each image is in, whole patients together; shape (n,), from 0.

    Each class's patients are dealt in turn, the largest first, so that every part has every class. As many parts as
    the smallest class has patients, PARTS at most. A patient's class is its first image's.
    """
    images: dict[str, list[int]] = {}
    for number, group in enumerate(groups):
        images.setdefault(group, []).append(number)
    by_class: dict[int, list[str]] = {}
    for group in sorted(images, key=lambda group: (-len(images[group]), group)):
        by_class.setdefault(int(labels[images[group][0]]), []).append(group)
    count = min(PARTS, *(len(patients) for patients in by_class.values()))
    parts = np.zeros(len(labels), np.int64)
    for patients in by_class.values():
        for turn, group in enumerate(patients):
            parts[images[group]] = turn % count
    return parts
