from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from pyhisto.evaluation import voting


def both(*malignant: float) -> NDArray[np.floating]:
    """Probabilities of two classes from those of the second; one image."""
    return np.array([[[1 - p, p] for p in malignant]])


def test_average_and_majority_can_disagree() -> None:
    patches = both(0.9, 0.45, 0.4)
    assert_allclose(voting.average(patches), [[1.25 / 3, 1.75 / 3]])  # 0.9 + 0.45 + 0.4 = 1.75: malignant
    assert_allclose(voting.majority(patches), [[2 / 3, 1 / 3]], atol=1e-8)  # two of three say benign


def test_a_tie_of_votes_goes_to_the_larger_mean() -> None:
    assert voting.majority(both(0.9, 0.4)).argmax() == 1  # mean 0.65
    assert voting.majority(both(0.6, 0.1)).argmax() == 0  # mean 0.35


def test_hybrid_is_equation_1() -> None:
    # 0.6 * 0.4 + 0.4 * 0.9 = 0.6
    assert_allclose(voting.hybrid(np.array([[0.6, 0.4]]), np.array([[0.1, 0.9]])), [[0.4, 0.6]])


def test_sum_and_max_fusion_can_disagree() -> None:
    models = [np.array([[0.05, 0.95]]), np.array([[0.6, 0.4]]), np.array([[0.9, 0.1]])]
    assert_allclose(voting.model_sum(models), [[1.55 / 3, 1.45 / 3]])  # Sum: benign
    assert_allclose(voting.model_max(models), [[0.9 / 1.85, 0.95 / 1.85]])  # 0.95 is the largest: malignant


def test_product_fusion() -> None:
    models = [np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]]), np.array([[0.75, 0.25]])]
    assert_allclose(
        voting.model_product(models), [[0.09 / 0.17, 0.08 / 0.17]]
    )  # 0.2*0.6*0.75 = 0.09, 0.8*0.4*0.25 = 0.08


def test_product_fusion_of_many_factors_and_of_zeros() -> None:
    thousand = [np.array([[0.49, 0.51]])] * 1000
    assert_allclose(voting.model_product(thousand), [[1 / (1 + (51 / 49) ** 1000), 1]], atol=1e-12)
    sure_both_ways = [np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]), np.array([[0.4, 0.6]])]
    assert_allclose(voting.model_product(sure_both_ways), [[0.4, 0.6]])


def test_notebook_drops_undecided_patches() -> None:
    # |p0 - p1| = 0.8, 0.2 (dropped), 0.4: mean of 0.9 and 0.3
    assert_allclose(voting.notebook_patches(both(0.9, 0.4, 0.3)), [[0.4, 0.6]])


def test_notebook_keeps_all_patches_where_none_is_decided() -> None:
    assert_allclose(voting.notebook_patches(both(0.5, 0.6, 0.55)), [[0.45, 0.55]])


def test_notebook_hybrid_weighs_the_local_branch() -> None:
    # w = 3: (3 * 0.2 + 1 * 0.8) / 4 = 0.35
    assert_allclose(voting.notebook_hybrid(np.array([[0.8, 0.2]]), np.array([[0.2, 0.8]]), 3), [[0.65, 0.35]])


def patch_probabilities() -> st.SearchStrategy[NDArray[np.floating]]:
    raw = arrays(np.float64, (4, 15, 3), elements=st.floats(0.01, 1))
    return raw.map(lambda values: values / values.sum(axis=2, keepdims=True))


@settings(deadline=None)
@given(patch_probabilities(), st.randoms())
@pytest.mark.parametrize("merge", [voting.average, voting.majority])
def test_merging_patches_gives_probabilities_whatever_their_order(
    merge: Callable[[NDArray[np.floating]], NDArray[np.floating]], patches: NDArray[np.floating], random: Random
) -> None:
    merged = merge(patches)
    assert_allclose(merged.sum(axis=1), 1)
    order = list(range(15))
    random.shuffle(order)
    assert_allclose(merge(patches[:, order]), merged, atol=1e-12)


@settings(deadline=None)
@given(patch_probabilities())
def test_lambda_1_is_local_and_0_is_global(patches: NDArray[np.floating]) -> None:
    local, whole = voting.average(patches), patches[:, 0]
    assert_allclose(voting.hybrid(local, whole, 1), local)
    assert_allclose(voting.hybrid(local, whole, 0), whole)
    assert_allclose(voting.hybrid(local, local, 0.6), local)
