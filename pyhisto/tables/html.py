"""Pages of tables and figures that need nothing else: one HTML file, no script and no network."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pyhisto
from pyhisto.tables.table import Table

SYNTHETIC = (
    "Synthetic data. The images were made by a program: these figures say that the method runs, and nothing about real "
    "tissue."
)

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
ul.remarks { background: var(--warn-page); color: var(--warn); padding: .7rem 1rem .7rem 2.2rem; border-radius: .4rem;
  max-width: 60rem; } ul.remarks li { margin: .25rem 0; }
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


LONG = 30
"""A table of more rows is closed until it is opened."""
MOST = 1000
"""A table of more rows is not on the page, but in its file alone."""


def table_html(table: Table) -> str:
    """A table with its title and notes."""
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


def folded(table: Table) -> str:
    """A table, closed if it is long; if it is very long, where it is."""
    if len(table.rows) > MOST:
        return paragraph(f"{table.title}: {len(table.rows):,} rows, in tables/{table.name}.csv.")
    if len(table.rows) <= LONG:
        return table_html(table)
    return f"<details><summary>{escape(table.title)}: {len(table.rows)} rows</summary>{table_html(table)}</details>"


def figure(path: Path, caption: str) -> str:
    """A PNG, embedded."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    text = escape(caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def remarks(sentences: Iterable[str]) -> str:
    """What a reader is to know before the figures; nothing where there is nothing."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="remarks">{items}</ul>' if items else ""


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def page(
    title: str, banner: str, lead: str, sections: Sequence[tuple[str, str, str]], settings: Mapping[str, Any],
    program: str,
) -> str:  # fmt: skip
    """A whole page: what matters most in a banner (plain text), a lead (HTML), and sections (key, heading, HTML).

    Sections without content are left out; the run's settings come last. `program` is what makes the page again.
    """
    last = f"<pre>{escape(json.dumps(dict(settings), indent=2, ensure_ascii=False))}</pre>"
    present = [section for section in [*sections, ("settings", "Settings", last)] if section[2]]
    links = "".join(f'<a href="#{key}">{escape(heading)}</a>' for key, heading, _ in present)
    warning = f'<p class="banner">{escape(banner)}</p>' if banner else ""
    body = "".join(f'<section id="{key}"><h2>{escape(head)}</h2>{content}</section>' for key, head, content in present)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{warning}{lead}<nav>{links}</nav>{body}"
        f"<footer>pyhisto {escape(pyhisto.__version__)}. Every number can be rebuilt from the predictions files with "
        f"{escape(program)}.</footer></body></html>\n"
    )
