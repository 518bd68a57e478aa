"""Scores over folds: one fold has an interval, several have a spread."""

import math

import pytest

from pyhisto.evaluation.folds import mean_majority, mean_over_folds, summarize_folds, to_bar
from pyhisto.evaluation.metrics import Interval, Scores
from pyhisto.tables.table import Estimate, Spread


def scores(il: float, kappa: float = 0.5) -> Scores:
    interval = Interval(il - 0.1, il + 0.05)
    return Scores(10, 5, 0.6, il, interval, il, interval, kappa, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7)


def test_one_fold_has_its_interval_and_several_have_a_spread() -> None:
    one = summarize_folds([scores(0.8)], "IL")
    assert isinstance(one, Estimate) and (one.value, one.low, one.high) == pytest.approx((80, 70, 85))
    # Mean 80; (100 + 0 + 100) / 2 = 100, whose root is 10.
    folds = [scores(0.7), scores(0.8), scores(0.9)]
    several = summarize_folds(folds, "PL")
    assert isinstance(several, Spread) and (several.mean, several.std) == pytest.approx((80, 10))
    assert mean_over_folds(folds, "IL") == pytest.approx(80) and mean_majority(folds) == pytest.approx(60)


def test_what_has_no_interval_is_a_value_of_one_fold() -> None:
    found = summarize_folds([scores(0.8, kappa=0.25)], "kappa")
    assert isinstance(found, Spread) and found.mean == 0.25 and math.isnan(found.std)


def test_one_fold_of_a_study_of_several_shows_no_interval() -> None:
    found = summarize_folds([scores(0.8)], "IL", several=True)
    assert isinstance(found, Spread) and found.mean == 80 and math.isnan(found.std)


def test_bars_end_at_0_and_100() -> None:
    assert to_bar(Estimate(80, 70, 85)) == Estimate(80, 70, 85)
    assert to_bar(Spread(80, 15)) == Estimate(80, 65, 95)
    assert to_bar(Spread(95, 10)) == Estimate(95, 85, 100) and to_bar(Spread(5, 10)) == Estimate(5, 0, 15)
