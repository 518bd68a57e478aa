"""What the paper says is better than what, asked of made-up results whose answers are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from made_up import write_stage

from pyhisto.evaluation.metrics import Interval, difference_interval
from pyhisto.study.paper.orderings import orderings_table
from pyhisto.study.results import read_results
from pyhisto.study.scores import score_results
from pyhisto.tables.table import Estimate, Table

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

    def test_numbers_of_patients_may_have_gaps(self) -> None:
        assert difference_interval(np.array([1, 1]), np.array([3, 7])) == Interval(1, 1)

    def test_nobody(self) -> None:
        found = difference_interval(np.array([], int), np.array([], int))
        assert np.isnan(found.low) and np.isnan(found.high)
