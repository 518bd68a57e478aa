"""A table: rows of plain values, each with as many digits as a reader gets to see."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias


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


Cell: TypeAlias = str | int | float | Estimate | Spread | None
"""None and NaN stand for what does not exist or is undefined."""


@dataclass(frozen=True)
class Column:
    """A column's name, and how many digits after the point a reader gets to see."""

    name: str
    decimals: int = 1


@dataclass(frozen=True)
class Table:
    """A table for programs (CSV, 6 significant digits) and for people (Markdown, text, HTML)."""

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
                format_cell(cell, column.decimals + 2 * (number in self.fine_rows))
                for cell, column in zip(row, self.columns, strict=True)
            ]
            for number, row in enumerate(self.rows)
        ]

    def without_empty_columns(self) -> "Table":
        """The table without the columns in which no row has a value."""
        kept = [index for index in range(len(self.columns)) if not all(is_missing(row[index]) for row in self.rows)]
        rows = [[row[index] for index in kept] for row in self.rows]
        return replace(self, columns=[self.columns[index] for index in kept], rows=rows)


def format_cell(cell: Cell, decimals: int = 1) -> str:
    """A cell as people see it."""
    if isinstance(cell, Estimate):
        low, high = format_cell(cell.low, decimals), format_cell(cell.high, decimals)
        return f"{format_cell(cell.value, decimals)} [{low}, {high}]"
    if isinstance(cell, Spread):
        return format_cell(cell.mean, decimals) + ("" if is_missing(cell.std) else f" ± {cell.std:.{decimals}f}")
    if is_missing(cell):
        return "-"
    if isinstance(cell, str):
        return " ".join(cell.split())  # a label from a file may hold a line break
    return f"{cell:z.{decimals}f}" if isinstance(cell, float) else f"{cell:,}"


def central_value(cell: Estimate | Spread) -> float:
    """The value, or the mean."""
    return cell.value if isinstance(cell, Estimate) else cell.mean


def is_missing(cell: Cell) -> bool:
    """Whether a cell has no value."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell))
