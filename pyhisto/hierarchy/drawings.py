"""The figures of a tree's report: the tree with its nodes' accuracies (fig. 1), and confusion matrices (fig. 3)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyhisto.hierarchy.systems import NodeScore, SystemScore
from pyhisto.hierarchy.tree import BELOW, CARCI, LEAVES
from pyhisto.tables.drawing import COLOURS, Drawing, make_panels

PLACES = {CARCI.name: (0.5, 0.86), BELOW[0].name: (0.25, 0.48), BELOW[1].name: (0.75, 0.48)}
LEAF_PLACES = dict(zip(LEAVES, ((0.125, 0.1), (0.375, 0.1), (0.625, 0.1), (0.875, 0.1)), strict=True))


def tree_drawing(score: SystemScore) -> Drawing:
    """The tree: each node's question and accuracy, and at each leaf how many of its images arrive there."""
    figure = Figure(figsize=(8.6, 4.6), layout="constrained")
    place = figure.subplots()
    place.set(xlim=(0, 1), ylim=(0, 1))
    place.axis("off")
    by_name = {node.node: node for node in score.nodes}
    for side, node in enumerate(BELOW):
        _edge(place, PLACES[CARCI.name], PLACES[node.name], CARCI.answers[side])
        for answer in node.answers:
            _edge(place, PLACES[node.name], LEAF_PLACES[answer], "")
    for node in (CARCI, *BELOW):
        models = ", ".join(score.models[node.name])
        text = f"{node.question}\n{_rate(by_name[node.name])}\n{node.name}: {models}"
        _box(place, PLACES[node.name], text, COLOURS[3])
    for leaf, (label, spot) in enumerate(LEAF_PLACES.items()):
        arrived, own = score.table[leaf, leaf], score.table[leaf].sum()
        _box(place, spot, f"{label}\n{arrived} of {own} arrive", COLOURS[5])
    place.set_title(
        f"{score.label}: {int(score.correct.sum())} of {score.images} images right, {100 * score.rate:.1f}%"
    )
    caption = (
        f"The tree of system {score.label} (fig. 1): at each node its own accuracy over the images that it has a "
        "class for, with the 95% interval; at each leaf, how many images of that class arrive there."
    )
    return Drawing(f"tree_{score.file_name}", caption, figure)


def confusion_drawing(scores: Sequence[SystemScore]) -> Drawing:
    """Confusion matrices, a panel a system."""
    figure, panels = make_panels(len(scores), 3, 4.3, 3.9)
    for score, place in zip(scores, panels, strict=False):
        table = score.table
        share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        place.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for row in range(len(LEAVES)):
            for column in range(len(LEAVES)):
                colour = "white" if share[row, column] > 0.55 else "#1f2933"
                place.text(column, row, str(table[row, column]), ha="center", va="center", color=colour)
        place.set_xticks(range(len(LEAVES)), LEAVES)
        place.set_yticks(range(len(LEAVES)), LEAVES)
        place.set(xlabel="decided", ylabel="true", title=score.label)
        place.tick_params(length=0, labelsize="small")
    caption = "Confusion matrices (fig. 3): images of each true class (row) by what was decided; shaded by row."
    return Drawing("tree_confusion", caption, figure)


def _rate(score: NodeScore) -> str:
    low, high = score.interval.low, score.interval.high
    return f"{100 * score.rate:.1f}% of {score.images} [{100 * low:.1f}, {100 * high:.1f}]"


def _edge(place: Axes, start: tuple[float, float], end: tuple[float, float], text: str) -> None:
    place.plot([start[0], end[0]], [start[1], end[1]], color="#9ca3af", linewidth=1.5, zorder=1)
    if text:
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        place.text(
            *middle, text, ha="center", va="center", fontsize=9, bbox={"facecolor": "white", "edgecolor": "none"}
        )


def _box(place: Axes, spot: tuple[float, float], text: str, colour: str) -> None:
    style = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": colour, "linewidth": 1.5}
    place.text(*spot, text, ha="center", va="center", fontsize=9, bbox=style, zorder=2)
