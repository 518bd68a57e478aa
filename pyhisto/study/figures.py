"""The figures that every results folder can have: learning curves, ROC, lambda, channel importance."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pyhisto.evaluation.metrics import auc, roc
from pyhisto.evaluation.voting import LAMBDA
from pyhisto.learning_curve import draw, tested_on
from pyhisto.manifest import MONITOR
from pyhisto.study.results import Experiment, Results
from pyhisto.study.scores import LAMBDAS, SUMMARY, Scored, group_folds, has_several_folds, pool_folds
from pyhisto.tables.drawing import COLOURS, Drawing, make_panels

MAX_STAGES = 4
"""Figures with one panel or colour per stage show the first stages: before, after, ...; the tables have the rest."""


def draw_figures(results: Results, scored: Sequence[Scored]) -> list[Drawing]:
    """All figures for which the results folder has the data."""
    labels = list(dict.fromkeys(one.stage.label for one in scored))[:MAX_STAGES]
    first = [one for one in scored if one.stage.label in labels]
    made = [
        draw_learning_curves(results),
        draw_roc_curves(first),
        draw_lambda_sweeps(first),
        *draw_importance(results),
    ]
    return [drawing for drawing in made if drawing is not None]


def draw_learning_curves(results: Results) -> Drawing | None:
    """Loss and test accuracy of every network of the first experiment that has them, side by side."""
    for experiment in results.experiments:
        curves = [
            (f"{stage.label}, {name} branch", branch.points)
            for stage in experiment.stages[:MAX_STAGES]
            for name, branch in stage.branches.items()
            if branch.points
        ]
        if curves:
            figure, panels = make_panels(len(curves), 2, 5.6, 3.5)
            for (title, points), panel in zip(curves, panels, strict=False):
                draw(panel, points, title)
            monitors = any(tested_on(points) == MONITOR for _, points in curves)
            images = (
                "some of the training images, as they are (no image validates: all of the training part is trained on)"
                if monitors
                else "images that are not trained on"
            )
            caption = f"Learning curves{_which(experiment)}: loss, and accuracy on {images}."
            return Drawing("learning_curves", caption, figure)
    return None


def draw_roc_curves(scored: Sequence[Scored]) -> Drawing | None:
    """ROC curves, one panel per stage, folds pooled: of the hybrid by magnification (fig. 9), or by strategy."""
    magnifications = {one.experiment.magnification for one in scored}
    curves_of: dict[str, list[tuple[str, NDArray[np.int64], NDArray[np.floating]]]] = {}
    for pooled in pool_folds(scored):
        if len(magnifications) > 1 and pooled.strategy == "3":
            curves_of.setdefault(f"{pooled.stage}, hybrid", []).append(
                (f"{pooled.magnification}X", pooled.labels, pooled.positive)
            )
        elif len(magnifications) == 1:
            curves_of.setdefault(pooled.stage, []).append((SUMMARY[pooled.strategy], pooled.labels, pooled.positive))
    if not curves_of:
        return None
    figure, panels = make_panels(len(curves_of), 3, 4.1, 3.9)
    for (title, curves), panel in zip(curves_of.items(), panels, strict=False):
        panel.plot([0, 1], [0, 1], color="#d1d5db", linewidth=1, linestyle="--")
        for (name, labels, positive), colour in zip(curves, COLOURS, strict=False):
            panel.plot(*roc(labels, positive), color=colour, label=f"{name}, AUC {auc(labels, positive):.3f}")
        panel.set(title=title, xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
        panel.legend(loc="lower right", fontsize="small")
        panel.grid(alpha=0.25)
    together = "; the test images of all folds together" if has_several_folds(scored) else ""
    return Drawing("roc", f"ROC curves of class 1, malignant (fig. 9){together}.", figure)


def draw_lambda_sweeps(scored: Sequence[Scored]) -> Drawing | None:
    """Image level accuracy of the hybrid over lambda (eq. 1), one panel per magnification; the mean over folds."""
    curves_of: dict[str, list[tuple[str, NDArray[np.floating]]]] = {}
    for magnification, label, folds in group_folds(scored):
        if all(one.sweep for one in folds):
            title = "" if magnification is None else f"{magnification}X"
            curves_of.setdefault(title, []).append((label, 100 * np.mean([one.sweep for one in folds], axis=0)))
    if not curves_of:
        return None
    figure, panels = make_panels(len(curves_of), 2, 5.6, 3.2)
    for (title, curves), panel in zip(curves_of.items(), panels, strict=False):
        for (label, rates), colour in zip(curves, COLOURS[1:], strict=False):
            panel.plot(LAMBDAS, rates, label=label, marker="o", markersize=3, color=colour)
        rates = np.concatenate([curve for _, curve in curves])
        panel.set_ylim(max(0, rates.min() - 2), min(101, rates.max() + 2))
        panel.axvline(LAMBDA, color="#9ca3af", linestyle="--", linewidth=1)
        panel.set(title=title, xlabel="lambda (0: global branch alone, 1: local branch alone)", ylabel="IL, %")
        panel.grid(alpha=0.25)
        panel.legend(fontsize="small")
    caption = (
        "The hybrid's image level accuracy over lambda; the paper selects 0.6 (dashed), before seeing these images."
    )
    return Drawing("lambda_sweep", caption, figure)


def draw_importance(results: Results) -> list[Drawing]:
    """Channel importance per SEP block, stages over one another (fig. 11); per branch, of the first experiment."""
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
                made.append(Drawing(f"importance_{branch}", caption, _draw_blocks(stages)))
                break
    return made


def _draw_blocks(stages: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    blocks = list(dict.fromkeys(block for importance in stages.values() for block in importance))
    figure, panels = make_panels(len(blocks), 4, 3.1, 2.7)
    bins = [step / 25 for step in range(26)]  # activation factors come out of a Sigmoid: 0 to 1
    for block, panel in zip(blocks, panels, strict=False):
        for (label, importance), colour in zip(stages.items(), COLOURS[1:], strict=False):
            factors = importance.get(block, [])
            if factors:
                name = f"{label} ({len(factors)}, {np.std(factors):.3f})"
                panel.hist(factors, bins, color=colour, alpha=0.55, label=name)
        panel.set_title(_block_name(block), fontsize="medium", pad=18)
        panel.legend(
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
    seed = "" if experiment.seed is None else f" of seed {experiment.seed}"
    return fold + bag + seed + ("" if experiment.magnification is None else f" at {experiment.magnification}X")


def _block_name(block: str) -> str:
    return block.removeprefix("inception_").removesuffix("_scale")
