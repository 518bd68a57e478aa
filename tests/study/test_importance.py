"""How much of fig. 11's narrowing is the cutting itself; expected values by hand."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from pyhisto.study.importance import compute_random_spread, importance_table, remark_on_importance
from pyhisto.study.results import read_results
from tests.study.made_up import write_stage


def test_a_random_cut_by_trying_all() -> None:
    factors = [0.1, 0.2, 0.5, 0.9, 0.95]
    for kept in (1, 2, 3, 4):
        every = [np.var(chosen) for chosen in combinations(factors, kept)]
        assert compute_random_spread(factors, kept) == pytest.approx(np.sqrt(np.mean(every)))


def test_the_lowest_cut_and_a_random_cut_stand_beside_what_was_measured(tmp_path: Path) -> None:
    write_stage(tmp_path / "before", wrong=2)
    write_stage(tmp_path / "after", wrong=2)
    for stage, factors in (("before", [0.0, 0.2, 0.6, 1.0]), ("after", [0.5, 0.5])):
        content = {"blocks": {"inception_3a_scale": factors}}
        (tmp_path / stage / "local" / "importance.json").write_text(json.dumps(content))
        (tmp_path / stage / "global" / "importance.json").unlink()
    results = read_results(tmp_path)
    table = importance_table(results)
    assert table is not None
    # Before: mean 0.45, variance (0.2025 + 0.0625 + 0.0225 + 0.3025) / 4 = 0.1475. Two at random: half of 4/3 of that.
    # The two highest: 0.2 from their mean.
    spreads = pytest.approx([0.1475**0.5, (0.1475 * 4 / 6) ** 0.5, 0.2, 0.0])
    assert list(table.rows[0][:4]) == ["local", "inception_3a_scale", 4, 2] and list(table.rows[0][4:]) == spreads
    (sentence,) = remark_on_importance(results)
    assert (
        "before 0.384; of as many channels chosen at random 0.314; of the highest, nothing trained, 0.200" in sentence
    )


def test_nothing_is_said_of_one_measurement(tmp_path: Path) -> None:
    write_stage(tmp_path / "before", wrong=2)
    assert importance_table(read_results(tmp_path)) is None
