"""Labels of the tree's nodes, splits by patient and image-wise, and the program that writes the manifests."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.datasets.pathologies import by_node, split, whole, with_pathologies
from pyhisto.errors import InputError
from pyhisto.hierarchy.tree import PATHOLOGIES
from pyhisto.manifest import Row, read_manifest


def bach_rows(patients: int, images: int) -> list[Row]:
    """Four classes of as many patients, each of as many images."""
    return [
        Row(f"{kind}/{patient}-{image}.tif", 0, f"{kind}{patient}", subtype=kind)
        for kind in PATHOLOGIES[:4]
        for patient in range(patients)
        for image in range(images)
    ]


def test_every_node_learns_its_own_classes() -> None:
    bisque = [Row("x.tif", 0, slide="s1", subtype="benign"), Row("y.tif", 1, slide="s2", subtype="malignant")]
    rows = with_pathologies(bach_rows(1, 1), "bach", "bach") + with_pathologies(bisque, "bisque", "bisque")
    labels = {node: {row.path: row.label for row in own} for node, own in by_node(rows).items()}
    normal, benign, in_situ, invasive = (f"bach/{kind}/0-0.tif" for kind in PATHOLOGIES[:4])
    # Section 3.1: BISQUE's benign is benign, its malignant a carcinoma that the specialised networks do not use.
    assert labels["Carci"] == {normal: 0, benign: 0, in_situ: 1, invasive: 1, "bisque/x.tif": 0, "bisque/y.tif": 1}
    assert labels["NorBe"] == {normal: 0, benign: 1, "bisque/x.tif": 1}
    assert labels["InvIs"] == {in_situ: 0, invasive: 1}
    assert labels["Flat"] == {normal: 0, benign: 1, in_situ: 2, invasive: 3, "bisque/x.tif": 1}
    assert labels["all"]["bisque/y.tif"] == 4


def test_a_strange_subtype_is_refused() -> None:
    with pytest.raises(InputError, match=r"m\.csv: a\.tif: subtype 'lobular'"):
        with_pathologies([Row("a.tif", 0, subtype="lobular")], "", "m.csv")


def test_the_papers_split_is_75_to_25_of_every_class_and_looks_at_no_patient() -> None:
    rows = split(with_pathologies(bach_rows(10, 10), "", "t"), "image-wise", 0.25, 0, seed=0)
    assert Counter((row.subtype, row.split) for row in rows) == {
        (kind, name): count for kind in PATHOLOGIES[:4] for name, count in (("train", 75), ("val", 25))
    }
    assert {(row.patient, row.extra["split_by"]) for row in rows} == {("", "image")}
    both_sides = {row.extra["patient_id"] for row in rows if row.split == "val"} & {
        row.extra["patient_id"] for row in rows if row.split == "train"
    }
    assert both_sides


@given(st.integers(3, 8), st.integers(1, 4), st.integers(0, 5))
def test_by_patients_nobody_is_on_two_sides(patients: int, images: int, seed: int) -> None:
    rows = split(with_pathologies(bach_rows(patients, images), "", "t"), "patient", 0.25, 0.25, seed)
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(row.patient, set()).add(row.split)
    assert all(len(side) == 1 for side in sides.values())
    assert {row.split for row in rows} == {"train", "val", "test"}
    assert {row.extra["split_by"] for row in rows} == {"patient"}
    assert not any(row.split == "val" for row in whole(rows))


def test_fractions_that_leave_nothing_are_refused() -> None:
    for val, test in ((0.5, 0.5), (0.9, 0.2), (-0.1, 0.2)):
        with pytest.raises(InputError):
            split(bach_rows(4, 2), "patient", val, test, 0)


def run(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "data_prep" / "make_tree_manifests.py", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_another_source_moves_no_image(root: Path, tmp_path: Path) -> None:
    for kind, letter in zip(PATHOLOGIES[:4], ("n", "b", "is", "iv"), strict=True):
        (tmp_path / "bach" / kind).mkdir(parents=True)
        for number in range(8):
            (tmp_path / "bach" / kind / f"{letter}{number:03d}.tif").touch()
    (tmp_path / "bisque").mkdir()
    for number in range(4):
        for kind in ("benign", "malignant"):
            (tmp_path / "bisque" / f"ytma{number}_{kind}1_ccd.tif").touch()
    base = ["--root", tmp_path, "--bach", "bach", "--test-fraction", 0.25]
    for name, more in (("init", []), ("ext", ["--bisque", "bisque"]), ("whole", ["--whole"])):
        done = run(root, *base, *more, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    splits = {name: {r.path: r.split for r in read_manifest(tmp_path / name / "all.csv")} for name in ("init", "ext")}
    assert splits["init"].items() <= splits["ext"].items()
    assert len(splits["ext"]) == 32 + 8
    trained = {row.path for row in read_manifest(tmp_path / "whole" / "Carci.csv") if row.split == "train"}
    assert trained == {path for path, name in splits["init"].items() if name != "test"}


def test_bad_input_is_one_line(root: Path, tmp_path: Path) -> None:
    for arguments in (
        ["--root", tmp_path, "--out", tmp_path / "o"],
        ["--root", tmp_path, "--bach", "nowhere", "--out", tmp_path / "o"],
        ["--root", tmp_path, "--manifest", tmp_path / "no.csv", "--out", tmp_path / "o"],
    ):
        done = run(root, *arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert not (tmp_path / "o").exists()


def test_the_real_bisque_images(root: Path, shared_data: Path, tmp_path: Path) -> None:
    # All four come from one array, so that by slides nothing can be held back.
    common = ["--root", shared_data, "--bisque", "bisque", "--val-fraction", 0.5]
    assert "1 patients (or slides) do not make 2 parts" in run(root, *common, "--out", tmp_path / "by_slide").stderr
    assert run(root, *common, "--split", "image-wise", "--out", tmp_path / "images").returncode == 0
    rows = read_manifest(tmp_path / "images" / "Carci.csv")
    assert Counter((row.label, row.split) for row in rows) == {
        (label, name): 1 for label in (0, 1) for name in ("train", "val")
    }
