"""The tables of a study's scores: the summary, every measure, means over folds, models of several bags merged."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np

from pyhisto.evaluation.folds import (
    INTERVALS,
    MEASURES,
    SPREAD_NOTE,
    mean_majority,
    spread_over_folds,
    summarize_folds,
)
from pyhisto.evaluation.score_tables import (
    INTERVAL_NOTE,
    MAJORITY_NOTE,
    SCORE_COLUMNS,
    SCORE_NOTES,
    measure_column,
    score_cells,
)
from pyhisto.evaluation.strategies import FUSIONS, PRINTED
from pyhisto.study.results import LEVELS, Branch, Stage
from pyhisto.study.scores import SUMMARY, Scored, StageFolds, find_scores, group_folds, has_several_folds
from pyhisto.tables.table import Cell, Column, Table

COST_NOTE = (
    "Weights, FLOPs (2 per multiply-add, one forward pass of one image), caffemodel bytes and forward_ms (one batch, "
    "`caffe time`) of strategy 3 are both branches' together; the local branch passes 15 patches per image."
)

ASSEMBLED_MEASURES = ("PL", "IL", "kappa", "PPV")
"""Those of Table 9."""


def summary_table(scored: Sequence[Scored]) -> Table:
    """Accuracy and cost of every stage: of the global branch, the local branch and the hybrid."""
    columns = [
        *map(Column, ("magnification", "stage", "strategy", "folds", "images", "patients", "majority", "IL", "PL"))
    ]
    columns += [Column("weights"), Column("FLOPs"), Column("caffemodel_bytes"), Column("forward_ms", 2)]
    several = has_several_folds(scored)
    rows = [
        _summary_row(group, strategy, several)
        for group in group_folds(scored)
        for strategy in SUMMARY
        if any(one.result(strategy) for one in group.folds)
    ]
    notes = [
        "IL, PL and the majority rate in percent. " + (SPREAD_NOTE if several else INTERVAL_NOTE),
        MAJORITY_NOTE,
        *_folds_notes(scored),
    ]
    if any(cell is not None for row in rows for cell in row[-4:]):
        notes.append(COST_NOTE)
    return Table("summary", "Accuracy and cost", columns, rows, notes).without_empty_columns()


def _summary_row(group: StageFolds, strategy: str, several: bool) -> list[Cell]:
    found = [(one, result.scores) for one in group.folds if (result := one.result(strategy)) is not None]
    scores = [own for _, own in found]
    return [
        group.magnification,
        group.label,
        SUMMARY[strategy],
        len(found) if several else None,
        sum({one.experiment.fold: len(one.labels) for one, _ in found}.values()),
        len(frozenset().union(*(one.patients for one, _ in found))),
        mean_majority(scores),
        *(summarize_folds(scores, measure, several) for measure in INTERVALS),
        *_cost_cells([one.stage for one, _ in found], strategy),
    ]


def score_table(scored: Sequence[Scored]) -> Table:
    """Every measure of every strategy of every stage, magnification and fold."""
    rows: list[list[Cell]] = [
        [*(getattr(one.experiment, level) for level in LEVELS), one.stage.label, *score_cells(result)]
        for one in scored
        for result in one.results
    ]
    columns = [*map(Column, (*LEVELS, "stage")), *SCORE_COLUMNS]
    return Table("scores", "Every strategy and measure", columns, rows, SCORE_NOTES).without_empty_columns()


def mean_table(scored: Sequence[Scored]) -> Table:
    """Mean and standard deviation over folds of every measure."""
    columns = [Column("magnification"), Column("stage"), Column("strategy"), Column("models"), Column("folds")]
    columns += [measure_column(measure) for measure in MEASURES]
    rows: list[list[Cell]] = []
    for magnification, label, folds in group_folds(scored):
        for strategy, fusion in dict.fromkeys((r.strategy, r.fusion) for one in folds for r in one.results):
            scores = find_scores(folds, strategy, fusion)
            models = fusion if fusion in FUSIONS else None
            spreads = [spread_over_folds(scores, measure) for measure in MEASURES]
            rows.append([magnification, label, PRINTED.get(strategy, strategy), models, len(folds), *spreads])
    notes = ["Mean ± standard deviation (n - 1) over folds; kappa and AUC as they are, the rest in percent."]
    notes += _folds_notes(scored)
    return Table("means", "Mean over folds", columns, rows, notes).without_empty_columns()


def assembled_table(scored: Sequence[Scored], assembled: Sequence[Scored]) -> Table:
    """Models of several bags merged by Sum and Max, beside the single models (section "Model assembling scheme")."""
    columns = [*map(Column, ("magnification", "fold", "stage", "strategy", "models", "images", "patients", "majority"))]
    columns += [measure_column(measure) for measure in ASSEMBLED_MEASURES]
    rows: list[list[Cell]] = []
    for one in assembled:
        experiment = replace(one.experiment, stages=())
        singles = [
            bag
            for bag in scored
            if replace(bag.experiment, bag=None, stages=()) == experiment and bag.stage.name == one.stage.name
        ]
        for strategy in dict.fromkeys(result.strategy for result in one.results):
            name = PRINTED.get(strategy, strategy)
            head: list[Cell] = [experiment.magnification, experiment.fold, one.stage.label, name]
            for result in (result for result in one.results if result.strategy == strategy):
                s = result.scores
                merged = f"{result.fusion.capitalize()} of {len(result.models)}"
                rates = [summarize_folds([s], measure, several=False) for measure in ("PL", "IL")]
                rows.append([*head, merged, s.images, s.patients, 100 * s.majority, *rates, s.kappa, 100 * s.ppv])
            alone = find_scores(singles, strategy)
            spreads = [spread_over_folds(alone, measure) if alone else None for measure in ASSEMBLED_MEASURES]
            rows.append([*head, f"one of {len(singles)}", None, None, None, *spreads])
    notes = [
        "Sum: the models' probabilities added; Max: the single largest probability wins. one: mean ± standard "
        "deviation (n - 1) of the single models. kappa as it is, the rest in percent.",
        MAJORITY_NOTE,
        INTERVAL_NOTE,
    ]
    return Table("assembling", "Models of several bags merged", columns, rows, notes).without_empty_columns()


def _folds_notes(scored: Sequence[Scored]) -> list[str]:
    """What a reader must know of the number of folds if there are bags, or seeds."""
    return [
        f"Each {level} counts as a fold."
        for level in ("bag", "seed")
        if any(getattr(one.experiment, level) is not None for one in scored)
    ]


def _cost_cells(stages: Sequence[Stage], strategy: str) -> list[Cell]:
    """Weights, FLOPs, caffemodel bytes and milliseconds of the branches that a strategy uses; the mean over folds."""
    branches = {"1": ["global"], "2": ["local"], "3": ["global", "local"]}[strategy]
    means = [
        _mean([_total(stage, branches, attrgetter(name)) for stage in stages])
        for name in ("weights", "flops", "caffemodel_bytes", "forward_ms")
    ]
    return [*(None if mean is None else round(mean) for mean in means[:-1]), means[-1]]


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean; None if a value is not known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _total(stage: Stage, branches: Sequence[str], of: Callable[[Branch], float | None]) -> float | None:
    values = [of(stage.branches[name]) if name in stage.branches else None for name in branches]
    return None if None in values else sum(value for value in values if value is not None)
