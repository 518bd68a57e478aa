import json
from pathlib import Path
from typing import Any

import pytest

from pyhisto.study.compression import find_states
from pyhisto.study.compression_figures import draw_compression
from pyhisto.study.results import read_results
from pyhisto.study.scores import score_results
from tests.study.made_up import write_stage


def stage(folder: Path, name: str, wrong: int, sparse_bytes: int = 15081096, **settings: Any) -> None:
    write_stage(folder / name, wrong, sparse_bytes=sparse_bytes)
    (folder / name / "stage.json").write_text(json.dumps(settings))


def names(folder: Path) -> list[str]:
    results = read_results(folder)
    return [drawing.name for drawing in draw_compression(results, score_results(results))]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_stage(tmp_path / "before", wrong=1)
    stage(tmp_path, "O_0.5", 1, ratio=0.5, loops=1)
    stage(tmp_path, "O_0.8", 2, ratio=0.8, loops=1)
    stage(tmp_path, "O_0.8_R_2", 3, ratio=0.8, loops=2)
    stage(tmp_path, "dns", 4, 2_000_000, method="DNS")
    (tmp_path / "run.json").write_text(json.dumps({"dataset": "breakhis", "width": 1}))
    return tmp_path


def test_states(study: Path) -> None:
    results = read_results(study)
    found = find_states(results, score_results(results))
    assert [(s.method, s.ratio, s.loops, s.il.value) for s in found] == [
        ("channel pruning", 0, None, 90),
        ("channel pruning", 0.5, 1, 90),
        ("channel pruning", 0.8, 1, 80),
        ("channel pruning", 0.8, 2, 70),
        ("DNS", None, None, 60),
    ]
    assert found[0].weights == 3770274 and found[0].size == 15081096 and found[-1].size == 2_000_000


def test_figures_10_12_and_13(study: Path) -> None:
    assert names(study) == ["loops", "ratios", "sizes"]


def test_no_figure_without_the_stages_for_it(tmp_path: Path) -> None:
    write_stage(tmp_path / "before", wrong=1)
    stage(tmp_path, "after", 2, ratio=0.5, loops=1)
    assert names(tmp_path) == []


def test_magnifications_are_no_methods(tmp_path: Path) -> None:
    for magnification in ("40X", "100X"):
        write_stage(tmp_path / magnification / "before", wrong=1)
        stage(tmp_path / magnification, "after", 2, ratio=0.5, loops=1)
    assert names(tmp_path) == []


def test_folds_are_averaged(tmp_path: Path) -> None:
    for fold, wrong in (("fold1", 1), ("fold2", 3)):
        stage(tmp_path / fold, "O_0.5", wrong, ratio=0.5, loops=1)
    results = read_results(tmp_path)
    (state,) = find_states(results, score_results(results))
    # 90 and 70: mean 80, standard deviation 14.14
    assert state.il.value == pytest.approx(80) and state.il.high == pytest.approx(94.1421, abs=1e-4)
