"""The figures that every results folder can have: learning curves, ROC, lambda, channel importance."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pyhisto.evaluation.metrics import auc, roc
from pyhisto.evaluation.voting import LAMBDA
from pyhisto.learning_curve import draw
from pyhisto.study.results import Experiment, Results
from pyhisto.study.scores import LAMBDAS, SUMMARY, Scored, groups, pooled_folds, several_folds
from pyhisto.tables.drawing import COLOURS, Drawing, grid

MAX_STAGES = 4
"""Figures with a panel or a colour a stage show the first stages: before, after, ...; the rest is in the tables."""


def drawings(results: Results, scored: Sequence[Scored]) -> list[Drawing]:
    """All figures for which a results folder has the data."""
    labels = list(dict.fromkeys(one.stage.label for one in scored))[:MAX_STAGES]
    first = [one for one in scored if one.stage.label in labels]
    made = [learning_curves(results), roc_curves(first), lambda_sweeps(first), *importance_histograms(results)]
    return [drawing for drawing in made if drawing is not None]


def learning_curves(results: Results) -> Drawing | None:
    """Loss and test accuracy of every network of the first experiment that has them, side by side."""
    for experiment in results.experiments:
        curves = [
            (f"{stage.label}, {name} branch", branch.points)
            for stage in experiment.stages[:MAX_STAGES]
            for name, branch in stage.branches.items()
            if branch.points
        ]
        if curves:
            figure, axes = grid(len(curves), 2, 5.6, 3.5)
            for (title, points), place in zip(curves, axes, strict=False):
                draw(place, points, title)
            caption = f"Learning curves{_which(experiment)}: loss, and accuracy on images that are not trained on."
            return Drawing("learning_curves", caption, figure)
    return None


def roc_curves(scored: Sequence[Scored]) -> Drawing | None:
    """ROC curves, a panel a stage, folds pooled: of the hybrid at each magnification (fig. 9), or of each strategy."""
    magnifications = {one.experiment.magnification for one in scored}
    panels: dict[str, list[tuple[str, NDArray[np.int64], NDArray[np.floating]]]] = {}
    for pooled in pooled_folds(scored):
        if len(magnifications) > 1 and pooled.strategy == "3":
            panels.setdefault(f"{pooled.stage}, hybrid", []).append(
                (f"{pooled.magnification}X", pooled.labels, pooled.positive)
            )
        elif len(magnifications) == 1:
            panels.setdefault(pooled.stage, []).append((SUMMARY[pooled.strategy], pooled.labels, pooled.positive))
    if not panels:
        return None
    figure, axes = grid(len(panels), 3, 4.1, 3.9)
    for (title, curves), place in zip(panels.items(), axes, strict=False):
        place.plot([0, 1], [0, 1], color="#d1d5db", linewidth=1, linestyle="--")
        for (name, labels, positive), colour in zip(curves, COLOURS, strict=False):
            place.plot(*roc(labels, positive), color=colour, label=f"{name}, AUC {auc(labels, positive):.3f}")
        place.set(title=title, xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
        place.legend(loc="lower right", fontsize="small")
        place.grid(alpha=0.25)
    together = "; the test images of all folds together" if several_folds(scored) else ""
    return Drawing("roc", f"ROC curves of class 1, malignant (fig. 9){together}.", figure)


def lambda_sweeps(scored: Sequence[Scored]) -> Drawing | None:
    """Image level accuracy of the hybrid over lambda (eq. 1), a panel a magnification; the mean over folds."""
    panels: dict[str, list[tuple[str, NDArray[np.floating]]]] = {}
    for magnification, label, folds in groups(scored):
        if all(one.sweep for one in folds):
            title = "" if magnification is None else f"{magnification}X"
            panels.setdefault(title, []).append((label, 100 * np.mean([one.sweep for one in folds], axis=0)))
    if not panels:
        return None
    figure, axes = grid(len(panels), 2, 5.6, 3.2)
    for (title, curves), place in zip(panels.items(), axes, strict=False):
        for (label, rates), colour in zip(curves, COLOURS[1:], strict=False):
            place.plot(LAMBDAS, rates, label=label, marker="o", markersize=3, color=colour)
        rates = np.concatenate([curve for _, curve in curves])
        place.set_ylim(max(0, rates.min() - 2), min(101, rates.max() + 2))
        place.axvline(LAMBDA, color="#9ca3af", linestyle="--", linewidth=1)
        place.set(title=title, xlabel="lambda (0: global branch alone, 1: local branch alone)", ylabel="IL, %")
        place.grid(alpha=0.25)
        place.legend(fontsize="small")
    caption = (
        "The hybrid's image level accuracy over lambda; the paper selects 0.6 (dashed), before seeing these images."
    )
    return Drawing("lambda_sweep", caption, figure)


def importance_histograms(results: Results) -> list[Drawing]:
    """Channel importance per SEP block, stages laid over one another (fig. 11); a figure a branch, first experiment."""
    made = []
    for branch in ("global", "local"):
        for experiment in results.experiments:
            measured = [s for s in experiment.stages if branch in s.branches and s.branches[branch].importance]
            if measured:
                stages = {stage.label: stage.branches[branch].importance for stage in measured[:MAX_STAGES]}
                caption = (
                    f"Channel importance per SEP block, {branch} branch{_which(experiment)} (eq. 5, fig. 11). In "
                    "brackets: channels, and the standard deviation of their importance."
                )
                made.append(Drawing(f"importance_{branch}", caption, _importance(stages)))
                break
    return made


def _importance(stages: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    blocks = list(dict.fromkeys(block for importance in stages.values() for block in importance))
    figure, axes = grid(len(blocks), 4, 3.1, 2.7)
    bins = [step / 25 for step in range(26)]  # activation factors come out of a Sigmoid: 0 to 1
    for block, place in zip(blocks, axes, strict=False):
        for (label, importance), colour in zip(stages.items(), COLOURS[1:], strict=False):
            factors = importance.get(block, [])
            if factors:
                name = f"{label} ({len(factors)}, {np.std(factors):.3f})"
                place.hist(factors, bins, color=colour, alpha=0.55, label=name)
        place.set_title(_block_name(block), fontsize="medium", pad=18)
        place.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 0.98),
            ncols=2,
            fontsize="x-small",
            frameon=False,
            columnspacing=0.8,
        )
    figure.supxlabel("channel importance (mean activation factor)", fontsize="medium")
    figure.supylabel("channels", fontsize="medium")
    return figure


def _which(experiment: Experiment) -> str:
    """Which experiment of a study a figure shows."""
    fold = "" if experiment.fold is None else f" of fold {experiment.fold}"
    bag = "" if experiment.bag is None else f" of bag {experiment.bag}"
    return fold + bag + ("" if experiment.magnification is None else f" at {experiment.magnification}X")


def _block_name(block: str) -> str:
    return block.removeprefix("inception_").removesuffix("_scale")
