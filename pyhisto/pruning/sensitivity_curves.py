"""The picture of a sensitivity: a small curve for each group, all on the same axes."""

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pyhisto.pruning.sensitivity import Sensitivity

COLUMNS = 5
LOSS, WHOLE = "#c2410c", "#9aa5b1"
NAME_LENGTH = 34
"""Characters of a group's name that fit above its curve."""


def draw_curves(sensitivity: Sensitivity) -> Figure:
    """Loss over the share of a group's channels that is masked, the whole network's as a line; steepest group first."""
    order = sorted(
        sensitivity.groups.items(), key=lambda item: max(step.score.loss for step in item[1].steps), reverse=True
    )
    rows = -(-len(order) // COLUMNS)
    figure = Figure(figsize=(2.6 * COLUMNS, 0.6 + 1.75 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for place, (key, curve) in zip(axes, order, strict=False):
        place.axhline(sensitivity.whole.loss, color=WHOLE, linewidth=1)
        shares = [0.0, *(step.share for step in curve.steps)]
        losses = [sensitivity.whole.loss, *(step.score.loss for step in curve.steps)]
        place.plot(shares, losses, color=LOSS, linewidth=1.3, marker="o", markersize=2.5)
        name = key if len(key) <= NAME_LENGTH else f"{key[: NAME_LENGTH - 1]}…"
        place.set_title(f"{name} ({curve.atoms})", fontsize=7, parse_math=False)
        place.tick_params(labelsize=6.5)
        place.grid(alpha=0.25)
        if min(losses) > 0:
            place.set_yscale("log")
            place.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            place.yaxis.set_major_formatter("{x:g}")
            place.yaxis.set_minor_formatter(NullFormatter())
    for place in axes[len(order) :]:
        place.set_visible(False)
    figure.supxlabel("share of the group's channels masked (their number in brackets)", fontsize=8)
    figure.supylabel(f"loss on {sensitivity.records} validation records", fontsize=8)
    return figure
