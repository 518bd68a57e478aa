"""The report: one HTML file that needs nothing else, no script and no network; and the tables and figures in it."""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

import pyhisto
from pyhisto.evaluation.compression import compression_drawings
from pyhisto.evaluation.drawing import save
from pyhisto.evaluation.figures import drawings
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
from pyhisto.files import write_text

MAX_EXAMPLES = 24
PATCH = 400
"""An example image of more pixels a side is a sheet of several."""
LONG = 30
"""A table of more rows is closed until it is opened."""

STYLE = """
:root { --text: #1f2933; --soft: #52606d; --line: #d9dee4; --page: #ffffff; --card: #f5f7fa; --accent: #0b69a3;
  --warn: #7c2d12; --warn-page: #ffedd5; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e7eb; --soft: #a5b1bf; --line: #3a4653; --page: #14191f; --card: #1e252d; --accent: #6cc0f5;
    --warn: #fed7aa; --warn-page: #5b2410; }
}
body { margin: 0 auto; padding: 1.5rem 1.5rem 4rem; max-width: 84rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .6rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem; }
p, li { max-width: 62rem; }
p.lead { color: var(--soft); margin: .2rem 0; }
p.banner { background: var(--warn-page); color: var(--warn); padding: .8rem 1rem; border-radius: .4rem;
  font-weight: 600; font-size: 1.05rem; }
nav { margin: 1rem 0; } nav a { margin-right: 1.2rem; } a { color: var(--accent); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .4rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { border-bottom: 2px solid var(--line); font-weight: 600; } tbody tr:hover { background: var(--card); }
th.name, td.name { text-align: left; }
ul.notes { color: var(--soft); font-size: .85rem; padding-left: 1.2rem; margin: .5rem 0; }
figure { margin: 1.2rem 0; } figcaption { color: var(--soft); font-size: .87rem; }
figure img { background: #fff; max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: .3rem; }
@media (prefers-color-scheme: dark) { #figures img { filter: invert(.92) hue-rotate(180deg); border-color: #555; } }
summary { cursor: pointer; color: var(--accent); margin: .8rem 0; }
.examples { display: flex; flex-wrap: wrap; gap: .8rem; } .examples figure { margin: 0; width: 10rem; }
.examples img { width: 10rem; image-rendering: auto; }
pre { background: var(--card); padding: .8rem 1rem; border-radius: .3rem; overflow-x: auto; font-size: .8rem; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
"""


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
    beside = comparisons(results, scored, assembled)
    write_tables(folder, [*main, *details, *beside])
    drawn = [*compression_drawings(results, scored), *drawings(results, scored)]
    figures = [(drawing.caption, save(drawing, folder)) for drawing in drawn]
    path = folder / "report.html"
    write_text(path, to_html(results, scored, main, details, beside, figures))
    return path, [*main, *details, *beside]


def to_html(
    results: Results,
    scored: Sequence[Scored],
    main: Sequence[Table],
    details: Sequence[Table],
    beside: Sequence[Table],
    figures: Sequence[tuple[str, Path]],
) -> str:
    """The report as HTML, images embedded."""
    settings = results.settings
    title = str(settings.get("title", "Results"))
    synthetic = bool(settings.get("synthetic"))
    paper = "".join(map(_table, beside)) or _paragraph(
        "Not compared: the data are synthetic."
        if synthetic
        else 'Not compared: run.json does not say "dataset": "breakhis" or "bach".'
    )
    sections = [
        ("result", "Result", "".join(map(_table, main))),
        ("paper", "Beside the paper", paper),
        ("figures", "Figures", "".join(_figure(path, caption) for caption, path in figures)),
        ("examples", "Example patches", _examples(results.examples)),
        ("strategies", "All measures", "".join(map(_folded, details))),
        ("contradictions", "Contradictions in the paper", _contradictions()),
        ("time", "Time", _times(settings.get("seconds"))),
        ("settings", "Settings", f"<pre>{escape(json.dumps(dict(settings), indent=2, ensure_ascii=False))}</pre>"),
    ]
    present = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{key}">{escape(heading)}</a>' for key, heading, _ in present)
    banner = (
        '<p class="banner">Synthetic data. The images were made by a program: these figures say that the method runs, '
        "and nothing about real tissue.</p>"
        if synthetic
        else ""
    )
    body = "".join(f'<section id="{key}"><h2>{escape(head)}</h2>{content}</section>' for key, head, content in present)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{banner}{_lead(results, scored)}<nav>{links}</nav>{body}"
        f"<footer>pyhisto {escape(pyhisto.__version__)}. Every number can be rebuilt from the predictions files with "
        "tools/report.py.</footer></body></html>\n"
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


def _table(table: Table) -> str:
    left = [
        all(isinstance(row[index], str) or row[index] is None for row in table.rows)
        for index in range(len(table.columns))
    ]
    classes = [' class="name"' if is_name else "" for is_name in left]
    head = "".join(f"<th{c}>{escape(name)}</th>" for c, name in zip(classes, table.headings, strict=True))
    rows = "".join(
        "<tr>" + "".join(f"<td{c}>{escape(cell)}</td>" for c, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in table.cells()
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    return (
        f'<h3>{escape(table.title)}</h3><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div><ul class="notes">{notes}</ul>'
    )


def _folded(table: Table) -> str:
    """A table, closed where it is long."""
    if len(table.rows) <= LONG:
        return _table(table)
    return f"<details><summary>{escape(table.title)}: {len(table.rows)} rows</summary>{_table(table)}</details>"


def _figure(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    text = escape(caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _examples(paths: Sequence[Path]) -> str:
    """Single patches side by side; whole sheets of them as wide as the page."""
    small = [path for path in paths if _width(path) <= PATCH]
    large = [path for path in paths if _width(path) > PATCH]
    shown = "".join(_figure(path, _caption(path)) for path in small[:MAX_EXAMPLES])
    left_out = len(small) - MAX_EXAMPLES
    more = _paragraph(f"{left_out} more are in the folder examples.") if left_out > 0 else ""
    patches = f'<div class="examples">{shown}</div>{more}' if small else ""
    return patches + "".join(_figure(path, _caption(path)) for path in large)


def _caption(path: Path) -> str:
    return path.stem.replace("_", " ")


def _width(png: Path) -> int:
    """A PNG's width in pixels: the first field of its first chunk."""
    with open(png, "rb") as file:
        return int.from_bytes(file.read(20)[16:20])


def _contradictions() -> str:
    return "".join(f"<h3>{escape(heading)}</h3>{_paragraph(text)}" for heading, text in CONTRADICTIONS)


def _times(seconds: object) -> str:
    if not isinstance(seconds, dict):
        return ""
    rows = [[str(step), value if isinstance(value, int | float) else str(value)] for step, value in seconds.items()]
    return _table(Table("time", "Seconds of each step", [Column("step"), Column("seconds")], rows))


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"
