"""The accuracy at each step of pruning: which predictions are read, what the table and the remark say of them."""

import json
import shutil
from pathlib import Path

import pytest

from pyhisto.evaluation.predictions import PredictionRow, write_predictions
from pyhisto.study.results import read_results
from pyhisto.study.scores import score_results
from pyhisto.study.steps import remark_on_steps, score_steps, steps_table
from pyhisto.tables.table import Estimate, Spread
from tests.study.made_up import write_stage


def write_steps(experiment: Path, stage: str, wrong: dict[str, int], *, images: int = 10) -> None:
    """A stage with the first so many of its images misjudged at each of its steps; `retrained` is the stage itself."""
    write_stage(experiment / stage, wrong=wrong["retrained"], images=images)
    for step in wrong.keys() - {"retrained"}:
        write_stage(experiment / "made", wrong=wrong[step], images=images)
        for branch in ("global", "local"):
            (experiment / stage / branch / "steps").mkdir(exist_ok=True)
            (experiment / "made" / branch / "predictions.csv").rename(
                experiment / stage / branch / "steps" / f"{step}.csv"
            )
        shutil.rmtree(experiment / "made")


WRONG = {"masked": 4, "cut": 4, "recalibrated": 3, "retrained": 1}


@pytest.fixture
def pruned(tmp_path: Path) -> Path:
    """One fold, trained (2 of 10 wrong), and pruned in one loop."""
    write_stage(tmp_path / "before", wrong=2)
    write_steps(tmp_path, "after", WRONG)
    (tmp_path / "after" / "stage.json").write_text(json.dumps({"label": "O = 0.5", "recalibrated_over": 100}))
    return tmp_path


def test_a_row_a_step(pruned: Path) -> None:
    results = read_results(pruned)
    table = steps_table(score_steps(results), score_results(results))
    assert table is not None
    assert table.headings == ["stage", "step", "images", "1 global", "2 local", "3 hybrid"]  # one loop, one fold
    assert [row[:3] for row in table.rows] == [
        ["before", "trained", 10],
        ["O = 0.5", "masked", 10],
        ["O = 0.5", "cut", 10],
        ["O = 0.5", "recalibrated", 10],
        ["O = 0.5", "retrained", 10],
    ]
    for row, wrong in zip(table.rows, (2, 4, 4, 3, 1), strict=True):
        assert all(isinstance(cell, Estimate) and cell.value == pytest.approx(100 - 10 * wrong) for cell in row[3:])
    assert "over 100 training batches" in table.notes[1]


def test_loops_and_folds(tmp_path: Path) -> None:
    for fold, more in (("fold1", 0), ("fold2", 2)):
        experiment = tmp_path / fold
        write_stage(experiment / "before", wrong=1)
        write_steps(experiment, "twice", WRONG)
        write_steps(experiment / "loops", "twice_1", {name: wrong + more for name, wrong in WRONG.items()})
        write_stage(experiment / "loops" / "twice_2_1", wrong=0)  # of another stage, called twice_2
    results = read_results(tmp_path)
    table = steps_table(score_steps(results), score_results(results))
    assert table is not None
    places = [row[:3] for row in table.rows]
    steps = ("masked", "cut", "recalibrated", "retrained")
    assert places == [["before", None, "trained"], *(["twice", loop, step] for loop in (1, 2) for step in steps)]
    masked = table.rows[1][-1]
    # 4 and 6 of 10 are wrong: 60 and 40 percent.
    assert isinstance(masked, Spread) and (masked.mean, masked.std) == pytest.approx((50, 14.1421), abs=1e-3)


def test_a_folder_without_steps_has_no_table(tmp_path: Path) -> None:
    write_stage(tmp_path / "before", wrong=2)
    write_stage(tmp_path / "after", wrong=2)
    results = read_results(tmp_path)
    assert steps_table(score_steps(results), score_results(results)) is None
    assert list(remark_on_steps(score_steps(results))) == []


def test_how_far_masked_and_cut_differ(pruned: Path) -> None:
    (said,) = remark_on_steps(score_steps(read_results(pruned)))
    # 10 images, 1 + 3 patches each.
    assert "over 40 forward passes" in said and "differ by 0 at most" in said and "another class in 0." in said
    rows = [PredictionRow(f"i{n}", f"p{n // 2}", n % 2, "global", "m", "", (0.45, 0.55)) for n in range(10)]
    write_predictions(pruned / "after" / "global" / "steps" / "cut.csv", rows, 2)
    (said,) = remark_on_steps(score_steps(read_results(pruned)))
    # Masked, images 0 to 3 have p1 = 0.8, 0.2, 0.8, 0.2, the others 0.2, 0.8, ...: at most 0.35 from 0.55, and five
    # below one half.
    assert "differ by 0.35 at most" in said
    assert "another class in 5." in said
