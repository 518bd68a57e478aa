"""Systems of a tree: choices on validation images, ensembles, scores; worked out by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.hierarchy.predictions import TreePredictions
from pyhisto.hierarchy.report import Evaluation, all_tables, verdicts, write_report
from pyhisto.hierarchy.systems import SystemScore, choose, discordant, evaluate, parse_system, score_node

KINDS = ("Normal", "Benign", "InSitu", "Invasive", "Malignant")


def made_up(**answers: list[float]) -> TreePredictions:
    """One image of each of KINDS, patients p0 .. p4; `Node_model=` probabilities of class 1 (Flat: the named leaf)."""
    arrays = {}
    for name, values in answers.items():
        node, model = name.split("_")
        numbers = np.array(values, float)
        arrays[node, model] = np.eye(4)[numbers.astype(int)] if node == "Flat" else np.stack([1 - numbers, numbers], 1)
    patients = tuple(f"p{number}" for number in range(len(KINDS)))
    return TreePredictions(tuple(f"{kind}.tif" for kind in KINDS), patients, KINDS, ("patient",) * len(KINDS), arrays)


PREDICTIONS = made_up(
    # Carci wrong on InSitu; the second member, surer, puts that right and spoils Benign.
    Carci_a=[0.1, 0.2, 0.4, 0.9, 0.8],
    Carci_b=[0.1, 0.9, 0.9, 0.9, 0.8],
    NorBe_x=[0.2, 0.9, 0.9, 0.5, 0.5],
    NorBe_y=[0.6, 0.9, 0.5, 0.5, 0.5],
    InvIs_x=[0.5, 0.5, 0.3, 0.9, 0.9],
    Flat_f=[0, 1, 1, 3, 0],
)


def score(*parts: str, routing: str = "path", validation: TreePredictions | None = None) -> SystemScore:
    system = parse_system("s", parts)
    models, _ = choose(system, validation)
    return evaluate(system, models, PREDICTIONS, routing)


def test_a_tree_is_scored_node_by_node_and_as_a_whole() -> None:
    found = score("Carci=a", "NorBe=x", "InvIs=x")
    # Normal and Benign arrive; InSitu is sent to NorBe, which calls it benign; Invasive arrives; of Malignant only
    # carcinoma is known, and a carcinoma (invasive) is what comes out.
    assert found.decided.tolist() == [0, 1, 1, 3, 3]
    assert found.correct.tolist() == [True, True, False, True, True]
    assert found.rate == 4 / 5
    assert found.table.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert {node.node: (node.right, node.images) for node in found.nodes} == {
        "Carci": (4, 5), "NorBe": (2, 2), "InvIs": (2, 2)
    }  # fmt: skip
    # Carci's images: 2 without, 3 with carcinoma.
    assert found.nodes[0].majority == 3 / 5
    assert found.majority == 1 / 4
    # Of the four whose class is known 3 are right; by chance (1 + 2 + 0 + 1) / 16 would be: (3/4 - 1/4) / (3/4).
    assert found.kappa == pytest.approx(2 / 3)


def test_an_ensemble_is_the_mean() -> None:
    found = score("Carci=a,b", "NorBe=x", "InvIs=x")
    # Carci's mean: 0.1, 0.55, 0.65, 0.9, 0.8: Benign is lost, InSitu won. InvIs has 0.5 for Benign: the lower class.
    assert found.decided.tolist() == [0, 2, 2, 3, 3]


def test_flat_decides_alone() -> None:
    found = score("Flat=f")
    assert found.decided.tolist() == [0, 1, 1, 3, 0]
    assert found.correct.tolist() == [True, True, False, True, False]
    # A tree that is right on Malignant alone beside it: 1 and 0 discordant images say nothing: p = 1.
    assert discordant(score("Carci=a", "NorBe=x", "InvIs=x"), found) == (1, 0, 1.0)


def test_mcnemars_p_is_exact() -> None:
    tree, flat = score("Carci=a", "NorBe=x", "InvIs=x"), score("Flat=f")
    many = [np.array([True] * 10 + [False] * 2), np.array([False] * 10 + [True] * 2)]
    tree, flat = (replace(one, correct=correct) for one, correct in zip((tree, flat), many, strict=True))
    # 2 of 12: 2 x (1 + 12 + 66) / 2^12.
    assert discordant(tree, flat) == pytest.approx((10, 2, 158 / 4096))
    assert "better than flat" in verdicts([tree, flat])[0]
    swapped = [replace(tree, correct=flat.correct), replace(flat, correct=tree.correct)]
    assert "worse than flat" in verdicts(swapped)[0]


def test_validation_chooses_and_a_tie_goes_to_the_smaller_loss() -> None:
    system = parse_system("s", ["Carci=a", "NorBe=x|y", "InvIs=x"])
    models, (choice,) = choose(system, PREDICTIONS)
    # On Normal and Benign: x has both right, y calls Normal benign.
    assert models["NorBe"] == ("x",)
    assert [(name, rate) for name, rate, _ in choice.candidates] == [("x", 1.0), ("y", 0.5)]
    assert choice.candidates[0][2] == pytest.approx(-(math.log(0.8) + math.log(0.9)) / 2)
    tied = made_up(Carci_a=[0] * 5, NorBe_x=[0.4, 0.6, 0, 0, 0], NorBe_y=[0.1, 0.9, 0, 0, 0], InvIs_x=[0] * 5)
    assert choose(system, tied)[0]["NorBe"] == ("y",)
    with pytest.raises(InputError, match="--validation"):
        choose(system, None)


@pytest.mark.parametrize(
    "parts",
    [["Carci=a"], ["Carci=a", "NorBe=x", "InvIs=x", "Flat=f"], ["Carci=", "NorBe=x", "InvIs=x"], ["Root=a"],
     ["Carci=a", "Carci=b", "NorBe=x", "InvIs=x"], ["Carci=a,", "NorBe=x", "InvIs=x"], ["Carci", "NorBe=x"]],
)  # fmt: skip
def test_what_is_no_system_is_refused(parts: list[str]) -> None:
    with pytest.raises(InputError, match="system s: "):
        parse_system("s", parts)


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(InputError, match=r"no predictions of NorBe by 'z' \(there are: x, y\)"):
        score("Carci=a", "NorBe=z", "InvIs=x")


def test_a_node_without_images_has_no_rate() -> None:
    only = TreePredictions(("m.tif",), ("p",), ("Malignant",), ("image",), {("InvIs", "x"): np.array([[0.5, 0.5]])})
    assert math.isnan(score_node("InvIs", only.answers["InvIs", "x"], only).rate)


def test_the_report_says_what_it_is_of(tmp_path: Path) -> None:
    scores = [score("Carci=a", "NorBe=x", "InvIs=x"), score("Flat=f")]
    for split, settings, wanted in (
        ("val", {"dataset": "bach"}, ["These are validation images", "0.963", "0.81"]),
        (
            "test",
            {"dataset": "synthetic", "synthetic": True, "seconds": {"a": "?", "b": 1.5}},
            ["Synthetic data", "Not compared", "split by patient"],
        ),
    ):
        out = tmp_path / split
        path, tables = write_report(out, Evaluation(scores, [], PREDICTIONS, None, split), settings)
        text = path.read_text()
        assert all(word in text for word in [*wanted, "0.99 on its own validation images"]), split
        assert "<script" not in text
        assert {table.name for table in tables} >= {"tree_systems", "tree_networks"}
        assert (out / "figures" / "tree_s.png").stat().st_size > 10_000
        assert (out / "tables" / "tree_systems.csv").exists()
    again, _ = write_report(tmp_path / "again", Evaluation(scores, [], PREDICTIONS, None, "test"), settings)
    assert again.read_bytes() == path.read_bytes()
    beside = all_tables(Evaluation(scores, [], PREDICTIONS, None, "val"), beside_paper=True)
    table = next(table for table in beside if table.name == "tree_table1")
    assert table.rows[0] == ["Carci", 1.0, 0.98, None, 0.8]
    assert table.rows[-1] == ["Whole system", 0.99, 0.963, 0.81, 0.8]
