"""Pages: what is inserted is text, what is empty is left out, what is long is folded."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pyhisto.tables.pages import (
    Block,
    Gallery,
    Page,
    Paragraph,
    Picture,
    Section,
    TableBlock,
    tabulate_seconds,
    to_html,
)
from pyhisto.tables.table import Column, Spread, Table

HOSTILE = "</style></p><script>alert(1)</script>\" onerror='x' {{ 7 * 7 }} &"
TABLE = Table("t", "A title", [Column("name"), Column("IL")], [["a", Spread(81.25, 1.5)]], ["a note"])
EMPTY = Page("A page", "", [], [], {}, "tools/x.py")


class Parsed(HTMLParser):
    """The tags of a page, each with its attributes, and its text; every tag is closed in order."""

    VOID = ("meta", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def parse(*blocks: Block, remarks: Sequence[str] = ()) -> Parsed:
    return Parsed(to_html(replace(EMPTY, sections=[Section("key", "A heading", blocks, remarks)])))


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "p.png"
    path.write_bytes(b"\x89PNG and so on")
    return path


def test_whatever_is_inserted_is_text(png: Path) -> None:
    table = Table(HOSTILE, HOSTILE, [Column(HOSTILE)], [[HOSTILE]], [HOSTILE])
    blocks: list[Block] = [
        Paragraph(HOSTILE, HOSTILE), TableBlock(table), TableBlock(replace(table, rows=[["x"]] * 31), folded=True),
        TableBlock(replace(table, rows=[["x"]] * 1001), folded=True), Picture(png, HOSTILE),
        Gallery([Picture(png, HOSTILE)]),
    ]  # fmt: skip
    section = Section(HOSTILE, HOSTILE, blocks, [HOSTILE])
    page = Page(HOSTILE, HOSTILE, [HOSTILE], [section], {HOSTILE: HOSTILE}, HOSTILE, [HOSTILE])
    parsed = Parsed(to_html(page))
    assert not parsed.named("script")
    assert not [tag for tag, attributes in parsed.tags if "onerror" in attributes]
    # Title (twice), banner, lead, the page's remark, the section's link, heading and remark; the paragraph's two; a
    # title, a heading, a note of the two tables that are shown and a cell of one; what is said of the third (title and
    # file); two captions; the footer. An "alt" is no text, and JSON has its own escapes in the settings.
    assert "".join(parsed.texts).count(HOSTILE) == 8 + 2 + 7 + 2 + 2 + 1


def test_sections_without_blocks_are_left_out() -> None:
    sections = [Section("one", "One", [Paragraph("text")], ["a remark"]), Section("two", "Two", [], ["a remark"])]
    parsed = Parsed(to_html(replace(EMPTY, sections=sections)))
    assert [attributes["id"] for attributes in parsed.named("section")] == ["one", "settings"]
    assert [attributes["href"] for attributes in parsed.named("a")] == ["#one", "#settings"]
    assert parsed.texts.count("a remark") == 1


def test_a_page_without_banner_and_remarks_has_no_empty_boxes() -> None:
    parsed = parse(Paragraph("text"))
    assert [attributes for attributes in parsed.named("p") if attributes] == [] and not parsed.named("ul")
    shown = Parsed(to_html(replace(EMPTY, banner="Beware", lead=["of what"], remarks=["a remark"])))
    assert [attributes["class"] for attributes in shown.named("p")] == ["banner", "lead"]
    assert [attributes["class"] for attributes in shown.named("ul")] == ["remarks"]


def test_numbers_stand_to_the_right_as_people_see_them_and_text_to_the_left() -> None:
    parsed = parse(TableBlock(TABLE))
    assert parsed.named("td") == parsed.named("th") == [{"class": "text"}, {}]
    assert {"a", "81.2 ± 1.5", "a note"} <= set(parsed.texts)


@pytest.mark.parametrize(("rows", "tables", "details"), [(30, 1, 0), (31, 1, 1), (1000, 1, 1), (1001, 0, 0)])
def test_long_tables_are_folded_and_very_long_ones_left_to_their_file(rows: int, tables: int, details: int) -> None:
    table = replace(TABLE, rows=list(TABLE.rows) * rows)
    parsed = parse(TableBlock(table, folded=True))
    assert (len(parsed.named("table")), len(parsed.named("details"))) == (tables, details)
    assert ("A title: 1,001 rows, in tables/t.csv." in parsed.texts) == (rows == 1001)
    assert len(parse(TableBlock(table)).named("tr")) == 1 + rows


def test_pictures_are_in_the_page(png: Path) -> None:
    parsed = parse(Picture(png, "large"), Gallery([Picture(png, "one"), Picture(png, "two")]))
    source = "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode()
    assert parsed.named("img") == [{"src": source, "alt": name} for name in ("large", "one", "two")]


def test_seconds_as_far_as_the_settings_have_them() -> None:
    (block,) = tabulate_seconds({"train": 12.5, "all": "a day"})
    assert isinstance(block, TableBlock)
    assert block.table.cells() == [["train", "12.5"], ["all", "a day"]]
    assert tabulate_seconds(None) == tabulate_seconds("3") == []
