"""Plain trees of images: classes by folder, splits by folder if they are there, patients by a pattern or a table."""

import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.datasets import folder
from pyhisto.errors import InputError
from pyhisto.manifest import read_manifest


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_splits_classes_and_patients(tmp_path: Path) -> None:
    tree = touch(tmp_path, "train/tumour/p1_a.png", "train/normal/p1_b.JPG", "test/tumour/p2_a.tif", "notes.txt")
    data = folder.load(tree, r"^(p\d+)_")
    assert [(row.path, row.label, row.patient, row.subtype, row.split) for row in data.rows] == [
        ("test/tumour/p2_a.tif", 1, "p2", "tumour", "test"),
        ("train/normal/p1_b.JPG", 0, "p1", "normal", "train"),
        ("train/tumour/p1_a.png", 1, "p1", "tumour", "train"),
    ]
    assert data.notes == ["classes: 0 normal, 1 tumour"]


def test_without_splits_and_patients_classes_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    data = folder.load(touch(tmp_path, "10/a.png", "9/b.png", "9/deeper/c.png"))
    assert [(row.path, row.label, row.split, row.group) for row in data.rows] == [
        ("10/a.png", 1, "", "10/a.png"),
        ("9/b.png", 0, "", "9/b.png"),
        ("9/deeper/c.png", 0, "", "9/deeper/c.png"),
    ]
    assert data.notes == ["classes: 0 9, 1 10", "no patients are known: each image counts as one"]


def test_patients_of_a_table(tmp_path: Path) -> None:
    tree, table = touch(tmp_path / "tree", "a/1.png", "b/2.png"), tmp_path / "patients.csv"
    table.write_text("path,patient\na/1.png,x\nb/2.png,y\n")
    assert [row.patient for row in folder.load(tree, table=table).rows] == ["x", "y"]
    table.write_text("path,patient\na/1.png,x\n")
    with pytest.raises(InputError, match=r"patients.csv: has no patient for 1 images, the first: b/2.png"):
        folder.load(tree, table=table)
    table.write_text("image,who\n")
    with pytest.raises(InputError, match="needs the columns path and patient"):
        folder.load(tree, table=table)


@pytest.mark.parametrize(
    ("names", "pattern", "complaint"),
    [
        (["a.txt"], None, "holds no image"),
        (["a.png", "x/b.png"], None, "a.png: lies outside the tree"),
        (["train/a/1.png", "train/b/2.png", "other/a/3.png"], None, "other/a/3.png: lies outside the tree"),
        (["only/1.png"], None, "images of one class alone, 'only'"),
        (["a/1.png", "b/x.png"], r"(\d)", r"b/x.png: --patient-pattern '\(\\d\)' finds no patient"),
        (["a/1.png", "b/2.png"], r"\d", "has no group"),
        (["a/1.png", "b/2.png"], r"(", "not a regular expression"),
        (["train/a/p1_1.png", "test/b/p1_2.png"], r"(p\d)", "patients in more than one split: p1 in train and test"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, names: list[str], pattern: str | None, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        folder.load(touch(tmp_path, *names), pattern)


def test_the_program_takes_the_tree_s_splits(root: Path, tmp_path: Path) -> None:
    names = [f"{split}/{label}/{number}.png" for split in ("train", "val", "test") for label in "01" for number in "ab"]
    tree = touch(tmp_path / "tree", *names)
    program = [sys.executable, root / "data_prep/make_manifest.py", "--dataset", "folder", "--root", tree]
    done = subprocess.run(
        [*map(str, program), "--out", tmp_path / "m.csv"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [row.split for row in read_manifest(tmp_path / "m.csv")] == ["test"] * 4 + ["train"] * 4 + ["val"] * 4
    plain = [sys.executable, root / "data_prep/make_manifest.py", "--dataset", "folder", "--root", tree / "train"]
    done = subprocess.run([*map(str, plain), "--out", tmp_path / "n.csv"], check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "say how to split" in done.stderr


def test_patch_camelyon(shared_data: Path) -> None:
    rows = folder.load(shared_data / "pcam").rows
    assert {split: sum(row.split == split for row in rows) for split in ("train", "val", "test")} == {
        "train": 12000,
        "val": 2000,
        "test": 3000,
    }
    assert all(row.label == int(row.subtype) for row in rows) and sum(row.label for row in rows) == 8500
