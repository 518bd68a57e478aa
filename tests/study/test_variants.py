"""Two protocols side by side."""

import json
from dataclasses import replace
from pathlib import Path

from pyhisto.learning_curve import Point, to_line
from pyhisto.manifest import write_manifest
from pyhisto.study.report import write_report
from pyhisto.study.results import read_results
from pyhisto.study.variants import remark_on_variants, score_variant, variants_table
from tests.study.made_up import write_splits, write_stage


def write_run(folder: Path, wrong: int, by_sample: bool, validation: float) -> Path:
    """Two bags, each with `wrong` of 10 test images misjudged; slides s0 (train) and, apart or not, validation's."""
    for bag in ("bag1", "bag2"):
        write_stage(folder / bag / "before", wrong=wrong, models=(bag,))
        rows = write_splits(folder / bag)
        named = [
            replace(row, patient="", extra={"slide_id": "s0"}) if by_sample and row.split != "test" else
            replace(row, slide=f"s-{row.split}") for row in rows
        ]  # fmt: skip
        write_manifest(folder / bag / "manifest.csv", named)
        for branch in ("global", "local"):
            point = to_line(Point(10, "test", 0.5, None, validation, "val"))
            (folder / bag / "before" / branch / "metrics.jsonl").write_text(point)
    settings = {"title": folder.name, "dataset": "bach", "patients": f"patients of {folder.name}"}
    (folder / "run.json").write_text(json.dumps(settings))
    return folder


def test_both_stand_in_one_table_and_what_it_means_is_said(tmp_path: Path) -> None:
    paper = write_run(tmp_path / "bach_paper", 2, by_sample=True, validation=0.9)
    by_slide = write_run(tmp_path / "bach_by_slide", 4, by_sample=False, validation=0.6)
    both = [score_variant(read_results(folder)) for folder in (paper, by_slide)]
    rows = {(row[0], row[1], row[2]): row for row in variants_table(both).rows}
    assert rows["bach_paper", "3 hybrid", "Sum of 2"][4].value == 80  # type: ignore[union-attr]
    assert rows["bach_by_slide", "3 hybrid", "Sum of 2"][4].value == 60  # type: ignore[union-attr]
    assert rows["bach_paper", "2 local", "one"][6] == 90 and rows["bach_by_slide", "1 global", "one"][6] == 60
    (said,) = remark_on_variants(both)
    assert "bach_paper: 1 slides in training and in validation; bach_by_slide: no slide in both" in said
    assert "bach_by_slide: patients of bach_by_slide" in said
    path, tables = write_report(paper, beside=by_slide)
    assert "protocols" in [table.name for table in tables]
    assert "says how well a model knows these slides" in path.read_text()
