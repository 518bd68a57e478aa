"""The classifiers: who is trained on, how parameters are chosen, and what their probabilities are."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from pyhisto.errors import InputError
from pyhisto.features.classifiers import CLASSIFIERS, PARTS, SPANHOL_2015, deal_patients, train

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def ring(seed: int, patients: int = 8, images: int = 10) -> tuple[Floats, Ints, list[str]]:
    """Class 1 lies around class 0: no line parts them."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(patients) % 2, images)
    angle = rng.uniform(0, 2 * np.pi, len(labels))
    radius = np.where(labels == 1, 3, 1) + rng.normal(0, 0.2, len(labels))
    groups = [f"p{number}" for number in np.repeat(np.arange(patients), images)]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), labels, groups


@pytest.mark.parametrize("name", SPANHOL_2015)
def test_learns_what_can_be_learnt(name: str) -> None:
    values, labels, groups = ring(1, patients=4, images=20)
    trained = train(name, values, labels, groups)
    unseen, truth, _ = ring(2)
    probabilities = trained.probabilities(unseen)
    assert probabilities.shape == (80, 2)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(80))
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.95
    assert trained.patient_score > 0.9


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_largest_probability_is_the_classifier_s_decision_and_a_seed_repeats(name: str) -> None:
    rng = np.random.default_rng(3)
    values, labels = rng.normal(size=(60, 4)), np.tile([0, 1, 2], 20)
    values[:, 0] += labels
    groups = [f"p{number // 3 % 2}-{number % 3}" for number in range(60)]
    trained = train(name, values, labels, groups)
    probabilities = trained.probabilities(values)
    assert np.array_equal(probabilities.argmax(axis=1), trained.estimator.predict(values))
    assert np.array_equal(train(name, values, labels, groups).probabilities(values), probabilities)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_patients_are_not_on_both_sides(name: str) -> None:
    """Features that tell nothing but the patient: across patients nobody can be better than chance."""
    rng = np.random.default_rng(4)
    patients, images = 40, 8
    groups = [f"p{number}" for number in np.repeat(np.arange(patients), images)]
    centres = np.repeat(rng.normal(size=(patients, 6)) * 10, images, axis=0)
    labels = np.repeat(np.arange(patients) % 2, images)
    values = centres + rng.normal(size=centres.shape) * 0.01
    trained = train(name, values, labels, groups)
    assert trained.patient_score < 0.7
    if name not in ("QDA", "LR"):  # a Gaussian a class, or a plane, cannot learn forty patients by heart
        assert (trained.probabilities(values).argmax(axis=1) == labels).mean() > 0.95


def test_nearest_neighbour_after_scaling() -> None:
    """Deviations are 100 in the first feature and 0.1 in the second: unscaled, the first alone would decide."""
    values = np.array([[0, 0.0], [200, 0.0], [0, 0.2], [200, 0.2]])
    labels = np.array([0, 0, 1, 1])
    trained = train("1-NN", values, labels, ["a", "b", "c", "d"])
    # (120, 0.03) is (0.8, 0.3) deviations from (200, 0), the nearest; (0.8, 1.7) from (200, 0.2).
    assert trained.probabilities(np.array([[120, 0.03], [120, 0.17]])).tolist() == [[1, 0], [0, 1]]


def test_qda_is_bayes_rule_with_shrunk_gaussians() -> None:
    values, labels, groups = ring(5)
    trained = train("QDA", values, labels, groups)
    scaled = (values - values.mean(0)) / values.std(0)
    densities = []
    for label in (0, 1):
        own = scaled[labels == label]
        covariance, s = np.cov(own.T, bias=True), trained.parameters["shrinkage"]
        shrunk = (1 - s) * covariance + s * np.trace(covariance) / 2 * np.eye(2)
        densities.append(multivariate_normal(own.mean(0), shrunk).pdf(scaled) * len(own) / len(scaled))
    posterior = np.array(densities).T / np.sum(densities, axis=0)[:, None]
    assert trained.probabilities(values) == pytest.approx(posterior, abs=1e-9)


def test_qda_takes_more_features_than_images() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(size=(20, 50))
    values[:, 7] = 3  # an empty bin of a histogram
    labels = np.arange(20) % 2
    trained = train("QDA", values, labels, [f"p{n}" for n in range(20)])
    assert np.isfinite(trained.probabilities(values)).all()


def test_logistic_regression_is_at_the_least_of_its_loss() -> None:
    """Where the gradient of the sum of log losses + |w|^2 / 2 is 0: X'(p - y) = -w, with no penalty on the offset."""
    rng = np.random.default_rng(8)
    values, labels = rng.normal(5, 3, size=(60, 3)), np.arange(60) % 2
    values[:, 1] += 2 * labels
    p = train("LR", values, labels, [f"p{n}" for n in range(60)]).probabilities(values)[:, 1]
    scaled = (values - values.mean(0)) / values.std(0)
    logits = np.log(p / (1 - p))
    w, offset = np.split(np.linalg.lstsq(np.c_[scaled, np.ones(60)], logits, rcond=None)[0], [3])
    assert scaled @ w + offset == pytest.approx(logits, abs=1e-9)
    assert scaled.T @ (p - labels) == pytest.approx(-w, abs=1e-2)
    assert (p - labels).sum() == pytest.approx(0, abs=1e-2)


def test_of_equal_parameters_the_simplest() -> None:
    """No feature tells anything: every SVM names the larger class."""
    labels = np.array([0] * 8 + [1] * 12)
    trained = train("SVM", np.ones((20, 3)), labels, [f"p{n // 4}" for n in range(20)])
    assert trained.parameters == {name: values[0] for name, values in CLASSIFIERS["SVM"].grid.items()}
    assert trained.patient_score == pytest.approx(3 / 5)


def test_deal_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    groups = ["a", "a", "a", "b", "c", "d", "d", "e", "e", "e"]
    # Class 0: a (3 images), b. Class 1: e (3), d (2), c (1). Two parts: a, b; e, d, e's part again for c.
    assert deal_patients(labels, groups).tolist() == [0, 0, 0, 1, 0, 1, 1, 0, 0, 0]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=30))
def test_parts_keep_patients_whole_and_hold_every_class(patients: list[tuple[int, int]]) -> None:
    present = sorted({label for label, _ in patients})
    labels = np.array([present.index(label) for label, images in patients for _ in range(images)])
    groups = [f"p{number}" for number, (_, images) in enumerate(patients) for _ in range(images)]
    parts = deal_patients(labels, groups)
    fewest = min(sum(label == one for label, _ in patients) for one in present)
    assert set(parts.tolist()) == set(range(min(PARTS, fewest)))
    assert all(a == b for (a, p), (b, q) in pairwise(zip(parts, groups, strict=True)) if p == q)
    for part in set(parts.tolist()):
        assert set(labels[parts == part].tolist()) == set(range(len(present)))


def test_one_patient_a_class_leaves_nothing_to_choose_by() -> None:
    values, labels, _ = ring(7)
    trained = train("SVM", values, labels, ["benign" if label == 0 else "malignant" for label in labels])
    assert np.isnan(trained.patient_score)
    assert trained.parameters == {name: values[0] for name, values in CLASSIFIERS["SVM"].grid.items()}


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1]])
def test_too_few_of_a_class(labels: list[int]) -> None:
    with pytest.raises(InputError, match="every class needs two or more"):
        train("1-NN", np.ones((4, 2)), np.array(labels), list("abcd"))
