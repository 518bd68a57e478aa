"""The paper's strategies, from checked predictions to scores: 1, 2, 2(Max), 3, 3(Max), and the authors' notebook."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.evaluation import voting
from pyhisto.evaluation.metrics import POSITIVE, Scores, score
from pyhisto.evaluation.predictions import Predictions

NOTEBOOK = "notebook"
STRATEGIES = ("1", "2", "2max", "3", "3max")
"""1: the global branch; 2: the local branch, average of the patches; 2max: majority of them; 3, 3max: the hybrid."""

PRINTED = {"2max": "2(Max)", "3max": "3(Max)"}
"""A strategy -> what the paper calls it, if it is called differently."""

FUSIONS: Mapping[str, Callable[[Sequence[Floats]], Floats]] = {
    "sum": voting.model_sum,
    "product": voting.model_product,
    "max": voting.model_max,
}
"""How several models become one: Sum and Max (section "Model assembling scheme", Table 9); in ref. [11] Product too."""

LOCAL: Mapping[str, Callable[[Floats], Floats]] = {
    "2": voting.average,
    "2max": voting.majority,
    "3": voting.average,
    "3max": voting.majority,
    NOTEBOOK: voting.notebook_patches,
}
"""How each strategy merges an image's patches; strategy 1 has none."""


@dataclass(frozen=True)
class Result:
    """The scores of one strategy: of the single `models` entry, or of a fusion of them."""

    strategy: str
    fusion: str
    """sum, product or max over several models; else the name of the one model."""
    models: tuple[str, ...]
    scores: Scores


def list_strategies(predictions: Predictions) -> list[str]:
    """The paper's strategies for which the predictions have the branches, in at least one model."""
    return [strategy for strategy in STRATEGIES if _models(predictions, strategy)]


def probabilities(predictions: Predictions, model: str, strategy: str, weight: float = voting.LAMBDA) -> Floats:
    """One model's probabilities by one of the paper's strategies; `weight` is lambda. Shape (n, c)."""
    if strategy == "1":
        return predictions.whole[model]
    local = LOCAL[strategy](predictions.local[model])
    return local if strategy.startswith("2") else voting.hybrid(local, predictions.whole[model], weight)


def evaluate(
    predictions: Predictions,
    strategies: Sequence[str],
    weight: float = voting.LAMBDA,
    fusions: Sequence[str] = tuple(FUSIONS),
    magnification: str | None = None,
    seed: int = 0,
) -> list[Result]:
    """The scores of every strategy; of every fusion too if several models were predicted.

    Args:
        predictions: the checked predictions.
        strategies: any of STRATEGIES, and NOTEBOOK.
        weight: lambda of eq. 1.
        fusions: any of FUSIONS.
        magnification: 40, 100, 200 or 400; the notebook's weights depend on it.
        seed: of the bootstrap.

    Raises InputError if a strategy needs a branch, or a magnification, that is not there.
    """
    results = []
    for strategy in strategies:
        models = _models(predictions, strategy)
        if not models:
            raise InputError(
                f"strategy {strategy}: no model was predicted in {_needs(strategy)}; "
                "give --predictions the files of both branches, with one model's name in both"
            )
        for fusion in fusions if len(models) > 1 else models:
            image_level, patient_level = _levels(predictions, models, strategy, fusion, weight, magnification)
            results.append(Result(strategy, fusion, models, _scores(predictions, image_level, patient_level, seed)))
    return results


def sweep_lambda(predictions: Predictions, weights: Sequence[float]) -> list[float]:
    """IL of strategy 3 for each lambda, models summed: 0 is the global branch alone, 1 the local one."""
    models = _models(predictions, "3")
    local = voting.model_sum([voting.average(predictions.local[model]) for model in models])
    whole = voting.model_sum([predictions.whole[model] for model in models])
    decisions = (voting.hybrid(local, whole, weight).argmax(axis=1) for weight in weights)
    return [float((decided == predictions.labels).mean()) for decided in decisions]


def fuse(predictions: Predictions, strategy: str, weight: float = voting.LAMBDA, fusion: str = "sum") -> Floats:
    """The probabilities of one of the paper's strategies, all models that can follow it merged. Shape (n, c)."""
    models = _models(predictions, strategy)
    by_model = [probabilities(predictions, model, strategy, weight) for model in models]
    return FUSIONS[fusion](by_model) if len(models) > 1 else _only(by_model)


def _levels(
    predictions: Predictions,
    models: Sequence[str],
    strategy: str,
    fusion: str,
    weight: float,
    magnification: str | None,
) -> tuple[Floats, Floats]:
    """The probabilities that count for the image level and for the patient level: they differ in the notebook alone."""
    if strategy != NOTEBOOK:
        merged = fuse(predictions, strategy, weight, fusion)
        return merged, merged
    if magnification not in voting.NOTEBOOK_WEIGHTS:
        raise InputError(f"strategy notebook: give --magnification, one of {', '.join(voting.NOTEBOOK_WEIGHTS)}")
    if predictions.classes != 2:
        raise InputError(f"strategy notebook: drops patches by |p0 - p1|, and there are {predictions.classes} classes")
    merge = FUSIONS.get(fusion, _only)
    by_level = [
        merge(
            [
                voting.notebook_hybrid(
                    LOCAL[strategy](predictions.local[model]), predictions.whole[model], level_weight
                )
                for model in models
            ]
        )
        for level_weight in voting.NOTEBOOK_WEIGHTS[magnification]
    ]
    return by_level[0], by_level[1]


def _only(models: Sequence[Floats]) -> Floats:
    (one,) = models
    return one


def score_probabilities(predictions: Predictions, merged: Floats, seed: int = 0) -> Scores:
    """The scores of one probability per image and class, shape (n, c); `seed` is the bootstrap's."""
    return score(
        predictions.labels,
        merged.argmax(axis=1),
        merged[:, POSITIVE],
        predictions.patient_numbers,
        predictions.classes,
        seed,
    )


def _scores(predictions: Predictions, image_level: Floats, patient_level: Floats, seed: int) -> Scores:
    scores = score_probabilities(predictions, image_level, seed)
    if patient_level is image_level:
        return scores
    patients = score_probabilities(predictions, patient_level, seed)
    return replace(scores, pl=patients.pl, pl_interval=patients.pl_interval)


def _models(predictions: Predictions, strategy: str) -> tuple[str, ...]:
    """The models that have every branch which the strategy needs, sorted."""
    whole, local = set(predictions.whole), set(predictions.local)
    return tuple(sorted({"1": whole, "2": local, "2max": local}.get(strategy, whole & local)))


def _needs(strategy: str) -> str:
    return {"1": "the global branch", "2": "the local branch", "2max": "the local branch"}.get(
        strategy, "both branches"
    )
