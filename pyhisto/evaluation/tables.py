"""Tables: rows of plain values, and the three ways in which they are shown (CSV, Markdown, aligned text)."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pyhisto.evaluation.metrics import Interval
from pyhisto.evaluation.strategies import PRINTED, Result
from pyhisto.files import write_text

Value: TypeAlias = str | int | float | None


@dataclass(frozen=True)
class Table:
    """A table: the same values for a program (CSV, all digits that count) and for a reader (`decimals` per column)."""

    name: str
    """The file's name, without its ending."""
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Value]]
    decimals: Sequence[int | None] = ()
    """Digits after the point, per column, for a reader; None: as they are. Missing: 1."""
    notes: Sequence[str] = ()

    def cells(self) -> list[list[str]]:
        """The rows as a reader sees them; what is undefined or absent is a dash."""
        return [[self._cell(value, column) for column, value in enumerate(row)] for row in self.rows]

    def _cell(self, value: Value, column: int) -> str:
        if _undefined(value):
            return "-"
        digits = self.decimals[column] if column < len(self.decimals) else 1
        return str(value) if digits is None or isinstance(value, str) else f"{value:.{digits}f}"


def to_csv(table: Table) -> str:
    """The table as CSV: floats with 6 significant digits; empty where undefined."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow(["" if _undefined(v) else f"{v:.6g}" if isinstance(v, float) else v for v in row])
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """The table as Markdown: heading, table, notes."""
    rows = [_pipes(table.columns), _pipes(["---"] * len(table.columns)), *map(_pipes, table.cells())]
    notes = "".join(f"- {note}\n" for note in table.notes)
    return f"## {table.title}\n\n" + "\n".join(rows) + "\n" + (f"\n{notes}" if notes else "")


def to_text(table: Table) -> str:
    """The table in columns for a terminal, with its title and notes."""
    lines = [list(table.columns), *table.cells()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    body = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([table.title, body[0], "-" * len(body[0]), *body[1:], *table.notes])


def write_tables(folder: Path, tables: Sequence[Table]) -> None:
    """Write each table as tables/<name>.csv and .md under `folder`."""
    for table in tables:
        write_text(folder / "tables" / f"{table.name}.csv", to_csv(table))
        write_text(folder / "tables" / f"{table.name}.md", to_markdown(table))


SCORE_COLUMNS = (
    ("strategy", "models", "images", "patients", "majority", "IL", "IL_low", "IL_high", "PL", "PL_low", "PL_high")
    + ("kappa", "PPV", "NPV", "F1", "precision", "recall", "specificity", "AUC")
)  # fmt: skip
SCORE_DECIMALS = (None, None, 0, 0, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 1, 3)

SCORE_NOTES = (
    "IL, PL, PPV, NPV, F1, precision, recall, specificity and the majority rate in percent; kappa and AUC as they are.",
    "majority: the image level rate of always naming the most frequent class.",
    "IL_low, IL_high: Wilson 95% interval, images taken as independent. PL_low, PL_high: 95% bootstrap over patients.",
    "Class 1 (malignant) is positive. PPV (eq. 12) is precision under another name.",
)


def score_table(results: Sequence[Result], name: str, title: str, notes: Sequence[str] = ()) -> Table:
    """One row a strategy (and fusion), every measure."""
    return Table(name, title, SCORE_COLUMNS, [score_row(r) for r in results], SCORE_DECIMALS, [*notes, *SCORE_NOTES])


def score_row(result: Result) -> list[Value]:
    """A result as a row of SCORE_COLUMNS."""
    s = result.scores
    rates = [s.ppv, s.npv, s.f1, s.precision, s.recall, s.specificity]
    return [
        PRINTED.get(result.strategy, result.strategy),
        f"{result.fusion} of {len(result.models)}" if len(result.models) > 1 else result.fusion,
        s.images,
        s.patients,
        100 * s.majority,
        *_percent(s.il, s.il_interval),
        *_percent(s.pl, s.pl_interval),
        s.kappa,
        *(100 * rate for rate in rates),
        s.auc,
    ]


def _percent(rate: float, interval: Interval) -> list[float]:
    return [100 * rate, 100 * interval.low, 100 * interval.high]


def _undefined(value: Value) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
