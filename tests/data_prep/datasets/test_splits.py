"""Splits: by patient, seeded, stable."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.datasets import breakhis
from data_prep.datasets.splits import (
    bagging,
    carve_validation,
    check_classes,
    k_fold,
    partition,
    pseudo_patients,
    shuffled,
    with_test_slides,
)
from pyhisto.errors import InputError
from pyhisto.manifest import Row, check_disjoint


def rows_of(patients: dict[str, int], images: int = 3, split: str = "train") -> list[Row]:
    return [Row(f"{p}/{i}.png", label, p, split=split) for p, label in patients.items() for i in range(images)]


cohorts = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 1), min_size=4, max_size=30)


@given(cohorts, st.floats(0.01, 0.99), st.integers(0, 5))
def test_every_class_keeps_patients_on_both_sides(patients: dict[str, int], fraction: float, seed: int) -> None:
    patients = {"x0": 0, "y0": 0, "x1": 1, "y1": 1, **patients}
    rows, notes = carve_validation(rows_of(patients), fraction, seed)
    check_disjoint(rows)
    assert notes == []
    for label in (0, 1):
        assert {row.split for row in rows if row.label == label} == {"train", "val"}
    assert rows == carve_validation(rows_of(patients), fraction, seed)[0]


def test_a_fifth_of_the_patients_of_each_class() -> None:
    rows, _ = carve_validation(rows_of({f"p{i}": i % 2 for i in range(20)}), 0.2, 0)
    for label in (0, 1):  # 10 patients each: 2 to validation
        assert len({row.patient for row in rows if row.label == label and row.split == "val"}) == 2


def test_test_is_not_touched() -> None:
    test = rows_of({"t0": 0, "t1": 1}, split="test")
    rows, _ = carve_validation([*rows_of({"a": 0, "b": 0, "c": 1, "d": 1}), *test], 0.5, 3)
    assert [row for row in rows if row.patient.startswith("t")] == test


def test_fraction_zero_and_too_few_patients() -> None:
    rows = rows_of({"a": 0, "b": 1, "c": 1})
    assert carve_validation(rows, 0, 0) == (rows, [])
    carved, notes = carve_validation(rows, 0.2, 0)
    assert {row.label for row in carved if row.split == "val"} == {1}
    assert notes == ["class 0 has 1 training patient(s), none to spare: none of it validates"]


def of_subtypes(patients: dict[str, tuple[int, str]]) -> list[Row]:
    return [Row(f"{p}.png", label, p, subtype=subtype, split="train") for p, (label, subtype) in patients.items()]


@pytest.mark.parametrize("seed", range(20))
def test_validation_takes_subtypes_in_proportion_and_leaves_the_last_of_each(seed: int) -> None:
    """10 F, 5 A, 1 PT, a quarter of 16: F 2.5, A 1.25, PT stays. 2 F and 1 A first, then F, 0.5 short and A 0.25."""
    benign = {f"f{i}": (0, "F") for i in range(10)} | {f"a{i}": (0, "A") for i in range(5)} | {"pt": (0, "PT")}
    malignant = {f"d{i}": (1, "DC") for i in range(4)}
    rows, notes = carve_validation(of_subtypes(benign | malignant), 0.25, seed)
    taken = sorted(row.subtype for row in rows if row.split == "val")
    assert (taken, notes) == (["A", "DC", "F", "F", "F"], [])


def test_a_class_of_single_patients_gives_one_up_and_says_so() -> None:
    patients = {"a": (0, "A"), "f": (0, "F"), "d": (1, "DC"), "e": (1, "DC")}
    rows, notes = carve_validation(of_subtypes(patients), 0.2, 0)
    (benign,) = (row for row in rows if row.split == "val" and row.label == 0)
    assert notes == [f"subtype {benign.subtype} has no training patient left: the only one validates"]


def test_a_slide_of_both_classes_counts_in_each() -> None:
    both = [Row(f"{s}{label}", label, slide=s, split="train") for s in "pqrstuvwxy" for label in (0, 1)]
    rows, notes = carve_validation(both, 0.2, 0)
    assert len({row.slide for row in rows if row.split == "val"}) == 2  # of 10, for both classes together
    assert notes == []
    # The only slide of class 0 that is not of both is taken for it: the other one is needed for class 1.
    rows, notes = carve_validation([*both[:2], Row("b", 0, slide="b", split="train")], 0.2, 0)
    assert [row.path for row in rows if row.split == "val"] == ["b"]
    assert notes == ["class 1 has 1 training patient(s), none to spare: none of it validates"]


@pytest.mark.slow
def test_a_hundred_thousand_images_without_patients_are_split_in_seconds() -> None:
    rows = [Row(f"{i}.png", i % 4 // 2, subtype=str(i % 4), split="train") for i in range(100_000)]
    began = time.monotonic()
    carved, _ = carve_validation(rows, 0.2, 0)
    assert time.monotonic() - began < 20
    assert [sum(row.split == "val" and row.subtype == name for row in carved) for name in "0123"] == [5000] * 4


@pytest.mark.parametrize("fold", [1, 2, 3, 4, 5])
def test_real_folds_keep_every_subtype_in_training(shared_data: Path, fold: int) -> None:
    data = breakhis.load(shared_data / "BreaKHis_v1", shared_data / "breakhis_folds", fold, 100, allow_missing=True)
    for seed in range(5):
        rows, notes = carve_validation(data.rows, 0.2, seed)
        before = {row.subtype for row in data.rows if row.split == "train"}
        after = {row.subtype for row in rows if row.split == "train"}
        lost = {subtype for note in notes for subtype in before if f"subtype {subtype} has no training" in note}
        assert after == before - lost
        assert lost == set()


def test_one_more_name_moves_no_other() -> None:
    names = [f"p{i}" for i in range(50)]
    order = shuffled(names, 1, "x")
    assert sorted(order) == sorted(names) != order
    assert [name for name in shuffled([*names, "new"], 1, "x") if name != "new"] == order


def test_empty_class_is_named() -> None:
    check_classes(rows_of({"a": 0, "b": 1}))
    with pytest.raises(InputError, match="class 0 has no image in train"):
        check_classes(rows_of({"b": 1}))
    with pytest.raises(InputError, match="class 1 has no image in train"):
        check_classes(rows_of({"a": 0}))
    with pytest.raises(InputError, match="class 1 has no image in train"):
        check_classes([*rows_of({"a": 0, "b": 2}), *rows_of({"c": 1}, split="test")])
    with pytest.raises(InputError, match="class 1, 2, 3, 4, 5 and 65529 more has no image in train"):
        check_classes(rows_of({"a": 0, "b": 65535}))


def test_each_patient_is_in_test_once() -> None:
    rows = rows_of({f"p{i}": i % 3 == 0 for i in range(21)})
    tests = [{row.group for row in k_fold(rows, 4, fold, 1) if row.split == "test"} for fold in (1, 2, 3, 4)]
    assert set.union(*tests) == {row.group for row in rows}
    assert sum(map(len, tests)) == 21
    assert {len(test) for test in tests} <= {5, 6}


def test_the_paper_s_bagging() -> None:
    """10,270 samples without patients: about a quarter test, 5 subsets, their union everything else, of equal size."""
    rows = [Row(f"{i}.png", i % 2) for i in range(10_270)]
    bags = bagging(rows, 5, 2645 / 10_270, 0)
    tests = [{row.path for row in bag if row.split == "test"} for bag in bags]
    subsets = [{row.path for row in bag if row.split == "val"} for bag in bags]
    assert len(tests[0]) == 2645 or abs(len(tests[0]) - 2645) <= 1  # odd: the two classes cannot both be exact
    assert all(test == tests[0] for test in tests)
    assert len(set.union(*subsets)) == sum(map(len, subsets)) == 10_270 - len(tests[0])
    assert max(map(len, subsets)) - min(map(len, subsets)) <= 2
    for bag, subset in zip(bags, subsets, strict=True):
        assert {row.path for row in bag if row.split == "train"} == {row.path for row in rows} - tests[0] - subset


def test_bagging_keeps_a_test_part_that_is_there() -> None:
    rows = [*rows_of({f"p{i}": i % 2 for i in range(12)}), *rows_of({"t": 0, "u": 1}, split="test")]
    for bag in bagging(rows, 3, 0.5, 0):
        assert {row.patient for row in bag if row.split == "test"} == {"t", "u"}


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=6, max_size=40),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_partition_keeps_patients_whole_and_loses_none(sizes: list[tuple[int, int]], parts: int, seed: int) -> None:
    rows = [Row(f"{p}/{i}", label, f"p{p}") for p, (label, count) in enumerate(sizes) for i in range(count)]
    dealt = partition(rows, [1.0] * parts, seed, "x")
    assert sorted(row.path for part in dealt for row in part) == sorted(row.path for row in rows)
    owners = [{row.patient for row in part} for part in dealt]
    assert sum(map(len, owners)) == len(sizes)


def test_parts_follow_their_shares_in_every_class() -> None:
    rows = [Row(f"{i}", int(i % 4 == 0)) for i in range(400)]  # 300 of class 0, 100 of class 1
    small, large = partition(rows, [0.25, 0.75], 0, "x")
    assert [sum(row.label == label for row in small) for label in (0, 1)] == [75, 25]
    assert [sum(row.label == label for row in large) for label in (0, 1)] == [225, 75]


def test_too_few_patients_for_the_parts() -> None:
    with pytest.raises(InputError, match=r"1 patients .* do not make 2 parts"):
        k_fold(rows_of({"a": 0}), 2, 1, 0)


AUTHORS_SLIDES = {"A03": 70, "A06": 610, "A07": 552, "A08": 1083, "A09": 330}
"""The authors' published BACH test list: samples of each slide."""


def bach_samples() -> list[Row]:
    """10,270 samples: the authors' of five slides, 1,525 of each of the other five."""
    slides = AUTHORS_SLIDES | dict.fromkeys(("A01", "A02", "A04", "A05", "A10"), 1525)
    return [
        Row(f"{slide}/{number}.png", number % 2, slide=slide)
        for slide in sorted(slides)
        for number in range(slides[slide])
    ]


def test_the_authors_bach_protocol() -> None:
    """2,645 test samples of five slides, 60 made-up patients; the other 7,625 dealt to five parts of 1,525."""
    rows = with_test_slides(bach_samples(), AUTHORS_SLIDES)
    bags = [pseudo_patients(bag, 12) for bag in bagging(rows, 5, 0.25, 0, "sample")]
    parts = [{row.path for row in bag if row.split == "val"} for bag in bags]
    for bag, part in zip(bags, parts, strict=True):
        counts = {split: sum(row.split == split for row in bag) for split in ("train", "val", "test")}
        assert counts == {"train": 6100, "val": 1525, "test": 2645}
        check_disjoint(bag)
        tested = [row for row in bag if row.split == "test"]
        assert {row.extra["slide_id"] for row in tested} == set(AUTHORS_SLIDES)
        assert len({row.patient for row in tested}) == 60
        # In turn over the whole list: 70 of A03 first, so that A06 begins with 70 mod 12 = 10.
        assert [row.patient for row in tested[68:73]] == ["A03-8", "A03-9", "A06-10", "A06-11", "A06-0"]
        # A slide's samples learn and validate: that is what the protocol does.
        assert {row.extra["slide_id"] for row in bag if row.path in part} == {"A01", "A02", "A04", "A05", "A10"}
    assert len(set().union(*parts)) == 7625


def test_the_same_samples_by_slide() -> None:
    rows = with_test_slides(bach_samples(), AUTHORS_SLIDES)
    for bag in bagging(rows, 5, 0.25, 0):
        check_disjoint(bag)
        slides = {split: {row.slide for row in bag if row.split == split} for split in ("train", "val", "test")}
        assert slides["test"] == set(AUTHORS_SLIDES)
        assert (len(slides["train"]), len(slides["val"])) == (4, 1) and not slides["train"] & slides["val"]


def test_a_test_slide_that_is_not_there() -> None:
    with pytest.raises(InputError, match="A11: no image is of such a slide"):
        with_test_slides(bach_samples(), ["A03", "A11"])
