"""BACH's photos: names, folders and the ground-truth file must agree."""

from pathlib import Path

import pytest

from data_prep.datasets import bach
from pyhisto.errors import InputError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for folder, name in (
        ("Normal", "n001"),
        ("Benign", "b001"),
        ("InSitu", "is001"),
        ("Invasive", "iv001"),
        ("Invasive", "iv002"),
    ):
        (tmp_path / "Photos" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "Photos" / folder / f"{name}.tif").touch()
    table = "n001.tif,Normal\r\nb001.tif,Benign\r\nis001.tif,InSitu\r\niv001.tif,Invasive\r\niv099.tif,Invasive\r\n"
    (tmp_path / "Photos" / bach.GROUND_TRUTH).write_text(table)
    return tmp_path


def test_four_classes_and_the_paper_s_two(photos: Path) -> None:
    data = bach.load(photos)
    assert {Path(row.path).stem: row.label for row in data.rows} == {
        "n001": 0,
        "b001": 1,
        "is001": 2,
        "iv001": 3,
        "iv002": 3,
    }
    assert "98 of the 100 Invasive images are missing" in data.notes
    two = {row.subtype: row.label for row in bach.two_classes(data.rows)}
    assert two == {"Normal": 0, "Benign": 0, "InSitu": 1, "Invasive": 1}


def test_contradictions_are_named(photos: Path) -> None:
    table = photos / "Photos" / bach.GROUND_TRUTH
    table.write_text("n001.tif,Benign\n")
    with pytest.raises(InputError, match=r"line 1: says Benign for n001\.tif, which is named Normal"):
        bach.load(photos)
    table.write_text("n001.tif;Benign\n")
    with pytest.raises(InputError, match="line 1: not `file,class`"):
        bach.load(photos)
    table.unlink()
    (photos / "Photos/Normal/b007.tif").touch()
    with pytest.raises(InputError, match=r"b007\.tif: in the folder Normal, and its name says Benign"):
        bach.load(photos)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".JPEG", ".tiff"])
def test_photos_in_other_formats(photos: Path, ending: str) -> None:
    before = bach.load(photos)
    for path in photos.rglob("*.tif"):
        path.rename(path.with_suffix(ending))
    data = bach.load(photos)  # the ground truth still speaks of .tif
    assert [(Path(row.path).stem, row.label) for row in data.rows] == [
        (Path(row.path).stem, row.label) for row in before.rows
    ]
    assert data.notes == before.notes
    (photos / "Photos" / bach.GROUND_TRUTH).write_text("n001.tif,Benign\n")
    with pytest.raises(InputError, match=r"says Benign for n001\.tif, which is named Normal"):
        bach.load(photos)


def test_a_photo_in_two_formats_is_named(photos: Path) -> None:
    (photos / "Photos/Normal/n001.png").touch()
    with pytest.raises(InputError, match=r"n001\.tif: the photo is there as Photos/Normal/n001\.png, too"):
        bach.load(photos)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no image named n001\.tif, .*or \.png, \.jpg"):
        bach.load(tmp_path)
