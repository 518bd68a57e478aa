import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn import metrics as peer

from pyhisto.evaluation import metrics

# Ten images of three patients. Patient 0: 4 images, 3 right; patient 1: 4, 2 right; patient 2: 2, both right.
LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 1])
PREDICTED = np.array([1, 1, 1, 0, 0, 0, 1, 1, 1, 1])
PATIENTS = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
SCORES = np.array([0.9, 0.8, 0.7, 0.4, 0.1, 0.3, 0.6, 0.7, 0.95, 0.85])


def test_worked_by_hand() -> None:
    s = metrics.score(LABELS, PREDICTED, SCORES, PATIENTS, classes=2)
    # TP 5, FN 1, TN 2, FP 2
    assert s.images == 10 and s.patients == 3
    assert s.il == pytest.approx(7 / 10)  # eq. 11
    assert s.pl == pytest.approx((3 / 4 + 2 / 4 + 2 / 2) / 3)  # eq. 9 and 10: 0.75
    assert s.ppv == s.precision == pytest.approx(5 / 7)  # eq. 12
    assert s.npv == pytest.approx(2 / 3)
    assert s.recall == pytest.approx(5 / 6)
    assert s.specificity == pytest.approx(2 / 4)
    assert s.f1 == pytest.approx(10 / 13)  # 2*5 / (2*5 + 2 + 1)
    # eq. 13: chance = (6*7 + 4*3) / 100 = 0.54; (0.7 - 0.54) / (1 - 0.54)
    assert s.kappa == pytest.approx(0.16 / 0.46)
    assert s.majority == pytest.approx(6 / 10)
    # Pairs of a malignant and a benign image: 24. Benign 0.1 and 0.3 lose all 6 each; 0.6 loses to all but 0.4: 5;
    # 0.7 loses to 0.9, 0.8, 0.95, 0.85: 4, and ties with 0.7: 0.5. 21.5 / 24.
    assert s.auc == pytest.approx(21.5 / 24)


def test_wilson_against_its_formula_by_hand() -> None:
    # 7 of 10, z = 1.959964, z^2 = 3.841459: centre (0.7 + 0.192073) / 1.384146 = 0.644493;
    # half width 1.959964 * sqrt(0.021 + 0.00960365) / 1.384146 = 0.342874 / 1.384146 = 0.247715
    interval = metrics.wilson(7, 10)
    assert_allclose([interval.low, interval.high], [0.396778, 0.892208], atol=2e-6)
    assert metrics.wilson(0, 10).low == pytest.approx(0, abs=1e-12) and metrics.wilson(10, 10).high == pytest.approx(1)
    assert math.isnan(metrics.wilson(0, 0).low)


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_rate_and_mirrors(counts: tuple[int, int]) -> None:
    successes, trials = counts
    interval, mirrored = metrics.wilson(successes, trials), metrics.wilson(trials - successes, trials)
    assert 0 <= interval.low <= successes / trials + 1e-12 and successes / trials - 1e-12 <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_bootstrap_is_seeded_and_about_the_normal_interval() -> None:
    rng = np.random.default_rng(1)
    patients = np.concatenate([np.arange(80), rng.integers(80, size=720)])
    correct = rng.random(800) < rng.uniform(0.6, 1.0, 80)[patients]
    first, again = (metrics.patient_bootstrap(correct, patients, seed=3) for _ in range(2))
    assert first == again
    assert first != metrics.patient_bootstrap(correct, patients, seed=4)
    scores = metrics.patient_scores(correct, patients)
    half = 1.96 * scores.std(ddof=1) / math.sqrt(80)
    assert_allclose([first.low, first.high], [scores.mean() - half, scores.mean() + half], atol=0.01)


def test_bootstrap_of_many_patients_needs_little_memory() -> None:
    n = 20_000  # where each image is its own patient: 10,000 draws of all of them at once would be 1.6 GB
    correct = np.random.default_rng(0).random(n) < 0.8
    tracemalloc.start()
    interval = metrics.patient_bootstrap(correct, np.arange(n))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    wilson = metrics.wilson(int(correct.sum()), n)
    assert_allclose([interval.low, interval.high], [wilson.low, wilson.high], atol=5e-4)


def test_undefined_is_nan_and_never_zero() -> None:
    ones = np.ones(4, int)
    s = metrics.score(ones, ones, np.full(4, 0.9), np.arange(4), classes=2)
    assert s.il == 1 and s.pl == 1 and s.ppv == 1
    assert all(math.isnan(x) for x in (s.kappa, s.npv, s.specificity, s.auc))
    assert math.isnan(metrics.score(ones, 0 * ones, np.zeros(4), np.arange(4), classes=2).ppv)


def test_more_than_two_classes_have_no_positive_one() -> None:
    labels, predicted = np.array([0, 1, 2, 3, 3]), np.array([0, 1, 2, 3, 0])
    s = metrics.score(labels, predicted, np.zeros(5), np.arange(5), classes=4)
    assert s.il == pytest.approx(0.8)
    assert s.kappa == pytest.approx(peer.cohen_kappa_score(labels, predicted))
    assert math.isnan(s.ppv) and math.isnan(s.auc)


def test_mean_and_spread() -> None:
    mean, spread = metrics.mean_and_spread(np.array([80.0, 82.0, 87.0]))
    assert mean == 83
    assert spread == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    assert math.isnan(metrics.mean_and_spread(np.array([80.0]))[1])


two_class = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda labels: 0 < sum(labels) < n),
        st.lists(st.integers(0, 8).map(lambda k: k / 8), min_size=n, max_size=n),  # few values: many ties
    )
)


@settings(deadline=None)
@given(two_class)
def test_equals_scikit_learn(sample: tuple[list[int], list[float]]) -> None:
    labels, scores = np.array(sample[0]), np.array(sample[1])
    predicted = (scores > 0.5).astype(int)
    s = metrics.score(labels, predicted, scores, np.arange(len(labels)), classes=2)
    nan = {"zero_division": np.nan}
    ours = [s.il, s.kappa, s.ppv, s.recall, s.specificity, s.npv, s.f1, s.auc]
    theirs = [
        peer.accuracy_score(labels, predicted),
        peer.cohen_kappa_score(labels, predicted),
        peer.precision_score(labels, predicted, **nan),
        peer.recall_score(labels, predicted, **nan),
        peer.recall_score(labels, predicted, pos_label=0, **nan),
        peer.precision_score(labels, predicted, pos_label=0, **nan),
        peer.f1_score(labels, predicted),
        peer.roc_auc_score(labels, scores),
    ]
    assert_allclose(ours, theirs, atol=1e-12)
    fpr, tpr, _ = peer.roc_curve(labels, scores, drop_intermediate=False)
    assert_allclose(metrics.roc(labels, scores), [fpr, tpr], atol=1e-12)


def test_wilson_holds_the_rate_at_both_ends_whatever_the_rounding() -> None:
    for trials in range(1, 500):
        assert metrics.wilson(0, trials).low == 0
        assert metrics.wilson(trials, trials).high == 1
        for successes in (0, trials // 2, trials):
            interval = metrics.wilson(successes, trials)
            assert 0 <= interval.low <= successes / trials <= interval.high <= 1


def test_balanced_accuracy_leaves_out_classes_without_images() -> None:
    assert metrics.balanced(np.array([[3, 1], [0, 4]])) == pytest.approx((0.75 + 1) / 2)
    assert metrics.balanced(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])) == pytest.approx((0.75 + 1) / 2)
    assert math.isnan(metrics.balanced(np.zeros((2, 2), int)))
