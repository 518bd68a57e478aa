"""The forms of a table."""

from pathlib import Path

from pyhisto.tables.formats import to_csv, to_markdown, to_text, write_tables
from pyhisto.tables.table import Column, Estimate, Spread, Table

TABLE = Table(
    "t",
    "A title",
    [Column("name"), Column("IL"), Column("F1", 2), Column("n"), Column("none")],
    [
        ["a|b", Estimate(85.125, 80.0, 90.25), Spread(0.5, 0.125), 12, None],
        ["c", Estimate(float("nan"), 0.0, 1.0), Spread(0.25, float("nan")), None, float("nan")],
    ],
    ["a note"],
)


def test_csv_has_a_column_for_every_number() -> None:
    assert to_csv(TABLE).splitlines() == [
        "name,IL,IL_low,IL_high,F1,F1_std,n,none",
        "a|b,85.125,80,90.25,0.5,0.125,12,",
        "c,,0,1,0.25,,,",
    ]


def test_markdown_is_for_people() -> None:
    assert to_markdown(TABLE).splitlines() == [
        "## A title",
        "",
        "| name | IL | F1 | n | none |",
        "| --- | --- | --- | --- | --- |",
        "| a\\|b | 85.1 [80.0, 90.2] | 0.50 ± 0.12 | 12 | - |",
        "| c | - [0.0, 1.0] | 0.25 | - | - |",
        "",
        "- a note",
    ]


def test_a_label_is_text_to_markdown_and_on_one_line() -> None:
    label = "[x](y) <b>*a*</b> `c` _d_ spanhol2015_8\n| ~e~"
    table = Table("t", label, [Column("name")], [[label]])
    line = r"\[x\](y) \<b\>\*a\*\</b\> \`c\` \_d\_ spanhol2015_8 \| \~e\~"
    assert to_markdown(table).splitlines() == [f"## {line}", "", "| name |", "| --- |", f"| {line} |"]
    assert to_text(table).count("\n") == 3


def test_text_is_aligned() -> None:
    title, head, rule, first, second, note = to_text(TABLE).splitlines()
    assert (title, note) == ("A title", "a note")
    assert len(head) == len(rule) == len(first) == len(second)


def test_empty_columns_are_left_out() -> None:
    assert TABLE.without_empty_columns().headings == ["name", "IL", "F1", "n"]


def test_files(tmp_path: Path) -> None:
    write_tables(tmp_path, [TABLE])
    assert (tmp_path / "tables/t.csv").read_text() == to_csv(TABLE)
    assert (tmp_path / "tables/t.md").read_text() == to_markdown(TABLE)
