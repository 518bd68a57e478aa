"""The compared methods' scores: of each model and fusion in one experiment, and of each method over its folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.evaluation.metrics import Scores
from pyhisto.evaluation.predictions import Predictions, read_predictions
from pyhisto.evaluation.strategies import FUSIONS, score_probabilities
from pyhisto.study.compared.methods import Method
from pyhisto.study.scores import Scored

PATCH_RULE = "sum"
"""The rule that merges patches wherever only one is shown: the plain average."""

HYBRID = "hybrid"
HYBRID_LABEL = "Zhu 2019, hybrid before pruning"

PRINTED_AS = {
    "spanhol2015": "spanhol2015 [9]",
    "bayramoglu2016_single": "bayramoglu2016 [17]",
    "bayramoglu2016_multi": "bayramoglu2016 [17]",
    "spanhol2016": "spanhol2016 [11]",
    HYBRID: "zhu2019 compact hybrid",
}
"""A method's folder (or HYBRID) -> what the printed tables call it, in Table 8's order."""


@dataclass(frozen=True)
class ScoredMethod:
    """A method's scores in one experiment."""

    method: Method
    patients: frozenset[str]
    rows: Mapping[str, Scores]
    """By model, and by fusion of the models ("Max fusion")."""
    by_rule: Mapping[str, Scores]
    """By model and rule, if patches were merged by other rules than PATCH_RULE."""

    @property
    def selected(self) -> Scores:
        """What stands for the method."""
        return self.rows[self.method.selected or next(iter(self.rows))]


def score_method(method: Method) -> ScoredMethod:
    """Score a method's models and their fusions. Raises InputError if a predictions file is at fault."""
    if not method.predictions:
        raise InputError(f"compared method {method.label}: has no predictions.csv; run it again")
    predictions = read_predictions(method.predictions)
    by_model = {model: _image_level(predictions, model, PATCH_RULE) for model in predictions.models}
    rows = {model: score_probabilities(predictions, values) for model, values in by_model.items()}
    for fusion in method.fusions if len(by_model) > 1 else ():
        rows[_fusion_name(fusion)] = score_probabilities(predictions, FUSIONS[fusion](list(by_model.values())))
    if method.selected is not None and method.selected not in rows:
        raise InputError(f"compared method {method.label}: selected is {method.selected!r}, which was not predicted")
    by_rule = {
        f"{model}, patches by {rule}": score_probabilities(predictions, _image_level(predictions, model, rule))
        for model, patches in predictions.patches.items()
        for rule in FUSIONS
        if rule in patches and rule != PATCH_RULE
    }
    return ScoredMethod(method, frozenset(predictions.patients), rows, by_rule)


def _fusion_name(fusion: str) -> str:
    """What tables call a fusion: Table 9's "Max fusion"."""
    return f"{fusion.capitalize()} fusion"


def _image_level(predictions: Predictions, model: str, rule: str) -> NDArray[np.floating]:
    """A model's probabilities of each image, shape (n, c): as they are, or its patches merged by a rule."""
    if model in predictions.whole:
        return predictions.whole[model]
    patches = predictions.patches[model]
    if rule in patches:
        return predictions.local[model][:, patches.index(rule)]
    return FUSIONS[rule](list(predictions.local[model].swapaxes(0, 1)))


@dataclass(frozen=True)
class MethodFold:
    """What a method (or the hybrid network) reaches in one fold, or one bag of it."""

    label: str
    decision: str | None
    """Which of the method's models, or which fusion of them, stands for it."""
    fold: str | None
    scores: Scores
    patients: frozenset[str]


@dataclass(frozen=True)
class MethodFolds:
    """One row of the comparison: a method (or the hybrid network) at a magnification, over its folds and bags."""

    magnification: str | None
    name: str
    """The method's folder, or HYBRID."""
    folds: tuple[MethodFold, ...]

    @property
    def label(self) -> str:
        """What tables call the method."""
        return self.folds[0].label

    @property
    def decision(self) -> str | None:
        """What stands for the method. ([9] selects anew in every fold: then no one model does.)"""
        decisions = {fold.decision for fold in self.folds}
        return self.folds[0].decision if len(decisions) == 1 else "selected per fold"

    @property
    def scores(self) -> list[Scores]:
        """One per fold, or per bag of one."""
        return [fold.scores for fold in self.folds]

    @property
    def images(self) -> int:
        """How many different ones were tested: the bags of a fold are tested on the same."""
        return sum({fold.fold: fold.scores.images for fold in self.folds}.values())

    @property
    def patients(self) -> int:
        """How many were tested."""
        return len(frozenset().union(*(fold.patients for fold in self.folds)))


def group_methods(methods: Sequence[ScoredMethod], scored: Sequence[Scored]) -> list[MethodFolds]:
    """The hybrid network before pruning, and every compared method, at each magnification."""
    found: dict[tuple[str | None, str], list[MethodFold]] = {}
    for one in scored:
        result = one.result("3")
        if one.stage.name == "before" and result is not None:
            fold = MethodFold(HYBRID_LABEL, None, one.experiment.fold, result.scores, one.patients)
            found.setdefault((one.experiment.magnification, HYBRID), []).append(fold)
    for each in methods:
        method = each.method
        fold = MethodFold(method.label, method.selected, method.levels.get("fold"), each.selected, each.patients)
        found.setdefault((method.levels.get("magnification"), method.name), []).append(fold)
    return [
        MethodFolds(magnification, name, tuple(folds))
        for (magnification, name), folds in sorted(found.items(), key=lambda item: _order(*item[0]))
    ]


def _order(magnification: str | None, name: str) -> tuple[int, int, str]:
    """Magnifications by their size; methods as Table 8 has them, the hybrid last, others after it."""
    known = list(PRINTED_AS)
    return int(magnification or 0), known.index(name) if name in known else len(known), name
