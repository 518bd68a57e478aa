"""What a report says beside its figures, and that it says nothing where nothing is to be said."""

import json
from pathlib import Path

import pytest

from pyhisto.manifest import read_manifest, write_manifest
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.preprocessing.reinhard import Reinhard
from pyhisto.study.paper.beside import compare_with_paper
from pyhisto.study.paper.protocol import Difference, find_differences
from pyhisto.study.remarks import (
    remark_on_missing,
    remark_on_paper,
    remark_on_rates,
    remark_on_splits,
    remark_on_stains,
    remark_on_times,
)
from pyhisto.study.results import Results, read_results
from pyhisto.study.scores import Scored, score_results
from tests.study.made_up import write_splits, write_stage

FACTS = {"expected": 2081, "missing": 1659, "notes": ["1659 of 2081 images are missing", "two slides are one"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    experiment = tmp_path / "fold1/100X"
    write_stage(experiment / "before", wrong=8)
    write_splits(experiment, FACTS)
    return tmp_path


def read(folder: Path) -> tuple[Results, list[Scored]]:
    results = read_results(folder)
    return results, score_results(results)


def test_what_is_missing(folder: Path) -> None:
    assert list(remark_on_missing(read_results(folder))) == [
        "1,659 of the data set's 2,081 images at 100X are missing: every figure here is of the other 422 (20.3%), none "
        "of the whole data set."
    ]
    (folder / "fold1/100X/manifest.json").write_text(json.dumps({"expected": 13, "missing": 0}))
    assert list(remark_on_missing(read_results(folder))) == []


def test_subtypes_and_shares_and_notes(folder: Path) -> None:
    untrained = "Fold 1, 100X: in the test part and not in the training part: A (benign; 5 images, 5 patients)."
    assert list(remark_on_splits(read_results(folder))) == [untrained, "Fold 1, 100X: two slides are one"]
    manifest = folder / "fold1/100X/manifest.csv"
    # Without the benign training image all training images are malignant, and half of the test images.
    write_manifest(manifest, [row for row in read_manifest(manifest) if row.path != "t0"])
    shares = "Fold 1, 100X: 0% of the training images and 50% of the test images are benign."
    assert list(remark_on_splits(read_results(folder)))[1] == shares


def test_below_the_majority_and_below_chance(folder: Path) -> None:
    below, inverted = remark_on_rates(read(folder)[1])
    # Two of ten images are right, and half are of either class; every wrong image gets 0.2 for its own class, the
    # right one of a class 0.8. Pairs (benign, malignant) in the right order: 1 of 25, and ties count half: 4 + 4 pairs.
    assert "network: before at 100X, 1 global 20.0, 2 local 20.0, 3 hybrid 20.0, majority 50.0." in below
    assert "chance: before at 100X, 1 global 0.200, 2 local 0.200, 3 hybrid 0.200." in inverted
    assert "these 5 patients" in inverted


def test_a_good_result_needs_no_remark(tmp_path: Path) -> None:
    write_stage(tmp_path / "before", wrong=1, cost=False)
    results, scored = read(tmp_path)
    assert not [
        *remark_on_missing(results),
        *remark_on_splits(results),
        *remark_on_rates(scored),
        *remark_on_times(scored),
    ]


def test_large_differences_to_the_paper_are_explained(folder: Path) -> None:
    solver = {"max-iter": 600, "weight-decay": 0.009}
    settings = {"lmdb": {"size": 64, "augment": 8}, "network": {"width": 0.25}, "solver": solver}
    (folder / "run.json").write_text(json.dumps({"dataset": "breakhis", "settings": settings}))
    results, scored = read(folder)
    assert find_differences(results) == [
        Difference("images at 100X, training and test", "422", "2,081"),
        Difference("folds", "1", "5"),
        Difference("magnifications", "100X", "40X, 100X, 200X, 400X"),
        Difference("side of the network's input, pixels", "64", "224"),
        Difference("width of every layer, as a multiple", "0.25", "1"),
        Difference("training iterations", "600", "40,000"),
    ]
    tables = compare_with_paper(results, scored, [])
    far, interval = remark_on_paper(tables, scored, differs=True)
    # Table 3: five strategies, five measures (PPV twice); Table 4: three strategies, three measures.
    assert far.startswith(
        "34 of 34 figures are more than 10 points (kappa: 0.1) from the printed ones; the furthest, by -"
    )
    assert "neither reproduce" in far
    # Wilson's interval of 2 of 10, by hand: (0.2 + z2/20 -+ z sqrt(0.2 0.8 / 10 + z2/400)) / (1 + z2/10), z2 = 3.8415
    assert "3 hybrid, IL 20.0 [5.7, 51.0], PL 20.0" in interval and "majority rate of these images is 50.0" in interval
    assert "Nothing is known in which" in next(iter(remark_on_paper(tables, scored, differs=False)))
    table = tables[0]
    assert table.cells()[0] == ["majority rate", "-", "50.0", "-", "-"]
    assert "20.0 [5.7, 51.0]" in [row[2] for row in table.cells() if row[0] == "IL"]


def test_the_paper_s_own_settings_differ_in_nothing(tmp_path: Path) -> None:
    for fold in range(1, 6):
        for magnification in (40, 100, 200, 400):
            write_stage(tmp_path / f"fold{fold}/{magnification}X/before", wrong=1, cost=False)
    settings = {"lmdb": {"size": 224, "augment": 8}, "network": {"variant": "paper"}, "solver": {"random-seed": 1}}
    (tmp_path / "run.json").write_text(json.dumps({"dataset": "breakhis", "settings": settings}))
    assert find_differences(read_results(tmp_path)) == []


def test_times_and_the_machine_s_load(folder: Path) -> None:
    before = folder / "fold1/100X/before"
    assert "load not noted" in next(remark_on_times(read(folder)[1]))
    time = {"forward_ms": 10, "batch": 10, "forward_ms_rounds": [9, 10, 12], "cores": 2, "cores_used_by_others": 0.1}
    for branch in ("global", "local"):
        (before / branch / "time.json").write_text(json.dumps(time))
    (said,) = remark_on_times(read(folder)[1])
    assert "medians of 3 rounds" in said and "up to 30% of its median" in said  # 12 - 9 of 10
    (before / "local/time.json").write_text(json.dumps({**time, "cores_used_by_others": 1.26}))
    _, busy = remark_on_times(read(folder)[1])
    assert busy.startswith("The machine was busy: other processes used 1.3 of its 2 cores")


def test_the_stain_target_is_said(folder: Path) -> None:
    assert list(remark_on_stains(read_results(folder))) == []
    source = "mean of 4 training images, in place of the authors' x.png, which is not there"
    for branch in ("global", "local"):
        recipe = folder / "fold1/100X/recipe" / branch
        recipe.mkdir(parents=True)
        Preprocessing(branch, stain=Reinhard((180.0, 140.0, 120.0), (30.0, 8.0, 6.0), source=source)).save(recipe)
    said = "mean of the training images, in place of the authors' x.png, which is not there"
    assert list(remark_on_stains(read_results(folder))) == [f"Stain normalisation: reinhard to {said}."]
