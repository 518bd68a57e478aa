"""Scores over folds: of one fold its value with its interval, of several their mean and spread."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pyhisto.evaluation.metrics import Interval, Scores, mean_and_spread
from pyhisto.tables.table import Estimate, Spread

MEASURES: Mapping[str, Callable[[Scores], float]] = {
    "IL": lambda s: 100 * s.il,
    "PL": lambda s: 100 * s.pl,
    "kappa": lambda s: s.kappa,
    "PPV": lambda s: 100 * s.ppv,
    "NPV": lambda s: 100 * s.npv,
    "F1": lambda s: 100 * s.f1,
    "precision": lambda s: 100 * s.precision,
    "recall": lambda s: 100 * s.recall,
    "specificity": lambda s: 100 * s.specificity,
    "AUC": lambda s: s.auc,
}
"""The measures that are averaged over folds, in the units of the paper's tables."""

INTERVALS: Mapping[str, Callable[[Scores], Estimate]] = {
    "IL": lambda s: to_percent(s.il, s.il_interval),
    "PL": lambda s: to_percent(s.pl, s.pl_interval),
}
"""The measures of which one fold alone has an interval."""

SPREAD_NOTE = "Mean ± standard deviation over folds."


def to_percent(rate: float, interval: Interval) -> Estimate:
    """A rate and its interval in percent."""
    return Estimate(100 * rate, 100 * interval.low, 100 * interval.high)


def summarize_folds(folds: Sequence[Scores], measure: str, several: bool | None = None) -> Estimate | Spread:
    """One measure over folds: of one fold its value with its interval, if there is one; of several, mean and spread.

    Args:
        folds: the scores of each fold, at least one.
        measure: one of MEASURES.
        several: whether the study has several folds, if that is not to be told from these: its tables then show a
            spread everywhere, an undefined one (NaN) of a single fold.
    """
    if several is None:
        several = len(folds) > 1
    if not several and measure in INTERVALS:
        return INTERVALS[measure](folds[0])
    return spread_over_folds(folds, measure)


def spread_over_folds(folds: Sequence[Scores], measure: str) -> Spread:
    """Mean and standard deviation over folds; the deviation of one fold alone is NaN."""
    return Spread(*mean_and_spread(np.array([MEASURES[measure](scores) for scores in folds])))


def mean_over_folds(folds: Sequence[Scores], measure: str) -> float:
    """The mean over folds alone."""
    return spread_over_folds(folds, measure).mean


def mean_majority(folds: Sequence[Scores]) -> float:
    """The mean over folds of what always naming the most frequent class reaches, in percent."""
    return 100 * float(np.mean([scores.majority for scores in folds]))


def to_bar(cell: Estimate | Spread) -> Estimate:
    """A value in percent with the ends of its error bar: the interval, or a standard deviation to either side."""
    if isinstance(cell, Estimate):
        return cell
    return Estimate(cell.mean, max(0.0, cell.mean - cell.std), min(100.0, cell.mean + cell.std))
