"""What all figures share: colours, panels, and that they are saved as PNG and SVG, the same bytes each time."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from pyhisto.files import whole_file

COLOURS = ("#6b7280", "#0891b2", "#c2410c", "#1d4ed8", "#7c3aed", "#15803d")


@dataclass(frozen=True)
class Drawing:
    """A figure with its file name (without ending) and what it shows."""

    name: str
    caption: str
    figure: Figure


def save_drawing(drawing: Drawing, folder: Path) -> Path:
    """Write folder/figures/<name>.png and .svg; returns the PNG's path."""
    _take_literally(drawing.figure)
    png = folder / "figures" / f"{drawing.name}.png"
    with mpl.rc_context({"svg.hashsalt": drawing.name}):
        for path, metadata in ((png, {"Software": None}), (png.with_suffix(".svg"), {"Date": None})):
            with whole_file(path) as partial:
                drawing.figure.savefig(partial, format=path.suffix[1:], dpi=110, metadata=metadata)
    return png


def make_panels(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels of a size in inches; those left over in the last row are hidden."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr,call-arg]
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels


def _take_literally(figure: Figure) -> None:
    """Keep matplotlib from reading text as a formula, whatever a stage or a patient is called.

    The numbers of logarithmic axes are formulas, and stay so.
    """
    numbers = {
        id(text)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if axis.get_scale() != "linear"
        for text in axis.findobj(Text)
    }
    for text in figure.findobj(Text):
        if id(text) not in numbers:
            text.set_parse_math(False)
