"""What the paper says is better than what, asked of made-up results whose answers are known."""

import json
from pathlib import Path

import numpy as np
import pytest

from pyhisto.evaluation.metrics import Interval, difference_interval
from pyhisto.study.paper.orderings import orderings_table
from pyhisto.study.results import read_results
from pyhisto.study.scores import score_results
from pyhisto.tables.table import Estimate, Table
from tests.study.made_up import write_stage

IMAGES = 60  # of 30 patients; the first images are the ones that are misjudged


def stage(folder: Path, name: str, wrong: int, size: int = 1000, **settings: object) -> None:
    write_stage(folder / name, wrong, images=IMAGES, sparse_bytes=size)
    (folder / name / "stage.json").write_text(json.dumps(settings))


def table(folder: Path) -> Table | None:
    results = read_results(folder)
    return orderings_table(results, score_results(results))


def verdicts(folder: Path) -> dict[tuple[str, str], str]:
    """(first, second) -> what is found here."""
    found = table(folder)
    assert found is not None
    first = found.headings.index("first")
    return {(str(row[first]), str(row[first + 1])): str(row[-1]) for row in found.rows}


def test_every_ordering(tmp_path: Path) -> None:
    stage(tmp_path, "before", 6)
    stage(tmp_path, "O_0.5", 6, ratio=0.5, loops=1)  # the same
    stage(tmp_path, "O_0.8", 30, ratio=0.8, loops=1)  # far worse: 24 images of 12 patients
    stage(tmp_path, "O_0.8_R_2", 6, ratio=0.8, loops=2)  # as good as before
    stage(tmp_path, "O_0.95", 40, ratio=0.95, loops=1)
    stage(tmp_path, "dns_large", 10, 900, method="DNS")
    stage(tmp_path, "dns_middle", 30, 500, method="DNS")
    stage(tmp_path, "dns_small", 50, 100, method="DNS")
    stage(tmp_path, "joint", 8, 400, method="channel pruning + DNS")
    assert verdicts(tmp_path) == {
        # Made-up stages have the same probabilities in both branches: no difference at all.
        ("before, hybrid", "before, global"): "within noise",
        ("before, hybrid", "before, local"): "within noise",
        ("O_0.5, hybrid", "O_0.5, global"): "within noise",
        ("O_0.5, hybrid", "O_0.5, local"): "within noise",
        ("O_0.5, hybrid", "before, hybrid"): "within noise",
        ("O_0.8, hybrid", "before, hybrid"): "does not hold",
        ("O_0.95, hybrid", "before, hybrid"): "holds",
        ("O_0.8_R_2, hybrid", "O_0.8, hybrid"): "holds",
        # Of the networks by DNS alone that are not smaller, the smallest.
        ("joint, hybrid", "dns_middle, hybrid"): "holds",
    }


def test_a_gain_that_is_not_there_is_not_shown(tmp_path: Path) -> None:
    stage(tmp_path, "before", 6)
    stage(tmp_path, "R_1", 6, ratio=0.8, loops=1)
    stage(tmp_path, "R_3", 5, ratio=0.8, loops=3)  # one image more: one patient of 30
    stage(tmp_path, "O_0.95", 7, ratio=0.95, loops=1)
    found = verdicts(tmp_path)
    assert found["R_3, hybrid", "R_1, hybrid"] == "not shown"
    assert found["O_0.95, hybrid", "before, hybrid"] == "not shown"


def test_the_difference_is_that_of_all_folds_images_together(tmp_path: Path) -> None:
    for fold, wrong in (("fold1", 6), ("fold2", 12)):
        stage(tmp_path / fold, "before", 0)
        stage(tmp_path / fold, "O_0.5", wrong, ratio=0.5, loops=1)
    stage(tmp_path / "fold3", "before", 60)  # without its other side: does not count
    found = table(tmp_path)
    assert found is not None
    (row,) = (row for row in found.rows if "fig. 12a" in str(row[0]))
    (difference,) = (cell for cell in row if isinstance(cell, Estimate))
    assert difference.value == pytest.approx(-100 * 18 / 120)
    assert difference.low < -15 < difference.high < 0 and row[-1] == "does not hold"


def test_criteria_are_compared_at_each_ratio_and_at_all_together(tmp_path: Path) -> None:
    stage(tmp_path, "before", 6)
    for ratio, mine, other in ((0.5, 6, 6), (0.8, 10, 40)):
        stage(tmp_path, f"sep_{ratio}", mine, ratio=ratio, loops=1)
        stage(tmp_path, f"random_{ratio}", other, ratio=ratio, loops=1, method="channel pruning at random")
    stage(tmp_path, "l1_0.9", 6, ratio=0.9, loops=1, method="channel pruning by L1 norm")  # SEP did not prune as much
    found = verdicts(tmp_path)
    assert found["sep_0.5, hybrid", "random_0.5, hybrid"] == "not shown"
    assert found["sep_0.8, hybrid", "random_0.8, hybrid"] == "holds"
    assert found["sep_0.5, sep_0.8, hybrid", "random_0.5, random_0.8, hybrid"] == "holds"
    assert not any("l1" in second for _, second in found)


def test_what_is_pruned_is_compared_with_what_only_trained_on_too(tmp_path: Path) -> None:
    stage(tmp_path, "before", 30)
    stage(tmp_path, "sep_0.5", 10, ratio=0.5, loops=1)
    stage(tmp_path, "control", 10, method="training alone")
    found = table(tmp_path)
    assert found is not None
    rows = {str(row[2]): row for row in found.rows if str(row[1]) == "sep_0.5, hybrid" and "fig. 12a" in str(row[0])}
    assert rows["before, hybrid"][-1] == "holds" and rows["control, hybrid"][-1] == "within noise"


def test_a_start_from_given_weights_is_compared_with_the_first_training(tmp_path: Path) -> None:
    stage(tmp_path, "before", 30)
    stage(tmp_path, "pcam", 6, method="training from weights")
    assert verdicts(tmp_path)["pcam, hybrid", "before, hybrid"] == "holds"


def test_seeds_make_the_interval_wider(tmp_path: Path) -> None:
    # The same images each time: six more are right in the mean, and none, six or twelve of a seed.
    for seed, wrong in ((1, 6), (2, 12), (3, 18)):
        stage(tmp_path / f"seed{seed}", "before", 18)
        stage(tmp_path / f"seed{seed}", "O_0.5", wrong, ratio=0.5, loops=1)
    (row,) = (row for row in (table(tmp_path) or pytest.fail()).rows if "fig. 12a" in str(row[0]))
    (difference,) = (cell for cell in row if isinstance(cell, Estimate))
    assert difference.value == pytest.approx(10)
    # Deviation of 20, 10 and 0 points: 10; of their mean 10 / sqrt(3); Student's t of two degrees: 4.30.
    assert difference.low < 10 - 4.0 * 10 / np.sqrt(3) and row[-1] == "within noise"


def test_one_branch_has_its_orderings(tmp_path: Path) -> None:
    stage(tmp_path, "before", 6)
    stage(tmp_path, "O_0.8", 30, ratio=0.8, loops=1)
    for path in sorted(tmp_path.glob("*/local/*")):
        path.unlink()
    assert verdicts(tmp_path) == {("O_0.8, global", "before, global"): "does not hold"}


def test_magnifications_are_not_mixed(tmp_path: Path) -> None:
    stage(tmp_path / "40X", "before", 6)
    stage(tmp_path / "100X", "O_0.5", 30, ratio=0.5, loops=1)
    found = table(tmp_path)
    assert found is not None
    assert all("fig. 12a" not in str(cell) for row in found.rows for cell in row)


def test_one_branch_alone_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    stage(tmp_path, "before", 6)
    for path in sorted((tmp_path / "before/local").iterdir()):
        path.unlink()
    assert table(tmp_path) is None


class TestDifferenceInterval:
    def test_patients_that_all_gain_alike_leave_no_doubt(self) -> None:
        assert difference_interval(np.array([1, 0, 1, 0]), np.array([0, 0, 1, 1])) == Interval(0.5, 0.5)

    def test_patients_are_drawn_whole(self) -> None:
        # Two patients, +1 and -1 on all their images: both drawn alike, the difference is +1 or -1.
        found = difference_interval(np.array([1] * 50 + [-1] * 50), np.repeat([0, 1], 50))
        assert found == Interval(-1, 1)

    def test_agrees_with_the_normal_interval_of_many_patients(self) -> None:
        differences = np.random.default_rng(0).choice([-1, 0, 1], 2000, p=[0.1, 0.7, 0.2])
        found = difference_interval(differences, np.arange(2000))
        half = 1.96 * differences.std() / np.sqrt(2000)
        assert found.low == pytest.approx(differences.mean() - half, abs=0.002)
        assert found.high == pytest.approx(differences.mean() + half, abs=0.002)

    def test_trainings_that_differ_widen_it_by_students_t(self) -> None:
        # Nobody's images differ from another's: all that is uncertain are the trainings, with means 0.1 and 0.3.
        differences, trainings = np.repeat([1, 0, 1, 0], [1, 9, 3, 7]), np.repeat([0, 1], 10)
        found = difference_interval(differences, np.zeros(20, int), trainings=trainings)
        half = 12.706 * 0.1  # t of one degree; half the difference of two means is the deviation of theirs
        assert found.low == pytest.approx(0.2 - half, rel=0.2) and found.high == pytest.approx(0.2 + half, rel=0.2)

    def test_trainings_that_agree_leave_it_as_it_is(self) -> None:
        differences, patients = np.tile([1, 0, 0, -1, 1, 1], 2), np.tile(np.arange(6), 2)
        alone = difference_interval(differences, patients)
        assert difference_interval(differences, patients, trainings=np.repeat([0, 1], 6)) == alone

    def test_numbers_of_patients_may_have_gaps(self) -> None:
        assert difference_interval(np.array([1, 1]), np.array([3, 7])) == Interval(1, 1)

    def test_nobody(self) -> None:
        found = difference_interval(np.array([], int), np.array([], int))
        assert np.isnan(found.low) and np.isnan(found.high)
