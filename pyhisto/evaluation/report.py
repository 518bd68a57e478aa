"""The report: one HTML file that needs nothing else, no script and no network; and the tables and figures in it."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from pyhisto.evaluation.collapse import collapse_drawing, collapse_table, read_collapse
from pyhisto.evaluation.compared import compare
from pyhisto.evaluation.compression import compression_drawings
from pyhisto.evaluation.drawing import save
from pyhisto.evaluation.figures import drawings
from pyhisto.evaluation.html import SYNTHETIC, figure, folded, page, paragraph, table_html
from pyhisto.evaluation.orderings import orderings_table
from pyhisto.evaluation.reference import CONTRADICTIONS, comparisons
from pyhisto.evaluation.results import Results, Stage, read_results
from pyhisto.evaluation.study import (
    Scored,
    assembled_table,
    mean_table,
    score_assembled,
    score_results,
    score_table,
    several_folds,
    summary_table,
)
from pyhisto.evaluation.tables import Column, Table, write_tables
from pyhisto.evaluation.written import replace_written
from pyhisto.files import write_text

MAX_EXAMPLES = 24
PATCH = 400
"""An example image of more pixels a side is a sheet of several."""


def write_report(
    folder: Path, progress: Callable[[Iterable[Stage]], Iterable[Stage]] = iter
) -> tuple[Path, list[Table]]:
    """Read a results folder and write its tables, figures and report.html.

    Returns the report's path and its tables, the summary first. Raises InputError where the folder, or a file in it, is
    at fault.
    """
    results = read_results(folder)
    scored = score_results(results, progress)
    main = [summary_table(scored)]
    details = [score_table(scored), *([mean_table(scored)] if several_folds(scored) else [])]
    assembled = score_assembled(results)
    if assembled:
        main.append(assembled_table(scored, assembled))
    compared = compare(results, scored)
    main += compared.main
    details += compared.details
    collapse = read_collapse(folder)
    if collapse:
        details.append(collapse_table(collapse))
    orderings = orderings_table(results, scored)
    beside = [*comparisons(results, scored, assembled), *compared.beside]
    tables = [*main, *([orderings] if orderings else []), *details, *beside]
    files = write_tables(folder, tables)
    drawn = [*compared.drawings, *compression_drawings(results, scored), *drawings(results, scored)]
    if collapse:
        drawn.append(collapse_drawing(collapse))
    figures = [(drawing.caption, save(drawing, folder)) for drawing in drawn]
    path = folder / "report.html"
    write_text(path, to_html(results, scored, main, orderings, details, beside, figures))
    replace_written(folder, files, [png for _, png in figures])
    return path, tables


def to_html(
    results: Results,
    scored: Sequence[Scored],
    main: Sequence[Table],
    orderings: Table | None,
    details: Sequence[Table],
    beside: Sequence[Table],
    figures: Sequence[tuple[str, Path]],
) -> str:
    """The report as HTML, images embedded."""
    settings = results.settings
    title = str(settings.get("title", "Results"))
    synthetic = bool(settings.get("synthetic"))
    paper = "".join(map(table_html, beside)) or paragraph(
        "Not compared: the data are synthetic."
        if synthetic
        else 'Not compared: run.json does not say "dataset": "breakhis" or "bach".'
    )
    sections = [
        ("result", "Result", "".join(map(table_html, main))),
        ("paper", "Beside the paper", paper),
        ("orderings", "The paper's orderings", table_html(orderings) if orderings else ""),
        ("figures", "Figures", "".join(figure(path, caption) for caption, path in figures)),
        ("examples", "Example patches", _examples(results.examples)),
        ("strategies", "All measures", "".join(map(folded, details))),
        ("contradictions", "Contradictions in the paper", _contradictions()),
        ("time", "Time", _times(settings.get("seconds"))),
    ]
    return page(
        title, SYNTHETIC if synthetic else "", _lead(results, scored), sections, settings, program="tools/report.py"
    )


def _lead(results: Results, scored: Sequence[Scored]) -> str:
    """What data, how much of it, and which kind of patient."""
    first: dict[tuple[str | None, str | None], Scored] = {}
    for one in scored:
        first.setdefault((one.experiment.fold, one.experiment.magnification), one)
    images = sum(len(one.labels) for one in first.values())
    patients = len(frozenset().union(*(one.patients for one in first.values())))
    runs = f" in {len(first)} folds and magnifications" if len(first) > 1 else ""
    kind = _sentence(str(results.settings.get("patients", "patients as the manifest names them")))
    data = _sentence(str(results.settings.get("data", "")))
    lines = [data, f"Tested on {images} images of {patients} patients{runs}. {kind}"]
    return "".join(f'<p class="lead">{escape(line)}</p>' for line in lines if line)


def _sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return text and text[0].upper() + text[1:].rstrip(".") + "."


def _examples(paths: Sequence[Path]) -> str:
    """Single patches side by side; whole sheets of them as wide as the page."""
    small = [path for path in paths if _width(path) <= PATCH]
    large = [path for path in paths if _width(path) > PATCH]
    shown = "".join(figure(path, _caption(path)) for path in small[:MAX_EXAMPLES])
    left_out = len(small) - MAX_EXAMPLES
    more = paragraph(f"{left_out} more are in the folder examples.") if left_out > 0 else ""
    patches = f'<div class="examples">{shown}</div>{more}' if small else ""
    return patches + "".join(figure(path, _caption(path)) for path in large)


def _caption(path: Path) -> str:
    return path.stem.replace("_", " ")


def _width(png: Path) -> int:
    """A PNG's width in pixels: the first field of its first chunk."""
    with open(png, "rb") as file:
        return int.from_bytes(file.read(20)[16:20])


def _contradictions() -> str:
    return "".join(f"<h3>{escape(heading)}</h3>{paragraph(text)}" for heading, text in CONTRADICTIONS)


def _times(seconds: object) -> str:
    if not isinstance(seconds, dict):
        return ""
    rows = [[str(step), value if isinstance(value, int | float) else str(value)] for step, value in seconds.items()]
    return table_html(Table("time", "Seconds of each step", [Column("step"), Column("seconds")], rows))
