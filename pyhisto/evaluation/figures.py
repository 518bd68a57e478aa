"""The figures of a report, each a matplotlib Figure; saved as PNG and SVG, the same bytes each time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pyhisto.evaluation.metrics import auc, roc
from pyhisto.evaluation.results import Branch, Results
from pyhisto.evaluation.study import LAMBDAS, SUMMARY, Scored, groups, strategies_with_pooled_folds
from pyhisto.evaluation.voting import LAMBDA
from pyhisto.files import whole_file
from pyhisto.learning_curve import draw

BRANCH_COLOURS = ("#6b7280", "#0891b2", "#c2410c", "#1d4ed8", "#7c3aed", "#15803d")


@dataclass(frozen=True)
class Drawing:
    """A figure with its file name (without ending) and what it shows."""

    name: str
    caption: str
    figure: Figure


def save(drawing: Drawing, folder: Path) -> Path:
    """Write folder/figures/<name>.png and .svg; returns the PNG's path."""
    png = folder / "figures" / f"{drawing.name}.png"
    with mpl.rc_context({"svg.hashsalt": drawing.name}):
        for path, metadata in ((png, {"Software": None}), (png.with_suffix(".svg"), {"Date": None})):
            with whole_file(path) as partial:
                drawing.figure.savefig(partial, format=path.suffix[1:], dpi=110, metadata=metadata)
    return png


def drawings(results: Results, scored: Sequence[Scored]) -> list[Drawing]:
    """All figures for which a results folder has the data."""
    made = [learning_curves(results), roc_curves(scored), lambda_sweeps(scored), *importance_histograms(results)]
    return [drawing for drawing in made if drawing is not None]


def learning_curves(results: Results) -> Drawing | None:
    """Loss and test accuracy of every network of the first experiment that has them, side by side."""
    for experiment in results.experiments:
        curves = [
            (f"{stage.label}, {name} branch", branch.points)
            for stage in experiment.stages
            for name, branch in stage.branches.items()
            if branch.points
        ]
        if curves:
            figure, axes = _grid(len(curves), 2, 5.6, 3.5)
            for (title, points), place in zip(curves, axes, strict=False):
                draw(place, points, title)
            return Drawing("learning_curves", "Learning curves: loss, and accuracy on the validation images.", figure)
    return None


def roc_curves(scored: Sequence[Scored]) -> Drawing | None:
    """ROC curves of the three strategies, a panel a stage and magnification (fig. 9); folds pooled."""
    panels: dict[str, list[tuple[str, NDArray[np.int64], NDArray[np.floating]]]] = {}
    for name, strategy, labels, positive in strategies_with_pooled_folds(scored):
        if 0 < labels.sum() < len(labels):
            panels.setdefault(name, []).append((strategy, labels, positive))
    if not panels:
        return None
    figure, axes = _grid(len(panels), 4 if len(panels) > 4 else 2, 3.9, 3.7)
    for (name, curves), place in zip(panels.items(), axes, strict=False):
        place.plot([0, 1], [0, 1], color="#d1d5db", linewidth=1, linestyle="--")
        for (strategy, labels, positive), colour in zip(curves, BRANCH_COLOURS, strict=False):
            place.plot(
                *roc(labels, positive), color=colour, label=f"{SUMMARY[strategy]}, AUC {auc(labels, positive):.3f}"
            )
        place.set(title=name, xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
        place.legend(loc="lower right", fontsize="small")
        place.grid(alpha=0.25)
    pooled = "; the test images of all folds together" if any(len(f) > 1 for _, _, f in groups(scored)) else ""
    return Drawing("roc", f"ROC curves of class 1, malignant (fig. 9){pooled}.", figure)


def lambda_sweeps(scored: Sequence[Scored]) -> Drawing | None:
    """Image level accuracy of the hybrid over lambda (eq. 1); the mean over folds."""
    curves = []
    for magnification, label, folds in groups(scored):
        if all(one.sweep for one in folds):
            name = label if magnification is None else f"{label}, {magnification}X"
            curves.append((name, 100 * np.mean([one.sweep for one in folds], axis=0)))
    if not curves:
        return None
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.subplots()
    for (name, rates), colour in zip(curves, _colours(len(curves)), strict=True):
        axes.plot(LAMBDAS, rates, label=name, marker="o", markersize=3, color=colour)
    axes.axvline(LAMBDA, color="#9ca3af", linestyle="--", linewidth=1)
    axes.annotate("0.6", (LAMBDA, 0.02), xycoords=("data", "axes fraction"), textcoords="offset points", xytext=(4, 0))
    axes.set(xlabel="lambda (0: global branch alone, 1: local branch alone)", ylabel="IL, %")
    axes.grid(alpha=0.25)
    axes.legend(fontsize="small")
    return Drawing("lambda_sweep", "The hybrid's image level accuracy over lambda; the paper selects 0.6.", figure)


def importance_histograms(results: Results) -> list[Drawing]:
    """Channel importance per SEP block, stages laid over one another (fig. 11); a figure a branch, first experiment."""
    made = []
    for branch in ("global", "local"):
        for experiment in results.experiments:
            stages = {
                stage.label: stage.branches[branch]
                for stage in experiment.stages
                if branch in stage.branches and stage.branches[branch].importance
            }
            if stages:
                made.append(_importance(branch, stages))
                break
    return made


def _importance(branch: str, stages: Mapping[str, Branch]) -> Drawing:
    blocks = list(dict.fromkeys(block for stage in stages.values() for block in stage.importance))
    figure, axes = _grid(len(blocks), 4, 3.0, 2.4)
    bins = [step / 40 for step in range(41)]  # activation factors come out of a Sigmoid: 0 to 1
    for block, place in zip(blocks, axes, strict=False):
        for (label, stage), colour in zip(stages.items(), BRANCH_COLOURS[1:], strict=False):
            factors = stage.importance.get(block, [])
            if factors:
                text = f"{label}: {len(factors)}, sd {np.std(factors):.3f}"
                place.hist(factors, bins, color=colour, alpha=0.55, label=text)
        place.set_title(_block_name(block), fontsize="medium")
        place.legend(fontsize="x-small")
    figure.supxlabel("channel importance (mean activation factor)", fontsize="medium")
    figure.supylabel("channels", fontsize="medium")
    caption = (
        f"Channel importance per SEP block, {branch} branch (eq. 5, fig. 11): number of channels, standard deviation."
    )
    return Drawing(f"importance_{branch}", caption, figure)


def _block_name(block: str) -> str:
    return block.removeprefix("inception_").removesuffix("_scale")


def _grid(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels of a size in inches; those left over in the last row are hidden."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place in axes[count:]:
        place.set_visible(False)
    return figure, axes


def _colours(count: int) -> list[str]:
    return [BRANCH_COLOURS[index % len(BRANCH_COLOURS)] for index in range(count)]
