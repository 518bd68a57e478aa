"""From a results folder to scores, and from scores to the tables of a report."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyhisto.evaluation.metrics import POSITIVE, Scores, mean_and_spread
from pyhisto.evaluation.predictions import read_predictions
from pyhisto.evaluation.strategies import FUSIONS, PRINTED, Result, available, evaluate, fused, lambda_sweep
from pyhisto.study.results import Branch, Experiment, Results, Stage
from pyhisto.tables.table import (
    SCORE_COLUMNS,
    SCORE_NOTES,
    Cell,
    Column,
    Estimate,
    Spread,
    Table,
    percent,
    score_cells,
)

LAMBDAS = tuple(round(0.05 * step, 2) for step in range(21))

SUMMARY = {"1": "1 global", "2": "2 local", "3": "3 hybrid"}
"""The strategies that stand for the branches in the summary, and what they are called there."""


COST_NOTE = (
    "Weights, FLOPs (2 per multiply-add, one forward pass of one image), caffemodel bytes and forward_ms (one batch, "
    "`caffe time`) of strategy 3 are both branches' together; the local branch passes 15 patches an image."
)


@dataclass(frozen=True)
class Scored:
    """The scores of one stage of one experiment."""

    experiment: Experiment
    stage: Stage
    results: Sequence[Result]
    images: tuple[str, ...]
    patient_of: tuple[str, ...]
    """Each image's patient."""
    labels: NDArray[np.int64]
    probabilities: Mapping[str, NDArray[np.floating]]
    """Strategy of SUMMARY -> the probabilities of each image, shape (n, c)."""
    sweep: Sequence[float]
    """IL of the hybrid at each of LAMBDAS; empty without both branches."""

    @cached_property
    def decided(self) -> Mapping[str, NDArray[np.int64]]:
        """Strategy of SUMMARY -> the class that it names for each image."""
        return {strategy: values.argmax(axis=1) for strategy, values in self.probabilities.items()}

    @cached_property
    def correct(self) -> Mapping[str, NDArray[np.bool_]]:
        """Strategy of SUMMARY -> whether it names each image's class."""
        return {strategy: classes == self.labels for strategy, classes in self.decided.items()}

    @property
    def positive(self) -> Mapping[str, NDArray[np.floating]]:
        """Strategy of SUMMARY -> the probability of class 1 of each image; two classes only."""
        return {strategy: p[:, POSITIVE] for strategy, p in self.probabilities.items() if p.shape[1] == 2}

    @property
    def best(self) -> str:
        """The strategy that stands for the stage: the hybrid, else the branch that there is."""
        return list(self.probabilities)[-1]

    @property
    def patients(self) -> frozenset[str]:
        """Everybody who was tested."""
        return frozenset(self.patient_of)

    def result(self, strategy: str) -> Result | None:
        """The scores of a strategy; those of Sum where several models were merged."""
        return next((result for result in self.results if result.strategy == strategy), None)


def score_results(results: Results, progress: Callable[[Iterable[Stage]], Iterable[Stage]] = iter) -> list[Scored]:
    """The scores of every stage that has predictions. Raises InputError where a predictions file is at fault."""
    pairs = [(experiment, stage) for experiment in results.experiments for stage in experiment.stages]
    experiments = iter([experiment for experiment, stage in pairs if stage.predictions])
    stages = [stage for _, stage in pairs if stage.predictions]
    return [_score(next(experiments), stage, stage.predictions, results.weight) for stage in progress(stages)]


def score_assembled(results: Results) -> list[Scored]:
    """The scores of every stage of every fold that has bags: of its bags' models merged, and none alone.

    Raises InputError where a predictions file is at fault, and where bags were not tested on the same images.
    """
    by_key: dict[tuple[str | None, str | None, str], list[tuple[Experiment, Stage]]] = {}
    for experiment in results.experiments:
        for stage in experiment.stages if experiment.bag is not None else ():
            by_key.setdefault((experiment.fold, experiment.magnification, stage.name), []).append((experiment, stage))
    return [
        _score(
            replace(bags[0][0], bag=None),
            bags[0][1],
            [path for _, stage in bags for path in stage.predictions],
            results.weight,
        )
        for bags in by_key.values()
        if len(bags) > 1 and all(stage.predictions for _, stage in bags)
    ]


def _score(experiment: Experiment, stage: Stage, files: Sequence[Path], weight: float) -> Scored:
    predictions = read_predictions(files)
    strategies = available(predictions)
    merged = {strategy: fused(predictions, strategy, weight) for strategy in SUMMARY if strategy in strategies}
    return Scored(
        experiment,
        stage,
        evaluate(predictions, strategies, weight),
        predictions.images,
        predictions.patients,
        predictions.labels,
        merged,
        lambda_sweep(predictions, LAMBDAS) if "3" in strategies else (),
    )


Group = tuple[str | None, str, list[Scored]]
"""Magnification, stage's label, and its folds; bags count as folds."""


def groups(scored: Sequence[Scored]) -> list[Group]:
    """The folds of each stage at each magnification, in the folder's order."""
    by_key: dict[tuple[str | None, str], list[Scored]] = {}
    for one in scored:
        by_key.setdefault((one.experiment.magnification, one.stage.label), []).append(one)
    return [(magnification, label, folds) for (magnification, label), folds in by_key.items()]


def summary_table(scored: Sequence[Scored]) -> Table:
    """Accuracy and cost of every stage: of the global branch, the local branch and the hybrid."""
    columns = [
        *map(Column, ("magnification", "stage", "strategy", "folds", "images", "patients", "majority", "IL", "PL"))
    ]
    columns += [Column("weights"), Column("FLOPs"), Column("caffemodel_bytes"), Column("forward_ms", 2)]
    several = several_folds(scored)
    rows: list[list[Cell]] = []
    for magnification, label, folds in groups(scored):
        for strategy, name in SUMMARY.items():
            found = [(one, result) for one in folds if (result := one.result(strategy)) is not None]
            if found:
                patients = frozenset().union(*(one.patients for one, _ in found))
                scores = [result.scores for _, result in found]
                rows.append(
                    [
                        magnification,
                        label,
                        name,
                        len(found) if several else None,
                        sum({one.experiment.fold: len(one.labels) for one, _ in found}.values()),
                        len(patients),
                        float(np.mean([100 * s.majority for s in scores])),
                        _over_folds([percent(s.il, s.il_interval) for s in scores], several),
                        _over_folds([percent(s.pl, s.pl_interval) for s in scores], several),
                        *_cost([one.stage for one, _ in found], strategy),
                    ]
                )
    notes = [
        "IL, PL and the majority rate in percent. "
        + ("Mean ± standard deviation over folds." if several else SCORE_NOTES[2]),
        SCORE_NOTES[1],
        *_bags_note(scored),
    ]
    if any(cell is not None for row in rows for cell in row[-4:]):
        notes.append(COST_NOTE)
    return Table("summary", "Accuracy and cost", columns, rows, notes).without_empty_columns()


def score_table(scored: Sequence[Scored]) -> Table:
    """Every measure of every strategy of every stage, magnification and fold."""
    rows: list[list[Cell]] = [
        [one.experiment.magnification, one.experiment.fold, one.experiment.bag, one.stage.label, *score_cells(result)]
        for one in scored
        for result in one.results
    ]
    columns = [*map(Column, ("magnification", "fold", "bag", "stage")), *SCORE_COLUMNS]
    return Table("scores", "Every strategy and measure", columns, rows, SCORE_NOTES).without_empty_columns()


ASSEMBLED_MEASURES = ("PL", "IL", "kappa", "PPV")
"""Those of Table 9."""


def assembled_table(scored: Sequence[Scored], assembled: Sequence[Scored]) -> Table:
    """Models of several bags merged by Sum and Max, beside the single models (section "Model assembling scheme")."""
    columns = [*map(Column, ("magnification", "fold", "stage", "strategy", "models", "images", "patients", "majority"))]
    columns += [Column(measure, 3 if measure == "kappa" else 1) for measure in ASSEMBLED_MEASURES]
    rows: list[list[Cell]] = []
    for one in assembled:
        place = one.experiment
        singles = [
            bag
            for bag in scored
            if replace(bag.experiment, bag=None, stages=()) == replace(place, stages=())
            and bag.stage.name == one.stage.name
        ]
        for strategy in dict.fromkeys(result.strategy for result in one.results):
            head: list[Cell] = [place.magnification, place.fold, one.stage.label, PRINTED.get(strategy, strategy)]
            for result in (result for result in one.results if result.strategy == strategy):
                s = result.scores
                rates: list[Cell] = [percent(s.pl, s.pl_interval), percent(s.il, s.il_interval), s.kappa, 100 * s.ppv]
                merged = f"{result.fusion.capitalize()} of {len(result.models)}"
                rows.append([*head, merged, s.images, s.patients, 100 * s.majority, *rates])
            spreads: list[Cell] = [spread_over_folds(singles, strategy, measure) for measure in ASSEMBLED_MEASURES]
            rows.append([*head, f"one of {len(singles)}", None, None, None, *spreads])
    notes = [
        "Sum: the models' probabilities added; Max: the single largest probability wins. one: mean ± standard "
        "deviation (n - 1) of the single models. kappa as it is, the rest in percent.",
        *SCORE_NOTES[1:3],
    ]
    return Table("assembling", "Models of several bags merged", columns, rows, notes).without_empty_columns()


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
    "IL": lambda s: percent(s.il, s.il_interval),
    "PL": lambda s: percent(s.pl, s.pl_interval),
}
"""The measures that one fold alone has an interval of."""


def spread_over_folds(folds: Sequence[Scored], strategy: str, measure: str, fusion: str | None = None) -> Spread | None:
    """Mean and standard deviation over folds of one measure of one strategy; None where no fold has it."""
    values = [
        MEASURES[measure](result.scores)
        for one in folds
        for result in one.results
        if result.strategy == strategy and fusion in (None, result.fusion)
    ]
    return Spread(*mean_and_spread(np.array(values))) if values else None


def over_folds(
    folds: Sequence[Scored], strategy: str, measure: str, fusion: str | None = None
) -> Estimate | Spread | None:
    """As `spread_over_folds`; IL and PL of one fold alone with their intervals."""
    found = [
        result.scores
        for one in folds
        for result in one.results
        if result.strategy == strategy and fusion in (None, result.fusion)
    ]
    if len(found) == 1 and measure in INTERVALS:
        return INTERVALS[measure](found[0])
    return spread_over_folds(folds, strategy, measure, fusion)


def mean_table(scored: Sequence[Scored]) -> Table:
    """Mean and standard deviation over folds of every measure."""
    columns = [Column("magnification"), Column("stage"), Column("strategy"), Column("models"), Column("folds")]
    columns += [Column(measure, 3 if measure in ("kappa", "AUC") else 1) for measure in MEASURES]
    rows: list[list[Cell]] = []
    for magnification, label, folds in groups(scored):
        for strategy, fusion in dict.fromkeys((r.strategy, r.fusion) for one in folds for r in one.results):
            spreads = [spread_over_folds(folds, strategy, measure, fusion) for measure in MEASURES]
            name = PRINTED.get(strategy, strategy)
            rows.append([magnification, label, name, fusion if fusion in FUSIONS else None, len(folds), *spreads])
    notes = ["Mean ± standard deviation (n - 1) over folds; kappa and AUC as they are, the rest in percent."]
    notes += _bags_note(scored)
    return Table("means", "Mean over folds", columns, rows, notes).without_empty_columns()


def _bags_note(scored: Sequence[Scored]) -> list[str]:
    """What a reader must know of the number of folds where there are bags."""
    return ["Each bag counts as a fold."] if any(one.experiment.bag is not None for one in scored) else []


def _over_folds(estimates: Sequence[Estimate], several: bool) -> Cell:
    """One fold: its value and interval; a study of several: mean and spread."""
    if not several:
        return estimates[0]
    return Spread(*mean_and_spread(np.array([estimate.value for estimate in estimates])))


def _cost(stages: Sequence[Stage], strategy: str) -> list[Cell]:
    """Weights, FLOPs, caffemodel bytes and milliseconds of the branches that a strategy uses; the mean over folds."""
    branches = {"1": ["global"], "2": ["local"], "3": ["global", "local"]}[strategy]
    totals = [
        [_total(stage, branches, of) for stage in stages]
        for of in map(attrgetter, ("weights", "flops", "caffemodel_bytes", "forward_ms"))
    ]
    cells: list[Cell] = []
    for total in totals:
        known = [value for value in total if value is not None]
        mean = float(np.mean(known)) if known and len(known) == len(total) else None
        cells.append(round(mean) if mean is not None and total is not totals[-1] else mean)
    return cells


def _total(stage: Stage, branches: Sequence[str], of: Callable[[Branch], float | None]) -> float | None:
    values = [of(stage.branches[name]) if name in stage.branches else None for name in branches]
    return None if None in values else sum(value for value in values if value is not None)


def several_folds(scored: Sequence[Scored]) -> bool:
    """Whether any stage was run in more than one fold."""
    return any(len(folds) > 1 for _, _, folds in groups(scored))


@dataclass(frozen=True)
class Pooled:
    """The test images of all folds of a stage at a magnification together."""

    magnification: str | None
    stage: str
    strategy: str
    labels: NDArray[np.int64]
    positive: NDArray[np.floating]
    """The probability of class 1."""


def pooled_folds(scored: Sequence[Scored]) -> Iterator[Pooled]:
    """For ROC curves: every strategy of SUMMARY that all folds of a group have, where both classes were tested."""
    for magnification, label, folds in groups(scored):
        labels = np.concatenate([one.labels for one in folds])
        for strategy in SUMMARY if 0 < labels.sum() < len(labels) else ():
            if all(strategy in one.positive for one in folds):
                positive = np.concatenate([one.positive[strategy] for one in folds])
                yield Pooled(magnification, label, strategy, labels, positive)
