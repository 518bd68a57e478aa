"""Pages of tables and figures that need nothing else: one HTML file, no script and no network.

A page is data: sections of blocks. What it looks like is said by the Jinja2 templates in templates/, where whatever is
inserted is escaped.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined

import pyhisto
from pyhisto.tables.table import Column, Table

LONG = 30
"""A folded table of more rows is closed until it is opened."""
MOST = 1000
"""A folded table of more rows is not on the page, but in its file alone."""


@dataclass(frozen=True)
class Paragraph:
    """Plain text, under a heading of its own if it has one."""

    template: ClassVar[str] = "paragraph.html"
    text: str
    heading: str = ""


@dataclass(frozen=True)
class TableBlock:
    """A table with its title and notes."""

    template: ClassVar[str] = "table.html"
    table: Table
    folded: bool = False
    """Whether it is closed if it is long, and left to its file if it is very long."""

    @property
    def is_closed(self) -> bool:
        """Whether a reader has to open it."""
        return self.folded and len(self.table.rows) > LONG

    @property
    def is_left_out(self) -> bool:
        """Whether the page only says where it is."""
        return self.folded and len(self.table.rows) > MOST

    @property
    def text_columns(self) -> list[bool]:
        """Of each column, whether it holds text, which is aligned to the left."""
        return [
            all(isinstance(row[index], str) or row[index] is None for row in self.table.rows)
            for index in range(len(self.table.columns))
        ]


@dataclass(frozen=True)
class Picture:
    """A PNG file, which is embedded."""

    template: ClassVar[str] = "picture.html"
    path: Path
    caption: str

    @property
    def source(self) -> str:
        """The file as a URL."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode("ascii")


@dataclass(frozen=True)
class Gallery:
    """Small pictures side by side."""

    template: ClassVar[str] = "gallery.html"
    pictures: Sequence[Picture]


Block: TypeAlias = Paragraph | TableBlock | Picture | Gallery


@dataclass(frozen=True)
class Section:
    """A part of a page; without blocks it is left out."""

    key: str
    """Its anchor."""
    heading: str
    blocks: Sequence[Block]
    remarks: Sequence[str] = ()
    """What a reader is to know before the blocks."""


@dataclass(frozen=True)
class Page:
    """A whole page."""

    title: str
    banner: str
    """What matters most; may be empty."""
    lead: Sequence[str]
    """Its first lines: what data it is about."""
    sections: Sequence[Section]
    settings: Mapping[str, Any]
    """The run's, which come last."""
    program: str
    """What makes the page again."""
    remarks: Sequence[str] = ()
    """What a reader is to know before all sections."""


def to_html(page: Page) -> str:
    """The page as HTML; the same page gives the same text."""
    environment = Environment(
        loader=PackageLoader("pyhisto.tables"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    settings = json.dumps(dict(page.settings), indent=2, ensure_ascii=False)
    return environment.get_template("page.html").render(
        page=page,
        sections=[section for section in page.sections if section.blocks],
        settings=settings,
        version=pyhisto.__version__,
    )


def tabulate_seconds(seconds: object) -> list[Block]:
    """The seconds of each step of a run, as its settings have them (step -> seconds); nothing if they have none."""
    if not isinstance(seconds, dict):
        return []
    rows = [[str(step), value if isinstance(value, int | float) else str(value)] for step, value in seconds.items()]
    return [TableBlock(Table("time", "Seconds of each step", [Column("step"), Column("seconds")], rows))]
