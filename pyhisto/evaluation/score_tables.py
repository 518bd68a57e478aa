"""Scores as rows of tables: the columns, their cells, and what a reader must know of them."""

from collections.abc import Sequence

import numpy as np

from pyhisto.evaluation.folds import INTERVALS
from pyhisto.evaluation.metrics import Scores
from pyhisto.evaluation.predictions import Predictions
from pyhisto.evaluation.remarks import remark_on_scores
from pyhisto.evaluation.strategies import PRINTED, Result
from pyhisto.tables.table import Cell, Column, Table

MAIN_COLUMNS = [*map(Column, ("images", "patients", "majority", "IL", "PL")), Column("kappa", 3)]
"""What every table of scores begins with."""

SCORE_COLUMNS = [
    Column("strategy"),
    Column("models"),
    *MAIN_COLUMNS,
    *(Column(name) for name in ("PPV", "NPV", "F1", "precision", "recall", "specificity")),
    Column("AUC", 3),
]

FRACTIONS = ("kappa", "AUC")
"""The measures that are no percentages, and are shown with three digits."""

MAJORITY_NOTE = "majority: the image level rate of always naming the most frequent class."
INTERVAL_NOTE = (
    "In brackets, 95% intervals: of IL Wilson's, which takes images as independent; of PL a bootstrap over patients, "
    "which has no width if all patients score alike."
)
SCORE_NOTES = (
    "IL, PL, PPV, NPV, F1, precision, recall, specificity and the majority rate in percent; kappa and AUC as they are.",
    MAJORITY_NOTE,
    INTERVAL_NOTE,
    "Class 1 (malignant) is positive. PPV (eq. 12) is precision under another name.",
)


def evaluation_table(predictions: Predictions, results: Sequence[Result], weight: float) -> Table:
    """The results of some strategies on some predictions; `weight` is lambda."""
    return Table(
        "evaluation",
        f"Classification results, lambda = {weight:g}",
        SCORE_COLUMNS,
        [score_cells(result) for result in results],
        [_describe(predictions), *_remarks(results, len(set(predictions.patients))), *SCORE_NOTES],
    ).without_empty_columns()


def measure_column(measure: str) -> Column:
    """The column of one of MEASURES."""
    return Column(measure, 3 if measure in FRACTIONS else 1)


def score_cells(result: Result) -> list[Cell]:
    """A result as a row of SCORE_COLUMNS; one model alone needs no naming."""
    s = result.scores
    rates = [s.ppv, s.npv, s.f1, s.precision, s.recall, s.specificity]
    return [
        PRINTED.get(result.strategy, result.strategy),
        f"{result.fusion} of {len(result.models)}" if len(result.models) > 1 else None,
        *main_cells(s),
        *(100 * rate for rate in rates),
        s.auc,
    ]


def main_cells(s: Scores) -> list[Cell]:
    """Scores as MAIN_COLUMNS."""
    return [s.images, s.patients, 100 * s.majority, INTERVALS["IL"](s), INTERVALS["PL"](s), s.kappa]


def _describe(predictions: Predictions) -> str:
    """What a table of these predictions counts, in a sentence."""
    per_class = np.bincount(predictions.labels, minlength=predictions.classes)
    classes = ", ".join(f"{count} of class {number}" for number, count in enumerate(per_class))
    return (
        f"{len(predictions.images)} images ({classes}) of {len(set(predictions.patients))} patients, "
        "patients as the manifest names them."
    )


def _remarks(results: Sequence[Result], patients: int) -> list[str]:
    """Whether a strategy is worse than no network, or than chance."""
    found: dict[str, dict[str, list[Scores]]] = {}
    for result in results:
        models = f"{result.fusion} of {len(result.models)}" if len(result.models) > 1 else result.fusion
        found.setdefault(models, {})[f"strategy {PRINTED.get(result.strategy, result.strategy)}"] = [result.scores]
    return list(remark_on_scores(found, patients))
