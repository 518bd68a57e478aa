"""What a reader has to know of rates, in sentences: whether they are of real data, and better than no network."""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TypeAlias

import numpy as np

from pyhisto.evaluation.metrics import Scores

MOST = 6
"""Stages, or models, that a sentence names; the tables name all."""

SYNTHETIC = (
    "Synthetic data. The images were made by a program: these figures say that the method runs, and nothing about real "
    "tissue."
)
"""What stands above everything that was measured on such data."""

IL, MAJORITY, AUC = attrgetter("il"), attrgetter("majority"), attrgetter("auc")

Rates: TypeAlias = Mapping[str, Sequence[Scores]]
"""What a network, or a strategy, is called -> its scores, one per fold."""


def remark_on_scores(found: Mapping[str, Rates], patients: int) -> Iterator[str]:
    """Rates below what no network is needed for, and orders worse than chance.

    Args:
        found: a stage's or model's name -> its rates.
        patients: how many were tested in all.
    """
    below, inverted = [], []
    for name, rates in found.items():
        mean = {
            strategy: [float(np.mean([of(s) for s in scores])) for of in (IL, MAJORITY, AUC)]
            for strategy, scores in rates.items()
            if scores
        }
        low = [f"{strategy} {100 * il:.1f}" for strategy, (il, majority, _) in mean.items() if il < majority]
        if low:
            majority = 100 * float(np.mean([majority for _, majority, _ in mean.values()]))
            below.append(f"{name}, {', '.join(low)}, majority {majority:.1f}")
        turned = [f"{strategy} {auc:.3f}" for strategy, (_, _, auc) in mean.items() if auc < 0.5]
        if turned:
            inverted.append(f"{name}, {', '.join(turned)}")
    if below:
        yield (
            "IL below the majority rate, which always naming the most frequent class of the test images reaches "
            f"without any network: {_list(below)}."
        )
    if inverted:
        yield (
            f"AUC below 0.5, the value of chance: {_list(inverted)}. Benign images get the higher probability of "
            f"malignant more often than malignant ones do: what was learnt of the training patients does not hold for "
            f"these {patients} patients, if it is more than chance. To invert the answers because of that would be "
            "to fit the test images."
        )


def _list(parts: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    return "; ".join(parts[:MOST]) + (f"; and {len(parts) - MOST} more" if len(parts) > MOST else "")
