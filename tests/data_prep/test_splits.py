"""Splits: by patient, seeded, stable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.splits import carve_validation, check_classes, groups_by_class, shuffled
from pyhisto.errors import InputError
from pyhisto.manifest import Row, check_disjoint


def rows_of(patients: dict[str, int], images: int = 3, split: str = "train") -> list[Row]:
    return [Row(f"{p}/{i}.png", label, p, split=split) for p, label in patients.items() for i in range(images)]


cohorts = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 1), min_size=4, max_size=30)


@given(cohorts, st.floats(0.01, 0.99), st.integers(0, 5))
def test_every_class_keeps_patients_on_both_sides(patients: dict[str, int], fraction: float, seed: int) -> None:
    patients = {"x0": 0, "y0": 0, "x1": 1, "y1": 1, **patients}
    rows = carve_validation(rows_of(patients), fraction, seed)
    check_disjoint(rows)
    for label in (0, 1):
        assert {row.split for row in rows if row.label == label} == {"train", "val"}
    assert rows == carve_validation(rows_of(patients), fraction, seed)


def test_a_fifth_of_the_patients_of_each_class() -> None:
    rows = carve_validation(rows_of({f"p{i}": i % 2 for i in range(20)}), 0.2, 0)
    for label in (0, 1):  # 10 patients each: 2 to validation
        assert len({row.patient for row in rows if row.label == label and row.split == "val"}) == 2


def test_test_is_not_touched() -> None:
    test = rows_of({"t0": 0, "t1": 1}, split="test")
    rows = carve_validation([*rows_of({"a": 0, "b": 0, "c": 1, "d": 1}), *test], 0.5, 3)
    assert [row for row in rows if row.patient.startswith("t")] == test


def test_fraction_zero_and_too_few_patients() -> None:
    rows = rows_of({"a": 0, "b": 1})
    assert carve_validation(rows, 0, 0) == rows
    with pytest.raises(InputError, match="class 0 has 1 training patient"):
        carve_validation(rows, 0.2, 0)


def test_one_more_name_moves_no_other() -> None:
    names = [f"p{i}" for i in range(50)]
    order = shuffled(names, 1, "x")
    assert sorted(order) == sorted(names) != order
    assert [name for name in shuffled([*names, "new"], 1, "x") if name != "new"] == order


def test_patient_of_both_classes_counts_once_for_the_higher() -> None:
    assert groups_by_class([Row("a", 0, "p"), Row("b", 1, "p"), Row("c", 0, "q")]) == {0: ["q"], 1: ["p"]}


def test_empty_class_is_named() -> None:
    check_classes(rows_of({"a": 0, "b": 1}))
    with pytest.raises(InputError, match="class 0 has no image in train"):
        check_classes(rows_of({"b": 1}))
    with pytest.raises(InputError, match="class 1 has no image in train"):
        check_classes(rows_of({"a": 0}))
    with pytest.raises(InputError, match="class 1 has no image in train"):
        check_classes([*rows_of({"a": 0, "b": 2}), *rows_of({"c": 1}, split="test")])
