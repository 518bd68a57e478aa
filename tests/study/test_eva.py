"""A task of four classes: scored, and beside the published models."""

import json
from pathlib import Path

import pytest

from pyhisto.evaluation.predictions import PredictionRow, write_predictions
from pyhisto.study.report import write_report

CLASSES = ["TA", "MC", "F", "DC"]
TRUE_AND_NAMED = [(0, 0), (0, 1), (1, 1), (2, 2), (2, 3), (2, 3), (2, 3), (3, 3)]


def test_four_classes_through_tables_and_report(tmp_path: Path) -> None:
    for branch, patches in (("global", ("",)), ("local", ("11", "12"))):
        rows = [
            PredictionRow(
                f"i{number}",
                f"p{number}",
                label,
                branch,
                "m",
                patch,
                tuple(0.7 if k == named else 0.1 for k in range(4)),
            )
            for number, (label, named) in enumerate(TRUE_AND_NAMED)
            for patch in patches
        ]
        (tmp_path / "before" / branch).mkdir(parents=True)
        write_predictions(tmp_path / "before" / branch / "predictions.csv", rows, 4)
    (tmp_path / "run.json").write_text(json.dumps({"dataset": "breakhis-eva", "classes": CLASSES}))
    page, tables = write_report(tmp_path)
    (table,) = [table for table in tables if table.name == "eva"]
    rows_by_model = {str(row[0]): row for row in table.rows}
    # Recalls 1/2, 1, 1/4 and 1: balanced 68.75, while 4 of 8 images are right.
    hybrid = rows_by_model["before, 3 hybrid"]
    assert list(hybrid[1:3]) == pytest.approx([68.75, 50])
    assert rows_by_model["UNI2-h (published)"][1] == 85.9
    text = page.read_text()
    assert "DC" in text and "Beside foundation models" in text
