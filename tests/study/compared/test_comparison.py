"""The compared methods, from made-up folders to rows beside the paper's."""

import json
from pathlib import Path

import pytest

from pyhisto.errors import InputError
from pyhisto.evaluation.predictions import PredictionRow, write_predictions
from pyhisto.study.compared.beside import table_8, table_9
from pyhisto.study.compared.comparison import compare_methods
from pyhisto.study.compared.methods import read_methods
from pyhisto.study.compared.scores import group_methods, score_method
from pyhisto.study.report import write_report
from pyhisto.study.results import read_results
from pyhisto.study.scores import score_results
from pyhisto.tables.table import Estimate, Spread
from tests.study.made_up import write_stage

IMAGES = 10
"""i0 .. i9 of patients p0 .. p4, benign and malignant in turn: those of made_up's stages."""


def write_model(path: Path, model: str, malignant: list[float], patches: tuple[str, ...] = ("",)) -> None:
    """A predictions file of one model; in the local branch with the same probability in every patch."""
    branch = "global" if patches == ("",) else "local"
    rows = [
        PredictionRow(f"i{n}", f"p{n // 2}", n % 2, branch, model, patch, (1 - malignant[n], malignant[n]))
        for n in range(IMAGES)
        for patch in patches
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_predictions(path, rows, 2)


def right(wrong: int, sure: float = 0.8) -> list[float]:
    """Malignant's probabilities; the first `wrong` images are misscored_methods."""
    return [sure if (n % 2 == 1) != (n < wrong) else 1 - sure for n in range(IMAGES)]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Fold 1 at 100X: the hybrid with 2 wrong of 10, two models of [11] with 1 and 4 wrong, one of [17] with none."""
    experiment = tmp_path / "fold1" / "100X"
    write_stage(experiment / "before", wrong=2)
    patches = experiment / "compared" / "spanhol2016"
    write_model(patches / "32_random" / "predictions.csv", "32x32 random", right(1), ("max", "product", "sum"))
    write_model(patches / "64_window" / "predictions.csv", "64x64 sliding", right(4, 0.9), ("max", "product", "sum"))
    for folder, weights, flops in (("32_random", 145058, 24707328), ("64_window", 341666, 98828544)):
        (patches / folder / "cost.json").write_text(json.dumps({"total": {"weights": weights, "flops": flops}}))
    fusions = {"fusions": ["sum", "product", "max"], "selected": "Max fusion"}
    (patches / "method.json").write_text(json.dumps({"label": "Spanhol 2016 [11]", **fusions}))
    single = experiment / "compared" / "bayramoglu2016_single"
    write_model(single / "predictions.csv", "single task", right(0))
    (single / "method.json").write_text(json.dumps({"label": "Bayramoglu 2016 [17], single task"}))
    (tmp_path / "run.json").write_text(json.dumps({"dataset": "breakhis", "title": "t"}))
    return tmp_path


def test_models_and_fusions_are_scored(results: Path) -> None:
    by_name = {method.name: score_method(method) for method in read_methods(results)}
    spanhol = by_name["spanhol2016"]
    assert spanhol.method.levels == {"fold": "1", "magnification": "100"}
    rates = {name: scores.il for name, scores in spanhol.rows.items()}
    # The second model is surer (0.9 against 0.8), so that its 4 wrong images stay wrong in every fusion.
    assert rates == {"32x32 random": 0.9, "64x64 sliding": 0.6} | dict.fromkeys(
        ("Sum fusion", "Product fusion", "Max fusion"), 0.6
    )
    assert spanhol.selected is spanhol.rows["Max fusion"]
    assert set(spanhol.by_rule) == {f"{m}, patches by {r}" for m in rates if "x" in m for r in ("max", "product")} - {
        f"Max fusion, patches by {r}" for r in ("max", "product")
    }
    assert by_name["bayramoglu2016_single"].selected.il == 1


def test_rows_beside_the_hybrid_and_the_paper(results: Path) -> None:
    read = read_results(results)
    scored = score_results(read)
    comparison = compare_methods(read, scored)
    (table,) = comparison.main
    rows = {str(row[1]): row for row in table.rows}
    heads = [column.name for column in table.columns]
    il = heads.index("IL")
    found = {label: row[il] for label, row in rows.items()}
    assert {label: cell.value for label, cell in found.items() if isinstance(cell, Estimate)} == pytest.approx(
        {"Zhu 2019, hybrid before pruning": 80, "Spanhol 2016 [11]": 60, "Bayramoglu 2016 [17], single task": 100}
    )
    beside = {table.name: table for table in comparison.beside}
    record = next(
        row for row in beside["table8_breakhis_comparison"].rows if row[0] == "PL" and row[1] == "Spanhol 2016 [11]"
    )
    # Patients p0 and p1 have all images wrong, p2 .. p4 none: 60%; Table 8 prints 88.4 at 100X.
    ours, paper, difference = record[2:]
    assert isinstance(ours, Estimate) and isinstance(paper, Spread)
    assert (ours.value, paper.mean, difference) == pytest.approx((60, 88.4, 60 - 88.4))
    costs = {str(row[1]): row[2:] for row in beside["table7_compared"].rows}
    assert costs["32x32"] == pytest.approx([0.145058, 0.55, 24.707328, 47.4])
    assert costs["64x64"] == pytest.approx([0.341666, 0.55, 98.828544, 188.5])


def test_table_9_has_the_four_models_and_max_fusion(results: Path) -> None:
    scored_methods = [score_method(method) for method in read_methods(results)]
    rows = {(row[0], row[1]): row[2:] for row in table_9(scored_methods).rows}
    ours, paper, difference = rows["IL", "Max fusion"]
    assert isinstance(ours, Spread)
    assert (ours.mean, paper, difference) == pytest.approx((60, 79.3, 60 - 79.3))
    assert rows["PL", "64x64 sliding"][1] == 82.1
    assert rows["PL", "Sum fusion"][1:] == [None, None]


def test_synthetic_data_stand_beside_nothing(results: Path) -> None:
    (results / "run.json").write_text(json.dumps({"synthetic": True, "dataset": "breakhis"}))
    read = read_results(results)
    comparison = compare_methods(read, score_results(read))
    assert comparison.beside == []
    assert [table.name for table in comparison.details] == ["compared_models", "table7_compared"]


def test_several_folds_are_mean_and_spread(results: Path) -> None:
    second = results / "fold2" / "100X" / "compared" / "bayramoglu2016_single"
    write_model(second / "predictions.csv", "single task", right(2))
    (second / "method.json").write_text(json.dumps({"label": "Bayramoglu 2016 [17], single task"}))
    rows = group_methods([score_method(method) for method in read_methods(results)], [])
    (line,) = [line for line in rows if line.name == "bayramoglu2016_single"]
    assert len(line.folds) == 2 and line.images == 20 and line.patients == 5
    (record,) = [row for row in table_8(rows).rows if row[0] == "IL" and "[17]" in str(row[1])]
    ours = record[2]
    assert isinstance(ours, Spread)
    assert (ours.mean, ours.std) == pytest.approx((90, 200**0.5))  # 100 and 80; sample deviation 20 / sqrt(2)


def test_bags_are_tested_on_the_same_images(results: Path) -> None:
    for bag in (1, 2):
        place = results / f"bag{bag}" / "compared" / "spanhol2016"
        write_model(place / "predictions.csv", "32x32 random", right(bag))
        (place / "method.json").write_text(json.dumps({"label": "Spanhol 2016 [11]"}))
    scored_methods = [score_method(method) for method in read_methods(results) if "bag" in method.levels]
    (line,) = group_methods(scored_methods, [])
    assert line.images == 10 and len(line.folds) == 2
    (ours,) = (row[2] for row in table_9(scored_methods).rows if row[:2] == ["IL", "32x32 random"])
    assert isinstance(ours, Spread)
    assert (ours.mean, ours.std) == pytest.approx((85, 50**0.5))  # 90 and 80


def test_the_control_stands_last_and_is_explained(results: Path) -> None:
    control = results / "fold1" / "100X" / "compared" / "colour"
    write_model(control / "predictions.csv", "Lab + LR", right(3))
    (control / "method.json").write_text(json.dumps({"label": "colour alone (control)"}))
    read = read_results(results)
    comparison = compare_methods(read, score_results(read))
    (table,) = comparison.main
    names = [column.name for column in table.columns]
    row = dict(zip(names, table.rows[-1], strict=True))
    assert row["method"] == "colour alone (control)"
    assert isinstance(row["IL"], Estimate)
    assert row["IL"].value == pytest.approx(70)  # 3 of 10 wrong
    assert any("logistic regression" in note for note in table.notes)
    assert not any("colour" in str(row[1]) for row in comparison.beside[0].rows)  # no paper has it


def test_in_the_report(results: Path) -> None:
    path, tables = write_report(results)
    assert "compared" in [table.name for table in tables]
    text = path.read_text(encoding="utf-8")
    assert "Compared methods on the same images" in text
    assert (results / "figures" / "compared.png").stat().st_size > 0
    assert "60.0" in (results / "tables" / "compared.md").read_text()


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"label": "x", "fusions": ["vote"]}', '{"label": "x", "selected": "y"}']
)
def test_damage_is_one_line(results: Path, content: str) -> None:
    (results / "fold1/100X/compared/spanhol2016/method.json").write_text(content)
    with pytest.raises(InputError):
        [score_method(method) for method in read_methods(results)]
