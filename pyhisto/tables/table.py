"""Tables: rows of plain values, and the ways in which they are shown (CSV, Markdown, aligned text)."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from pyhisto.evaluation.metrics import Interval, Scores
from pyhisto.evaluation.strategies import PRINTED, Result
from pyhisto.files import write_texts


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval: three columns of a CSV, one of a table that is read."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """A mean over folds with its standard deviation: two columns of a CSV, one of a table that is read."""

    mean: float
    std: float


def central(cell: Estimate | Spread) -> float:
    """The value, or the mean."""
    return cell.value if isinstance(cell, Estimate) else cell.mean


Cell: TypeAlias = str | int | float | Estimate | Spread | None
"""None, as NaN, is what does not exist, or is undefined."""


@dataclass(frozen=True)
class Column:
    """A column's name, and how many digits after the point a reader gets to see."""

    name: str
    decimals: int = 1


@dataclass(frozen=True)
class Table:
    """A table for programs (CSV, all digits that count) and for people (Markdown, text, HTML)."""

    name: str
    """The files' name, without its ending."""
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    fine_rows: frozenset[int] = frozenset()
    """Rows of fractions among rows of percent: people get to see two digits more."""

    @property
    def headings(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]

    def cells(self) -> list[list[str]]:
        """The rows as people see them; what does not exist is a dash."""
        return [
            [
                shown(cell, column.decimals + 2 * (number in self.fine_rows))
                for cell, column in zip(row, self.columns, strict=True)
            ]
            for number, row in enumerate(self.rows)
        ]

    def without_empty_columns(self) -> "Table":
        """The table without the columns in which no row has a value."""
        kept = [index for index in range(len(self.columns)) if not all(_missing(row[index]) for row in self.rows)]
        rows = [[row[index] for index in kept] for row in self.rows]
        return replace(self, columns=[self.columns[index] for index in kept], rows=rows)


def shown(cell: Cell, decimals: int = 1) -> str:
    """A cell as people see it."""
    if isinstance(cell, Estimate):
        return f"{shown(cell.value, decimals)} [{shown(cell.low, decimals)}, {shown(cell.high, decimals)}]"
    if isinstance(cell, Spread):
        return shown(cell.mean, decimals) + ("" if _missing(cell.std) else f" ± {cell.std:.{decimals}f}")
    if _missing(cell):
        return "-"
    if isinstance(cell, str):
        return " ".join(cell.split())  # a label from a file may hold a line break
    return f"{cell:z.{decimals}f}" if isinstance(cell, float) else f"{cell:,}"


def to_csv(table: Table) -> str:
    """The table as CSV: floats with 6 significant digits; empty where there is no value."""
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
        [_escaped(text) if isinstance(cell, str) else text for cell, text in zip(row, texts, strict=True)]
        for row, texts in zip(table.rows, table.cells(), strict=True)
    ]
    rows = [_pipes(map(_escaped, table.headings)), _pipes(["---"] * len(table.columns)), *map(_pipes, cells)]
    notes = "".join(f"- {note}\n" for note in table.notes)
    return f"## {_escaped(shown(table.title))}\n\n" + "\n".join(rows) + "\n" + (f"\n{notes}" if notes else "")


def to_text(table: Table) -> str:
    """The table in aligned columns for a terminal, with its title and notes."""
    lines = [table.headings, *table.cells()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    body = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([shown(table.title), body[0], "-" * len(body[0]), *body[1:], *table.notes])


def write_tables(folder: Path, tables: Sequence[Table]) -> None:
    """Write each table as tables/<name>.csv and .md under `folder`, all of them whole or none."""
    texts = {}
    for table in tables:
        texts[folder / "tables" / f"{table.name}.csv"] = to_csv(table)
        texts[folder / "tables" / f"{table.name}.md"] = to_markdown(table)
    write_texts(texts)


MAIN_COLUMNS = [*map(Column, ("images", "patients", "majority", "IL", "PL")), Column("kappa", 3)]
"""What every table of scores begins with."""

SCORE_COLUMNS = [
    Column("strategy"),
    Column("models"),
    *MAIN_COLUMNS,
    *(Column(name) for name in ("PPV", "NPV", "F1", "precision", "recall", "specificity")),
    Column("AUC", 3),
]

SCORE_NOTES = (
    "IL, PL, PPV, NPV, F1, precision, recall, specificity and the majority rate in percent; kappa and AUC as they are.",
    "majority: the image level rate of always naming the most frequent class.",
    "In brackets, 95% intervals: of IL Wilson's, which takes images as independent; of PL a bootstrap over patients, "
    "which has no width where all patients score alike.",
    "Class 1 (malignant) is positive. PPV (eq. 12) is precision under another name.",
)


def score_cells(result: Result) -> list[Cell]:
    """A result as a row of SCORE_COLUMNS; one model alone needs no naming."""
    s = result.scores
    rates = [s.ppv, s.npv, s.f1, s.precision, s.recall, s.specificity]
    return [
        PRINTED.get(result.strategy, result.strategy),
        f"{result.fusion} of {len(result.models)}" if len(result.models) > 1 else None,
        *main_cells(s),
        *(100 * rate for rate in rates),
        s.auc,
    ]


def main_cells(s: Scores) -> list[Cell]:
    """Scores as MAIN_COLUMNS."""
    rates = (percent(s.il, s.il_interval), percent(s.pl, s.pl_interval))
    return [s.images, s.patients, 100 * s.majority, *rates, s.kappa]


def percent(rate: float, interval: Interval) -> Estimate:
    """A rate and its interval in percent."""
    return Estimate(100 * rate, 100 * interval.low, 100 * interval.high)


def _missing(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _parts(cell: Cell) -> dict[str, str | int | float | None]:
    """What a cell becomes in a CSV: the ending of the column's name -> value."""
    if isinstance(cell, Estimate):
        return {"": cell.value, "_low": cell.low, "_high": cell.high}
    return {"": cell.mean, "_std": cell.std} if isinstance(cell, Spread) else {"": cell}


def _csv_text(value: str | int | float | None) -> str:
    return "" if _missing(value) else f"{value:.6g}" if isinstance(value, float) else str(value)


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is. (An underscore within a word, as names have them, means nothing to it.)"""
    return re.sub(r"([\\`*\[\]<>|~&]|\b_|_\b)", r"\\\1", text)
