"""The report: one HTML file that needs nothing else, no script and no network; and the tables and figures in it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.files import write_text
from pyhisto.study.breakdown import Mistake, confusions, judged_patients, mistakes
from pyhisto.study.breakdown_figures import confusion_drawing, mistakes_sheet
from pyhisto.study.breakdown_tables import confusion_table, mistakes_table, patient_table
from pyhisto.study.collapse import collapse_drawing, collapse_table, read_collapse
from pyhisto.study.compared import compare
from pyhisto.study.compression import compression_drawings
from pyhisto.study.figures import MAX_STAGES, drawings
from pyhisto.study.paper.beside import CONTRADICTIONS, comparisons
from pyhisto.study.paper.orderings import orderings_table
from pyhisto.study.paper.protocol import protocol_table
from pyhisto.study.remarks import about_missing, about_paper, about_rates, about_splits, about_times
from pyhisto.study.results import Results, Stage, read_results
from pyhisto.study.scores import (
    Scored,
    assembled_table,
    mean_table,
    score_assembled,
    score_results,
    score_table,
    several_folds,
    summary_table,
)
from pyhisto.study.splits_tables import missing_table, splits_table
from pyhisto.tables.drawing import Drawing, save
from pyhisto.tables.html import SYNTHETIC, figure, folded, page, paragraph, remarks, table_html
from pyhisto.tables.table import Column, Table, write_tables
from pyhisto.tables.written import written_report

PAGE = "report.html"
MAX_EXAMPLES = 24
PATCH = 400
"""An example image of more pixels a side is a sheet of several."""


@dataclass(frozen=True)
class Content:
    """All that a report shows, before it is a page."""

    main: Sequence[Table]
    data: Sequence[Table]
    beside: Sequence[Table]
    orderings: Sequence[Table]
    breakdown: Sequence[Table]
    details: Sequence[Table]
    figures: Sequence[Drawing]
    wrong: Sequence[Drawing]
    """Those of the decisions that were wrong."""
    remarks: Mapping[str, Sequence[str]]
    """Section -> what a reader is to know before its figures; "" is the whole page."""

    @property
    def tables(self) -> list[Table]:
        """All tables, the summary first."""
        return [*self.main, *self.orderings, *self.data, *self.breakdown, *self.details, *self.beside]


def write_report(
    folder: Path, progress: Callable[[Iterable[Stage]], Iterable[Stage]] = iter, root: Path | None = None
) -> tuple[Path, list[Table]]:
    """Read a results folder and write its tables, figures and report.html.

    `root` is where the test images lie, if not where run.json says. Returns the report's path and its tables, the
    summary first. Raises InputError where the folder, or a file in it, is at fault, or an image is not under `root`.
    """
    results = read_results(folder)
    scored = score_results(results, progress)
    content = gather(results, scored, root)
    with written_report(folder) as made:
        write_tables(made, content.tables)
        figures, wrong = (
            [(drawing.caption, save(drawing, made)) for drawing in drawn] for drawn in (content.figures, content.wrong)
        )
        write_text(made / PAGE, to_html(results, scored, content, figures, wrong))
    return folder / PAGE, content.tables


def gather(results: Results, scored: Sequence[Scored], root: Path | None) -> Content:
    """Everything that the results folder has the data for."""
    assembled = score_assembled(results)
    compared = compare(results, scored)
    collapse = read_collapse(results.folder)
    orderings = orderings_table(results, scored)
    beside = [*comparisons(results, scored, assembled), *compared.beside]
    protocol = protocol_table(results) if beside else None
    matrices, errors = confusions(scored), list(mistakes(scored))
    shown = set(list(dict.fromkeys(one.stage.label for one in scored))[:MAX_STAGES])
    sheet, no_pictures = _sheet(errors, results, root)
    return Content(
        main=[summary_table(scored), *([assembled_table(scored, assembled)] if assembled else []), *compared.main],
        data=[table for table in (missing_table(results), splits_table(results)) if table is not None],
        beside=[*([protocol] if protocol else []), *beside],
        orderings=[orderings] if orderings else [],
        breakdown=[
            confusion_table(matrices, results),
            patient_table(judged_patients(scored), results),
            mistakes_table(errors, results),
        ],
        details=[
            score_table(scored),
            *([mean_table(scored)] if several_folds(scored) else []),
            *compared.details,
            *([collapse_table(collapse)] if collapse else []),
        ],
        figures=[
            *compared.drawings,
            *compression_drawings(results, scored),
            *drawings(results, scored),
            *([collapse_drawing(collapse)] if collapse else []),
        ],
        wrong=[
            confusion_drawing([one for one in matrices if one.stage in shown], results),
            *([sheet] if sheet else []),
        ],
        remarks={
            "": [*about_missing(results)],
            "result": [*about_rates(scored), *about_times(scored)],
            "data": [*about_splits(results)],
            "paper": [*about_paper(beside, scored, protocol is not None)],
            "wrong": no_pictures,
        },
    )


def _sheet(errors: Sequence[Mistake], results: Results, root: Path | None) -> tuple[Drawing | None, list[str]]:
    """Pictures of the first stage's mistakes, or why there are none."""
    first = [mistake for mistake in errors if mistake.stage == errors[0].stage]
    named = results.settings.get("root")
    if not first:
        return None, []
    if root is None and not isinstance(named, str):
        return None, ["No pictures of the mistakes: give tools/report.py --root, the folder of the images."]
    try:
        return mistakes_sheet(first, results, root or Path(str(named))), []
    except InputError as error:
        if root is not None:
            raise
        return None, [f"No pictures of the mistakes: {error}. Give tools/report.py --root, the folder of the images."]


def to_html(
    results: Results,
    scored: Sequence[Scored],
    content: Content,
    figures: Sequence[tuple[str, Path]],
    wrong: Sequence[tuple[str, Path]],
) -> str:
    """The report as HTML, images (caption, file) embedded."""
    settings = results.settings
    title = str(settings.get("title", "Results"))
    synthetic = bool(settings.get("synthetic"))
    paper = "".join(map(table_html, content.beside)) or paragraph(
        "Not compared: the data are synthetic."
        if synthetic
        else 'Not compared: run.json does not say "dataset": "breakhis" or "bach".'
    )
    sections = [
        ("result", "Result", "".join(map(table_html, content.main))),
        ("data", "Data", "".join(map(folded, content.data))),
        ("paper", "Beside the paper", paper),
        ("orderings", "The paper's orderings", "".join(map(table_html, content.orderings))),
        ("wrong", "What was named wrongly", _figures(wrong) + "".join(map(folded, content.breakdown))),
        ("figures", "Figures", _figures(figures)),
        ("examples", "Example patches", _examples(results.examples)),
        ("strategies", "All measures", "".join(map(folded, content.details))),
        ("contradictions", "Contradictions in the paper", _contradictions()),
        ("time", "Time", _times(settings.get("seconds"))),
    ]
    with_remarks = [(key, head, body and remarks(content.remarks.get(key, ())) + body) for key, head, body in sections]
    lead = _lead(results, scored) + remarks(content.remarks[""])
    return page(title, SYNTHETIC if synthetic else "", lead, with_remarks, settings, program="tools/report.py")


def _figures(saved: Sequence[tuple[str, Path]]) -> str:
    return "".join(figure(path, caption) for caption, path in saved)


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
