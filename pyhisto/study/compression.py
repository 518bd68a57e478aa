"""The compressed states of a study's networks: what each is, how accurate, and how large.

The stages say what they are in stage.json: `ratio` (O), `loops` (R) and `method` (channel pruning if absent).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from pyhisto.evaluation.folds import summarize_folds, to_bar
from pyhisto.study.methods import METHOD
from pyhisto.study.results import Branch, Results, pruning_ratio
from pyhisto.study.scores import Scored, group_folds
from pyhisto.tables.table import Estimate


@dataclass(frozen=True)
class CompressionState:
    """One compressed network (or the one before compression), its folds averaged."""

    magnification: str | None
    label: str
    folds: Sequence[Scored]
    method: str
    ratio: float | None
    loops: int | None
    il: Estimate
    """Image level rate of the hybrid, else of the branch that there is, in percent: its Wilson 95% interval, or, of
    several folds, one standard deviation to either side of the mean."""
    weights: float | None
    flops: float | None
    size: float | None
    """Bytes of one branch's weights on disk, alike for every method: one bit per zero, four bytes per other value."""


def find_states(results: Results, scored: Sequence[Scored]) -> list[CompressionState]:
    """Every stage at every magnification."""
    found = []
    for magnification, label, folds in group_folds(scored):
        settings: Mapping[str, Any] = folds[0].stage.settings
        loops = settings.get("loops")
        found.append(
            CompressionState(
                magnification,
                label,
                folds,
                str(settings.get("method", METHOD)),
                pruning_ratio(folds[0].stage, results),
                loops if isinstance(loops, int) else None,
                _il(folds),
                _mean(folds, attrgetter("weights")),
                _mean(folds, attrgetter("flops")),
                _mean(folds, attrgetter("sparse_bytes")),
            )
        )
    return found


def fewest_loops(every: Sequence[CompressionState]) -> int | None:
    """The R that stages of other ratios are compared at; None if no stage says how many loops it took."""
    return min((state.loops for state in every if state.loops), default=None)


def _il(folds: Sequence[Scored]) -> Estimate:
    """IL of the hybrid; of the local, else the global branch if there is no hybrid."""
    found = [one.result("3") or one.result("2") or one.result("1") for one in folds]
    return to_bar(summarize_folds([result.scores for result in found if result is not None], "IL"))


def _mean(folds: Sequence[Scored], of: Callable[[Branch], float | None]) -> float | None:
    values = [value for one in folds for branch in one.stage.branches.values() if (value := of(branch)) is not None]
    return float(np.mean(values)) if values else None
