"""What an earlier report left goes when the next one is whole, and nothing else."""

from pathlib import Path

import pytest

from pyhisto.errors import InputError
from pyhisto.tables.outputs import replaced_report


def write(folder: Path, *names: str) -> None:
    with replaced_report(folder) as made:
        for name in names:
            (made / name).parent.mkdir(exist_ok=True)
            (made / name).write_text(name)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_is_not_written_again_goes(tmp_path: Path) -> None:
    write(tmp_path, "tables/a.csv", "tables/b.csv", "figures/c.png", "page.html")
    (tmp_path / "tables/mine.csv").write_text("x")
    write(tmp_path, "tables/a.csv", "page.html")
    assert files(tmp_path) == {"tables/a.csv", "tables/mine.csv", "page.html", "report.json"}


def test_a_report_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    write(tmp_path, "tables/a.csv", "tables/b.csv")
    before = files(tmp_path)
    with pytest.raises(InputError), replaced_report(tmp_path) as made:
        (made / "tables").mkdir()
        (made / "tables/a.csv").write_text("half")
        raise InputError("a damaged file")
    assert files(tmp_path) == before and (tmp_path / "tables/a.csv").read_text() == "tables/a.csv"


@pytest.mark.parametrize("note", ["{", "[]", "{}", '{"files": 3}', '{"files": ["../outside.csv", "tables/../x", 3]}'])
def test_a_damaged_or_hostile_note_removes_nothing(tmp_path: Path, note: str) -> None:
    (tmp_path / "outside.csv").write_text("x")
    folder = tmp_path / "report"
    write(folder, "tables/a.csv")
    (folder / "x").write_text("x")
    (folder / "report.json").write_text(note)
    write(folder, "tables/b.csv")
    assert files(folder) == {"tables/a.csv", "tables/b.csv", "x", "report.json"}
    assert (tmp_path / "outside.csv").is_file()
