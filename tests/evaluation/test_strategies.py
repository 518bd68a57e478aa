"""The paper's strategies, by hand on two images."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.evaluation.predictions import Predictions
from pyhisto.evaluation.strategies import evaluate, list_strategies, probabilities, sweep_lambda

Floats = NDArray[np.floating]


def two(malignant: Sequence[float] | Sequence[Sequence[float]]) -> Floats:
    """Both classes' probabilities."""
    p = np.array(malignant, dtype=float)
    return np.stack([1 - p, p], axis=-1)


# Two images of two patients, the first malignant, the second benign; three patches each.
WHOLE = two([0.2, 0.3])
LOCAL = two([[0.9, 0.45, 0.45], [0.1, 0.2, 0.9]])


def predictions(
    whole: Mapping[str, Floats] = MappingProxyType({"m": WHOLE}),
    local: Mapping[str, Floats] = MappingProxyType({"m": LOCAL}),
    labels: tuple[int, int] = (1, 0),
) -> Predictions:
    patches = {model: ("11", "12", "13") for model in local}
    return Predictions(("a", "b"), ("p", "q"), np.array(labels), 2, whole, local, patches)


def test_the_five_strategies_by_hand() -> None:
    p = predictions()
    assert_allclose(probabilities(p, "m", "1")[:, 1], [0.2, 0.3])
    assert_allclose(probabilities(p, "m", "2")[:, 1], [0.6, 0.4])
    assert_allclose(probabilities(p, "m", "2max")[:, 1], [1 / 3, 1 / 3], atol=1e-8)
    assert_allclose(probabilities(p, "m", "3")[:, 1], [0.6 * 0.6 + 0.4 * 0.2, 0.6 * 0.4 + 0.4 * 0.3])  # 0.44, 0.36
    assert_allclose(probabilities(p, "m", "3max")[:, 1], [0.2 + 0.08, 0.2 + 0.12], atol=1e-8)
    rates = {r.strategy: r.scores.il for r in evaluate(p, list_strategies(p))}
    assert rates == {"1": 0.5, "2": 1.0, "2max": 0.5, "3": 0.5, "3max": 0.5}


def test_lambda_weighs_the_local_branch() -> None:
    # The first image is right from 0.2 + 0.4 lambda > 0.5, lambda > 0.75; the second always.
    assert sweep_lambda(predictions(), [0, 0.5, 0.7, 0.8, 1]) == [0.5, 0.5, 0.5, 1, 1]
    assert evaluate(predictions(), ["3"], weight=0.8)[0].scores.il == 1


def test_only_what_the_files_allow() -> None:
    assert list_strategies(predictions(local={})) == ["1"]
    assert list_strategies(predictions(whole={})) == ["2", "2max"]
    assert list_strategies(predictions(local={"other": LOCAL})) == ["1", "2", "2max"]
    with pytest.raises(InputError, match="strategy 3: no model was predicted in both branches"):
        evaluate(predictions(local={}), ["3"])


def test_models_are_fused_after_their_branches() -> None:
    p = predictions(whole={"a": two([0.9, 0.1]), "b": two([0.4, 0.55])}, local={})
    by_sum, _, by_max = evaluate(p, ["1"])
    assert (by_sum.fusion, by_max.fusion) == ("sum", "max") and by_sum.models == ("a", "b")
    # Sum: 0.65 and 0.325: both right. Max: 0.9 > 0.6, and 0.9 (benign, of a) > 0.55: both right.
    assert by_sum.scores.il == by_max.scores.il == 1


def test_the_notebook_has_a_weight_of_its_own_for_patients() -> None:
    # 40X: w = 1.9 for images, 6.2 for patients. No patch has |p0 - p1| < 0.3.
    p = predictions(labels=(1, 1), whole={"m": two([0.2, 0.2])}, local={"m": two([[0.65] * 3, [0.66] * 3])})
    (result,) = evaluate(p, ["notebook"], magnification="40")
    # Image level: (1.9 * 0.65 + 0.2) / 2.9 = 0.4948 (wrong) and (1.9 * 0.66 + 0.2) / 2.9 = 0.5014 (right)
    assert result.scores.il == 0.5
    # Patient level: (6.2 * 0.65 + 0.2) / 7.2 = 0.5875: both right
    assert result.scores.pl == 1
    with pytest.raises(InputError, match="give --magnification"):
        evaluate(p, ["notebook"])
