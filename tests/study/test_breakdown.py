"""Decisions taken apart, from made-up stages."""

from dataclasses import replace
from pathlib import Path

import pytest

from pyhisto.errors import InputError
from pyhisto.study.breakdown import Mistake, count_confusions, find_mistakes, judge_patients, select_surest
from pyhisto.study.breakdown_figures import MAX_MISTAKES, draw_confusion, draw_mistakes
from pyhisto.study.breakdown_tables import confusion_table, mistakes_table, patient_table
from pyhisto.study.results import Experiment, Results, read_results
from pyhisto.study.scores import Scored, score_results
from tests.study.made_up import write_images, write_splits, write_stage


@pytest.fixture
def study(tmp_path: Path) -> tuple[Results, list[Scored]]:
    """Fold 1 with i0, i1 and i2 wrong before (benign, malignant, benign), i0 alone after; fold 2 with i0 wrong."""
    write_stage(tmp_path / "fold1/before", wrong=3, cost=False)
    write_stage(tmp_path / "fold1/after", wrong=1, cost=False)
    write_stage(tmp_path / "fold2/before", wrong=1, cost=False)
    write_splits(tmp_path / "fold1")
    results = read_results(tmp_path)
    return results, score_results(results)


def test_confusion_matrices_of_both_folds_together(study: tuple[Results, list[Scored]]) -> None:
    results, scored = study
    found = {(one.stage, one.strategy): one.counts.tolist() for one in count_confusions(scored)}
    # Of ten benign images (five a fold) 2 + 1 are named malignant, of ten malignant ones 1 + 0 benign.
    assert found["before", "1"] == found["before", "3"] == [[7, 3], [1, 9]]
    assert found["after", "3"] == [[4, 1], [0, 5]]
    table = confusion_table(count_confusions(scored), results)
    row = dict(zip(table.headings, table.cells()[0], strict=True))
    assert row == {
        "stage": "before", "strategy": "1 global", "true class": "benign", "images": "10", "named benign": "7",
        "named malignant": "3", "right, %": "70.0",
    }  # fmt: skip


def test_every_patient_of_every_class(study: tuple[Results, list[Scored]]) -> None:
    results, scored = study
    found = {(one.patient, one.label): one for one in judge_patients(scored)}
    assert len(found) == 10
    # p0's benign image is wrong in both folds before, and after; its malignant one in fold 1 before.
    assert found["p0", 0].right == {"before": 0, "after": 0} and found["p0", 0].images == 2
    assert found["p0", 1].right == {"before": 0.5, "after": 1} and found["p0", 1].subtypes == ("DC",)
    table = patient_table(judge_patients(scored), results)
    assert table.headings == ["patient", "class", "subtypes", "images", "before, right %", "after, right %"]
    assert table.cells()[0] == ["p0", "benign", "A", "2", "0.0", "0.0"]


def test_every_mistake(study: tuple[Results, list[Scored]]) -> None:
    results, scored = study
    found = list(find_mistakes(scored))
    assert [(m.experiment.fold, m.stage, m.image) for m in found] == [
        ("1", "before", "i0"), ("1", "before", "i1"), ("1", "before", "i2"), ("1", "after", "i0"), ("2", "before", "i0")
    ]  # fmt: skip
    assert (found[0].label, found[0].named, found[0].subtype) == (0, 1, "A") and found[4].subtype == ""
    assert [m.probability for m in found] == pytest.approx([0.8] * 5)
    assert mistakes_table(found, results).cells()[1] == [
        "1", "before", "i1", "p0", "DC", "malignant", "benign", "0.800"
    ]  # fmt: skip


def test_nobody_fills_the_sheet_alone() -> None:
    base = Mistake(Experiment(None, None, None, ()), "before", "", "", "", 0, 1, 0)
    many = [replace(base, image=f"a{n}", patient="a", probability=0.9 - 0.1 * n) for n in range(3)]
    found = [replace(base, image="b0", patient="b", probability=0.6), *many, replace(many[0], probability=0.5)]
    # In turns: a's surest, b's surest, a's second; b stays after a, and an image is shown once.
    assert [m.image for m in select_surest(found, 3)] == ["a0", "a1", "b0"]
    assert [m.image for m in select_surest(found, 9)] == ["a0", "a1", "a2", "b0"]
    assert select_surest([], 3) == []


def test_the_sheet_shows_the_images(study: tuple[Results, list[Scored]], tmp_path: Path) -> None:
    results, scored = study
    root = write_images(tmp_path / "images", write_splits(tmp_path / "x"))
    found = [m for m in find_mistakes(scored) if m.stage == "before"]
    drawing = draw_mistakes(found, results, root)
    assert drawing is not None
    shown = [axes for axes in drawing.figure.axes if axes.images]
    # Grey 0, 10 and 20 are the images i0, i1, i2; all of patients p0 and p1.
    assert [axes.images[0].get_array().mean() for axes in shown] == [0, 10, 20]  # type: ignore[union-attr]
    assert shown[0].get_title(loc="left") == "benign (A)\nnamed malignant, p = 0.80\npatient p0"
    assert drawing.caption.startswith("The 3 test images") and "of 2 patients" in drawing.caption
    assert draw_mistakes([], results, root) is None
    with pytest.raises(InputError, match="no such file; is"):
        draw_mistakes(found, results, tmp_path / "nowhere")


def test_a_sheet_is_not_endless(tmp_path: Path) -> None:
    write_stage(tmp_path / "before", wrong=60, images=60, cost=False)
    rows = write_splits(tmp_path, images=60)
    results = read_results(tmp_path)
    drawing = draw_mistakes(
        list(find_mistakes(score_results(results))), results, write_images(tmp_path / "images", rows)
    )
    assert drawing is not None and f"{MAX_MISTAKES} of the 60 test images" in drawing.caption
    assert len([axes for axes in drawing.figure.axes if axes.images]) == MAX_MISTAKES


def test_a_matrix_is_drawn_for_each(study: tuple[Results, list[Scored]]) -> None:
    results, scored = study
    figure = draw_confusion(count_confusions(scored), results).figure
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts[2] == ["7\n70%", "3\n30%", "1\n10%", "9\n90%"]
