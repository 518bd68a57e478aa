"""From a results folder to the scores of each of its stages."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyhisto.evaluation.metrics import POSITIVE, Scores
from pyhisto.evaluation.predictions import read_predictions
from pyhisto.evaluation.strategies import Result, evaluate, fuse, list_strategies, sweep_lambda
from pyhisto.study.results import Experiment, Results, Stage

LAMBDAS = tuple(round(0.05 * step, 2) for step in range(21))

SUMMARY = {"1": "1 global", "2": "2 local", "3": "3 hybrid"}
"""The strategies that stand for the branches in the summary, and what they are called there."""


@dataclass(frozen=True)
class Scored:
    """The scores of one stage of one experiment; n images, c classes."""

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
        """All tested patients."""
        return frozenset(self.patient_of)

    def result(self, strategy: str) -> Result | None:
        """The result of a strategy; of Sum if several models were merged."""
        return next((result for result in self.results if result.strategy == strategy), None)


def score_results(results: Results, progress: Callable[[Iterable[Stage]], Iterable[Stage]] = iter) -> list[Scored]:
    """The scores of every stage that has predictions. Raises InputError if a predictions file is at fault."""
    pairs = [(experiment, stage) for experiment in results.experiments for stage in experiment.stages]
    experiments = iter([experiment for experiment, stage in pairs if stage.predictions])
    stages = [stage for _, stage in pairs if stage.predictions]
    return [_score(next(experiments), stage, stage.predictions, results.weight) for stage in progress(stages)]


def score_assembled(results: Results) -> list[Scored]:
    """The scores of every stage of every fold that has bags: of its bags' models merged, and none alone.

    Raises InputError if a predictions file is at fault, or the bags were not tested on the same images.
    """
    by_key: dict[tuple[str | None, str | None, str | None, str], list[tuple[Experiment, Stage]]] = {}
    for experiment in results.experiments:
        for stage in experiment.stages if experiment.bag is not None else ():
            key = experiment.fold, experiment.magnification, experiment.seed, stage.name
            by_key.setdefault(key, []).append((experiment, stage))
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
    strategies = list_strategies(predictions)
    merged = {strategy: fuse(predictions, strategy, weight) for strategy in SUMMARY if strategy in strategies}
    return Scored(
        experiment,
        stage,
        evaluate(predictions, strategies, weight),
        predictions.images,
        predictions.patients,
        predictions.labels,
        merged,
        sweep_lambda(predictions, LAMBDAS) if "3" in strategies else (),
    )


class StageFolds(NamedTuple):
    """One stage at one magnification, over its folds; bags and seeds count as folds."""

    magnification: str | None
    label: str
    """The stage's."""
    folds: list[Scored]


def group_folds(scored: Iterable[Scored]) -> list[StageFolds]:
    """The folds of each stage at each magnification, in the folder's order."""
    by_key: dict[tuple[str | None, str], list[Scored]] = {}
    for one in scored:
        by_key.setdefault((one.experiment.magnification, one.stage.label), []).append(one)
    return [StageFolds(magnification, label, folds) for (magnification, label), folds in by_key.items()]


def has_several_folds(scored: Iterable[Scored]) -> bool:
    """Whether any stage was run in more than one fold."""
    return any(len(group.folds) > 1 for group in group_folds(scored))


def find_scores(folds: Iterable[Scored], strategy: str, fusion: str | None = None) -> list[Scores]:
    """The scores of a strategy in each fold that has it; of every fusion of its models if none is named."""
    return [
        result.scores
        for one in folds
        for result in one.results
        if result.strategy == strategy and fusion in (None, result.fusion)
    ]


@dataclass(frozen=True)
class Pooled:
    """The test images of all folds of a stage at a magnification together."""

    magnification: str | None
    stage: str
    strategy: str
    labels: NDArray[np.int64]
    positive: NDArray[np.floating]
    """The probability of class 1."""


def pool_folds(scored: Sequence[Scored]) -> Iterator[Pooled]:
    """For ROC curves: every strategy of SUMMARY that all folds of a group have, if both classes were tested."""
    for magnification, label, folds in group_folds(scored):
        labels = np.concatenate([one.labels for one in folds])
        for strategy in SUMMARY if 0 < labels.sum() < len(labels) else ():
            if all(strategy in one.positive for one in folds):
                positive = np.concatenate([one.positive[strategy] for one in folds])
                yield Pooled(magnification, label, strategy, labels, positive)
