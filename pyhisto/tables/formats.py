"""The forms of a table: CSV for programs, Markdown and aligned text for people."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pyhisto.files import write_texts
from pyhisto.tables.table import Cell, Estimate, Spread, Table, format_cell, is_missing


def to_csv(table: Table) -> str:
    """The table as CSV: floats with 6 significant digits; empty if there is no value."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    rows = [[_parts(cell) for cell in row] for row in table.rows]
    endings = [list(dict.fromkeys(e for row in rows for e in row[index])) for index in range(len(table.columns))]
    writer.writerow(name + ending for name, own in zip(table.headings, endings, strict=True) for ending in own)
    for row in rows:
        pairs = zip(row, endings, strict=True)
        writer.writerow(_csv_text(parts.get(ending)) for parts, own in pairs for ending in own)
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """The table as Markdown: heading, table, notes."""
    cells = [
        [_escape(text) if isinstance(cell, str) else text for cell, text in zip(row, texts, strict=True)]
        for row, texts in zip(table.rows, table.cells(), strict=True)
    ]
    rows = [_pipes(map(_escape, table.headings)), _pipes(["---"] * len(table.columns)), *map(_pipes, cells)]
    notes = "".join(f"- {note}\n" for note in table.notes)
    return f"## {_escape(format_cell(table.title))}\n\n" + "\n".join(rows) + "\n" + (f"\n{notes}" if notes else "")


def to_text(table: Table) -> str:
    """The table in aligned columns for a terminal, with its title and notes."""
    lines = [table.headings, *table.cells()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    body = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([format_cell(table.title), body[0], "-" * len(body[0]), *body[1:], *table.notes])


def write_tables(folder: Path, tables: Sequence[Table]) -> None:
    """Write each table as tables/<name>.csv and .md under `folder`, all of them whole or none."""
    texts = {}
    for table in tables:
        texts[folder / "tables" / f"{table.name}.csv"] = to_csv(table)
        texts[folder / "tables" / f"{table.name}.md"] = to_markdown(table)
    write_texts(texts)


def _parts(cell: Cell) -> dict[str, str | int | float | None]:
    """What a cell becomes in a CSV: the ending of the column's name -> value."""
    if isinstance(cell, Estimate):
        return {"": cell.value, "_low": cell.low, "_high": cell.high}
    return {"": cell.mean, "_std": cell.std} if isinstance(cell, Spread) else {"": cell}


def _csv_text(value: str | int | float | None) -> str:
    return "" if is_missing(value) else f"{value:.6g}" if isinstance(value, float) else str(value)


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape(text: str) -> str:
    """Text that Markdown shows as it is. (An underscore within a word, as names have them, means nothing to it.)"""
    return re.sub(r"([\\`*\[\]<>|~&]|\b_|_\b)", r"\\\1", text)
