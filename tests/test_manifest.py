"""The manifest: what is written is read, and a bad one is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyhisto.errors import InputError
from pyhisto.manifest import (
    SPLITS,
    Row,
    check_disjoint,
    class_counts,
    manifest_text,
    read_manifest,
    resolve,
    write_manifest,
)

HEADER = "path,label,patient,slide,magnification,subtype,split\n"
words = st.text(st.characters(exclude_categories=("C", "Z")), max_size=8)
names = st.text("abcXYZ-_. ,'\"é", min_size=1, max_size=12).filter(lambda name: name != "..")
rows_lists = st.lists(
    st.builds(Row, names, st.integers(0, 9), words, words, words, words, st.sampled_from(["", *SPLITS])),
    min_size=1,
    unique_by=lambda row: row.path,
)


@given(rows_lists)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    path = tmp_path_factory.mktemp("manifest") / "m.csv"
    write_manifest(path, rows)
    assert read_manifest(path) == rows
    assert path.read_bytes() == manifest_text(rows).encode()


def test_own_columns_are_kept(tmp_path: Path) -> None:
    rows = [Row("a.png", 0, extra={"x": "1"}), Row("b.png", 1, extra={"x": ""})]
    write_manifest(tmp_path / "m.csv", rows)
    assert read_manifest(tmp_path / "m.csv") == rows
    assert (tmp_path / "m.csv").read_text() == HEADER.strip() + ",x\na.png,0,,,,,,1\nb.png,1,,,,,,\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column path"),
        (HEADER, "lists no image"),
        ("path,label\na,0\n", "no column patient, slide"),
        (HEADER + "a,0,p\n", "line 2: more or fewer fields"),
        (HEADER + "a,0,p,s,100,A,train,extra\n", "line 2: more or fewer fields"),
        (HEADER + "a,-1,p,s,100,A,train\n", "label '-1'"),
        (HEADER + "a,0,p,s,100,A,train\nb,,p,s,100,A,train\n", "line 3: has no label; this program needs one"),
        (HEADER + "a,65536,p,s,100,A,train\n", "label '65536' is not a whole number from 0 to 65535"),
        (HEADER + f"a,{'9' * 5000},p,s,100,A,train\n", "label '99999999999999999999' is not"),
        (HEADER + "a,\u00b2,p,s,100,A,train\n", "label '\u00b2' is not"),
        (HEADER + "a,0,p,s,100,A,learn\n", "split 'learn'"),
        (HEADER + "../a,0,p,s,100,A,train\n", "not inside the root"),
        (HEADER + "b/../../a,0,p,s,100,A,train\n", "not inside the root"),
        (HEADER + "/etc/passwd,0,p,s,100,A,train\n", "not inside the root"),
        (HEADER + ",0,p,s,100,A,train\n", "not inside the root"),
        (HEADER + "a,0,p,s,100,A,train\na,0,p,s,100,A,train\n", "more than once"),
        (HEADER + '"a,0,p,s,100,A,train\n', "not valid CSV"),
    ],
)
def test_bad_manifest_is_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_manifest(path)
    assert complaint in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_unreadable_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_manifest(tmp_path / "none.csv")
    (tmp_path / "m.csv").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match="UTF-8"):
        read_manifest(tmp_path / "m.csv")


def test_resolve_stays_inside_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.png").touch()
    (tmp_path / "secret").touch()
    (root / "link.png").symlink_to(tmp_path / "secret")
    assert resolve(root, "a.png") == root / "a.png"
    for bad, complaint in [("../secret", "not inside"), ("link.png", "leads outside"), ("b.png", "no such file")]:
        with pytest.raises(InputError, match=complaint):
            resolve(root, bad)


def test_overlap_is_named() -> None:
    rows = [Row("a", 0, "p1", split="train"), Row("b", 0, "p1", split="test"), Row("c", 0, "p2", split="val")]
    with pytest.raises(InputError, match=r"p1 in train and test"):
        check_disjoint(rows)
    check_disjoint(rows[1:])


def test_slide_stands_in_for_a_patient_that_is_not_known() -> None:
    rows = [Row("a", 0, slide="s1", split="train"), Row("b", 0, slide="s1", split="val")]
    with pytest.raises(InputError, match="s1 in train and val"):
        check_disjoint(rows)


def test_class_counts() -> None:
    assert class_counts([Row("a", 1), Row("b", 0), Row("c", 1)]) == {0: 1, 1: 2}
