"""What each step of a pruning makes of the test images: masked, cut, recalibrated, retrained."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.evaluation.folds import SPREAD_NOTE, summarize_folds
from pyhisto.evaluation.predictions import Predictions, read_predictions
from pyhisto.evaluation.score_tables import INTERVAL_NOTE
from pyhisto.evaluation.strategies import Result, evaluate, list_strategies
from pyhisto.study.results import Experiment, Results, Stage
from pyhisto.study.scores import SUMMARY, Scored, group_folds, has_several_folds
from pyhisto.tables.table import Cell, Column, Table

Values: TypeAlias = NDArray[np.floating]

TRAINED = "trained"
"""What the networks are called from which prunings start."""


@dataclass(frozen=True)
class ScoredStep:
    """One step of one loop of one pruning in one experiment."""

    experiment: Experiment
    stage: Stage
    loop: int
    step: str
    predictions: Predictions
    results: Sequence[Result]
    """Of the strategies of SUMMARY."""

    @property
    def place(self) -> tuple[str | None, str, int, str]:
        """What it shares with the same step in other folds."""
        return self.experiment.magnification, self.stage.label, self.loop, self.step


def score_steps(results: Results) -> list[ScoredStep]:
    """Every step that the results folder has predictions of. Raises InputError if a file is at fault."""
    return [
        _score(experiment, stage, loop.number, step, read_predictions(files), results.weight)
        for experiment in results.experiments
        for stage in experiment.stages
        for loop in stage.loops
        for step, files in loop.steps.items()
    ]


def _score(
    experiment: Experiment, stage: Stage, loop: int, step: str, predictions: Predictions, weight: float
) -> ScoredStep:
    strategies = [strategy for strategy in list_strategies(predictions) if strategy in SUMMARY]
    return ScoredStep(
        experiment, stage, loop, step, predictions, evaluate(predictions, strategies, weight, fusions=("sum",))
    )


def steps_table(steps: Sequence[ScoredStep], scored: Sequence[Scored]) -> Table | None:
    """The image level rate after every step, a row a step; None if there are no steps. `scored` has the first stage."""
    if not steps:
        return None
    several = has_several_folds(scored)
    by_place: dict[tuple[str | None, str, int, str], list[ScoredStep]] = {}
    for step in steps:
        by_place.setdefault(step.place, []).append(step)
    first = scored[0].stage.label
    rows = [
        _row((magnification, label, None, TRAINED), folds, several)
        for magnification, label, folds in group_folds(scored)
        if label == first
    ]
    rows += [_row(place, folds, several) for place, folds in by_place.items()]
    if all(step.loop == 1 for step in steps):
        rows = [[*row[:2], None, *row[3:]] for row in rows]
    columns = [*map(Column, ("magnification", "stage", "loop", "step", "images", *SUMMARY.values()))]
    notes = [
        "IL of the test part in percent, by branch and of both. "
        + (SPREAD_NOTE if several else INTERVAL_NOTE)
        + " Nothing was chosen by these figures.",
        "masked: the network from which the loop starts, the channels that go masked, before anything is cut out. "
        "cut: without them, not trained on. recalibrated: BatchNorm's statistics measured anew"
        f"{_batches(steps)}, nothing learned. retrained: trained on.",
    ]
    title = "Accuracy at each step of pruning, on the test part"
    return Table("pruning_steps", title, columns, rows, notes).without_empty_columns()


def _row(head: tuple[Cell, ...], folds: Sequence[Scored | ScoredStep], several: bool) -> list[Cell]:
    rates: list[Cell] = []
    for strategy in SUMMARY:
        scores = [result.scores for one in folds for result in one.results if result.strategy == strategy]
        rates.append(summarize_folds(scores, "IL", several) if scores else None)
    images = {one.experiment.fold: one.results[0].scores.images for one in folds if one.results}
    return [*head, sum(images.values()), *rates]


def _batches(steps: Sequence[ScoredStep]) -> str:
    """Over how many batches BatchNorm was recalibrated, if that was noted, and is the same everywhere."""
    found = {step.stage.settings.get("recalibrated_over") for step in steps}
    number = found.pop() if len(found) == 1 else None
    return f" over {number} training batches" if isinstance(number, int) else ""


def remark_on_steps(steps: Sequence[ScoredStep]) -> Iterator[str]:
    """Whether the masked and the cut networks agree, as they must."""
    cut = {(step.experiment.key, *step.place[:-1]): step for step in steps if step.step == "cut"}
    masked = [step for step in steps if step.step == "masked"]
    pairs = [(step, other) for step in masked if (other := cut.get((step.experiment.key, *step.place[:-1])))]
    if not pairs:
        return
    differences = [np.abs(one - other) for pair in pairs for one, other in _probabilities(*pair)]
    largest = max(float(difference.max(initial=0)) for difference in differences)
    count = sum(difference[..., 0].size for difference in differences)
    changed = sum(
        int((one.argmax(axis=-1) != other.argmax(axis=-1)).sum())
        for pair in pairs
        for one, other in _probabilities(*pair)
    )
    yield (
        f"The masked and the cut networks are the same function in two shapes: over {count:,} forward passes of test "
        f"images their probabilities differ by {largest:.2g} at most, and they name another class in {changed:,}."
    )


def _probabilities(masked: ScoredStep, cut: ScoredStep) -> Iterator[tuple[Values, Values]]:
    """The probabilities of both for the same images and patches, branch by branch; shape (n, ..., c)."""
    for name in ("whole", "local"):
        ours: Mapping[str, Values] = getattr(masked.predictions, name)
        theirs: Mapping[str, Values] = getattr(cut.predictions, name)
        for model in ours.keys() & theirs.keys():
            if ours[model].shape == theirs[model].shape:
                yield ours[model], theirs[model]
