"""A study's report: its tables and figures, and one HTML file with all of them that needs nothing else."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pyhisto.files import write_text
from pyhisto.study.content import gather_content
from pyhisto.study.page import make_page
from pyhisto.study.results import Stage, read_results
from pyhisto.study.scores import score_results
from pyhisto.tables.drawing import Drawing, save_drawing
from pyhisto.tables.formats import write_tables
from pyhisto.tables.outputs import replaced_report
from pyhisto.tables.pages import Picture, to_html
from pyhisto.tables.table import Table

PAGE = "report.html"


def write_report(
    folder: Path, progress: Callable[[Iterable[Stage]], Iterable[Stage]] = iter, root: Path | None = None
) -> tuple[Path, list[Table]]:
    """Read a results folder and write its tables, figures and report.html.

    `root` is where the test images lie, if not where run.json says. Returns the report's path and its tables, the
    summary first. Raises InputError if the folder, or a file in it, is at fault, or an image is not under `root`.
    """
    results = read_results(folder)
    scored = score_results(results, progress)
    content = gather_content(results, scored, root)
    with replaced_report(folder) as made:
        write_tables(made, content.tables)
        figures, mistakes = _save(content.figures, made), _save(content.mistakes, made)
        write_text(made / PAGE, to_html(make_page(results, scored, content, figures, mistakes)))
    return folder / PAGE, content.tables


def _save(drawings: Sequence[Drawing], folder: Path) -> list[Picture]:
    return [Picture(save_drawing(drawing, folder), drawing.caption) for drawing in drawings]
