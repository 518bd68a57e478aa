"""The figure of the compared methods."""

from collections.abc import Sequence

from pyhisto.evaluation.folds import INTERVALS, mean_majority, summarize_folds, to_bar
from pyhisto.study.compared.scores import MethodFolds
from pyhisto.tables.drawing import COLOURS, Drawing, make_panels


def draw_compared(rows: Sequence[MethodFolds]) -> Drawing | None:
    """IL and PL of every method, one panel per magnification; None if there is nothing to compare."""
    by_magnification: dict[str | None, list[MethodFolds]] = {}
    for row in rows:
        by_magnification.setdefault(row.magnification, []).append(row)
    shown = {magnification: own for magnification, own in by_magnification.items() if len(own) > 1}
    if not shown:
        return None
    figure, panels = make_panels(len(shown), 2, 6.4, 1.2 + 0.5 * max(map(len, shown.values())))
    for (magnification, own), panel in zip(shown.items(), panels, strict=False):
        for index, (measure, colour) in enumerate(zip(INTERVALS, COLOURS[1:], strict=False)):
            for height, row in enumerate(reversed(own)):
                bar = to_bar(summarize_folds(row.scores, measure))
                error = [[bar.value - bar.low], [bar.high - bar.value]]
                panel.errorbar(
                    bar.value, height + 0.12 - 0.24 * index, xerr=error, fmt="o", markersize=5, capsize=3, color=colour,
                    label=measure if height == 0 else None,
                )  # fmt: skip
        majority = mean_majority([scores for row in own for scores in row.scores])
        panel.axvline(majority, color=COLOURS[0], linestyle="--", linewidth=1, label="always the larger class")
        panel.set_yticks(range(len(own)), [row.label for row in reversed(own)], fontsize="small")
        panel.set_ylim(-0.6, len(own) - 0.4)
        panel.set(title="" if magnification is None else f"{magnification}X", xlabel="%", xlim=(0, 102))
        panel.grid(axis="x", alpha=0.25)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize="small", frameon=False)
    bars = "standard deviation over folds" if any(len(row.folds) > 1 for row in rows) else "95% interval"
    return Drawing("compared", f"The compared methods on the same test images; bars: {bars}.", figure)
