"""BreaKHis: names trusted, folds obeyed, everything missing or contradictory named."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from data_prep.datasets import breakhis
from data_prep.datasets.breakhis import TWO_TYPES, load, parse, read_fold
from data_prep.datasets.dataset import DataSet
from pyhisto.errors import InputError


def load_tree(tree: Path, **options: bool) -> DataSet:
    return load(tree / "BreaKHis_v1", tree / "breakhis_folds", 1, 100, **options)


def test_the_file_name_says_everything() -> None:
    row = parse(Path("x/SOB_M_DC-14-13412-400-007.png"))
    assert (row.label, row.subtype, row.patient, row.magnification) == (1, "DC", "14-13412", "400")
    assert parse(Path("SOB_B_TA-14-21978AB-40-001.png")).patient == "14-21978AB"
    for bad in ("SOB_B_DC-14-1-40-001.png", "SOB_M_DC-14-1-50-001.png", "photo.png"):
        with pytest.raises(InputError, match="not a BreaKHis file name"):
            parse(Path(bad))


def test_one_fold_at_one_magnification(tree: Path) -> None:
    data = load_tree(tree)
    assert data.notes == []
    assert len(data.rows) == 12  # 6 patients x 2 images at 100X
    assert {row.patient for row in data.rows if row.split == "test"} == {"14-3", "15-6"}
    assert all((tree / "BreaKHis_v1" / row.path).is_file() for row in data.rows)


def test_missing_images_are_counted_and_allowed_on_demand(tree: Path) -> None:
    next(tree.rglob("SOB_B_A-14-1-100-002.png")).unlink()
    with pytest.raises(InputError, match=r"1 of 12 images at 100X .*SOB_B_A-14-1-100-002\.png.*--allow-missing"):
        load_tree(tree)
    data = load_tree(tree, allow_missing=True)
    assert len(data.rows) == 11
    assert data.notes == ["1 of 12 images of the fold at 100X are missing"]


def test_nested_folders_do_not_matter(tree: Path) -> None:
    folder = next(tree.rglob("SOB_B_A_14-1"))
    shutil.move(folder, next(tree.rglob("SOB_M_DC_15-4")) / "SOB_B_A_14-1")
    data = load_tree(tree)
    assert {row.label for row in data.rows if row.patient == "14-1"} == {0}
    assert data.notes[0].startswith("3 images lie in another patient's folder")  # two at 100X, one at 40X


def test_a_second_copy_must_be_the_same_image(tree: Path) -> None:
    file = next(tree.rglob("SOB_B_A-14-1-100-001.png"))
    copy = tree / "BreaKHis_v1" / "zz" / file.name
    copy.parent.mkdir()
    shutil.copy(file, copy)
    assert len(load_tree(tree).rows) == 12
    copy.write_bytes(b"other")
    with pytest.raises(InputError, match="not the same image"):
        load_tree(tree)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("SOB_B_A-14-1-100-001.png|40|1|train", "magnification 40"),
        ("SOB_B_A-14-1-100-001.png|100|2|train", "says fold 2"),
        ("SOB_B_A-14-1-100-001.png|100|1|learn", "is not file"),
        ("SOB_B_A-14-1-100-001.png|100|1", "is not file"),
        ("../../x.png|100|1|train", "is not file"),
        ("SOB_B_A-14-1-100-001.png|100|1|test", "both train and test"),
    ],
)
def test_bad_fold_line_is_named(tree: Path, line: str, complaint: str) -> None:
    with open(tree / "breakhis_folds/dsfold1.txt", "a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=rf"dsfold1\.txt line 19: .*{complaint}"):  # 18 lines before it
        read_fold(tree / "breakhis_folds", 1, 100)


def test_absent_fold_tree_and_magnification(tree: Path) -> None:
    with pytest.raises(InputError, match=r"dsfold2\.txt: cannot be read"):
        read_fold(tree / "breakhis_folds", 2, 100)
    with pytest.raises(InputError, match="no row at 400X"):
        read_fold(tree / "breakhis_folds", 1, 400)
    with pytest.raises(InputError, match="no such folder"):
        load(tree / "none", tree / "breakhis_folds", 1, 100)
    with pytest.raises(InputError, match="holds no image named SOB_"):
        load(tree / "breakhis_folds", tree / "breakhis_folds", 1, 100)


def _rename(tree: Path, old: str, new: str) -> None:
    """Give a patient's images another type and slide, in the tree and in the fold."""
    for file in tree.rglob(f"*{old}-*.png"):
        file.rename(file.with_name(file.name.replace(old, new)))
    fold = tree / "breakhis_folds/dsfold1.txt"
    fold.write_text(fold.read_text().replace(old, new))


def test_overlap_of_patients_is_an_error(tree: Path) -> None:
    _rename(tree, "B_PT-14-3", "B_PT-14-1")  # 14-3 is in test, 14-1 in training
    with pytest.raises(InputError, match="14-1 in train and test"):
        load_tree(tree)


def test_the_slide_of_two_types_leaves_training_where_it_is_in_test(tree: Path) -> None:
    _rename(tree, "DC-15-4", f"DC-{TWO_TYPES}")  # training
    _rename(tree, "MC-15-6", f"LC-{TWO_TYPES}")  # test
    data = load_tree(tree)
    assert {(row.subtype, row.split) for row in data.rows if row.patient == TWO_TYPES} == {("LC", "test")}
    assert any("its 2 training images left out" in note for note in data.notes)


def test_official_folds(shared_data: Path) -> None:
    """Counts of the data set's paper: 100X has 2081 images. Only 14-13412 is on both sides, in folds 1, 3 and 5."""
    for fold in breakhis.FOLDS:
        roles = read_fold(shared_data / "breakhis_folds", fold, 100)
        assert len(roles) == 2081
        sides: dict[str, set[str]] = {}
        for name, role in roles.items():
            sides.setdefault(parse(Path(name)).patient, set()).add(role)
        assert len(sides) == 81  # 82 slides, one of them under two types
        assert [patient for patient in sides if len(sides[patient]) > 1] == ([TWO_TYPES] if fold in (1, 3, 5) else [])


def test_real_subset(shared_data: Path) -> None:
    data = load(shared_data / "BreaKHis_v1", shared_data / "breakhis_folds", 1, 100, allow_missing=True)
    assert [sum(row.label == label for row in data.rows) for label in (0, 1)] == [92, 105]
    assert len({row.patient for row in data.rows}) == 20 - (1 if len(data.rows) == 196 else 0)


def test_a_fold_at_all_magnifications(tree: Path) -> None:
    data = load(tree / "BreaKHis_v1", tree / "breakhis_folds", 1, None)
    # 6 patients with 2 images at 100X and 1 at 40X.
    assert Counter(row.magnification for row in data.rows) == {"100": 12, "40": 6}
    assert data.notes == []
    for magnification in (40, 100):
        alone = load(tree / "BreaKHis_v1", tree / "breakhis_folds", 1, magnification)
        assert alone.rows == [row for row in data.rows if row.magnification == str(magnification)]


def test_eva_s_task_by_the_names_of_the_whole_data_set(shared_data: Path, tmp_path: Path) -> None:
    """1,995 names of 40X images, files empty: 1,471 of four types, 1,132 to train and 339 of 14 patients to test."""
    lines = (shared_data / "breakhis_folds/dsfold1.txt").read_text().splitlines()
    for name, magnification, *_ in (line.split("|") for line in lines):
        if magnification == "40":
            (tmp_path / name).touch()
    data = breakhis.load_eva(tmp_path)
    assert (len(data.rows), data.missing, data.notes) == (1471, 0, [])
    parts = {split: [row for row in data.rows if row.split == split] for split in ("train", "test")}
    assert (len(parts["train"]), len(parts["test"])) == (1132, 339)
    tested = {row.patient for row in parts["test"]}
    assert len(tested) == 14 and not tested & {row.patient for row in parts["train"]}
    assert {(row.subtype, row.label) for row in data.rows} == {("TA", 0), ("MC", 1), ("F", 2), ("DC", 3)}
    # TA 12 + 35, MC 16 + 26, F 14 + 37 + 31, DC 14 + 14 + 26 + 23 + 38 + 30 + 23
    assert [sum(row.label == label for row in parts["test"]) for label in range(4)] == [47, 42, 82, 168]
