"""The reliability diagram (Guo et al. 2017): confidence against the share that is right."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from pyhisto.inference.calibration import Bin
from pyhisto.tables.drawing import make_panels


def draw_reliability(before: Sequence[Bin], after: Sequence[Bin]) -> Figure:
    """Before and after the temperature; at the foot of each bar its number of images."""
    figure, panels = make_panels(2, 2, 4, 4)
    titles = ("as the networks say it", "at the temperature")
    for panel, title, bins in zip(panels, titles, (before, after), strict=True):
        filled = [part for part in bins if part.count]
        width = 1 / len(bins)
        panel.bar([part.low for part in filled], [part.right for part in filled], width, align="edge",
                  color="#6baed6", edgecolor="#08519c")  # fmt: skip
        panel.plot([part.confidence for part in filled], [part.right for part in filled], "o", ms=3, color="#08519c")
        panel.plot([0, 1], [0, 1], "--", color="#555555", lw=1)
        for part in filled:
            panel.annotate(str(part.count), (part.low + width / 2, 0.01), ha="center", fontsize=6, rotation=90)
        panel.set(title=title, xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    return figure
