"""A results folder of several seeds: the images lie above, and count once."""

from pathlib import Path

import pytest

from pyhisto.study.results import Results, read_results
from pyhisto.study.scores import score_results
from pyhisto.study.splits_tables import splits_table
from pyhisto.study.summary_tables import score_table, summary_table
from pyhisto.tables.table import Spread
from tests.study.made_up import write_splits, write_stage


@pytest.fixture
def results(tmp_path: Path) -> Results:
    write_splits(tmp_path, {"expected": 20, "missing": 7, "notes": ["a note"]})
    for branch in ("global", "local"):
        (tmp_path / "lmdb" / branch).mkdir(parents=True)
        (tmp_path / "recipe" / branch).mkdir(parents=True)
    for seed, wrong in ((1, 2), (2, 4), (10, 6)):
        write_stage(tmp_path / f"seed{seed}" / "before", wrong)
    return read_results(tmp_path)


def test_each_seed_is_an_experiment_of_the_same_images(results: Results) -> None:
    assert [experiment.seed for experiment in results.experiments] == ["1", "2", "10"]
    assert all(len(experiment.manifest) == 13 for experiment in results.experiments)
    assert all(experiment.missing and experiment.missing.missing == 7 for experiment in results.experiments)
    assert results.of_one_seed == [results.experiments[0]]


def test_images_are_counted_once(results: Results) -> None:
    splits = splits_table(results)
    assert splits is not None and len(splits.rows) == 5  # both classes train and test, one validates


def test_rates_are_means_over_seeds(results: Results) -> None:
    summary = summary_table(score_results(results))
    row = dict(zip(summary.headings, summary.rows[-1], strict=True))
    assert (row["folds"], row["images"]) == (3, 10)
    assert isinstance(row["IL"], Spread) and row["IL"].mean == pytest.approx(60) and row["IL"].std == pytest.approx(20)
    assert "Each seed counts as a fold." in summary.notes


def test_every_score_says_whose_seed_it_is(results: Results) -> None:
    scores = score_table(score_results(results))
    seeds = [row[scores.headings.index("seed")] for row in scores.rows]
    assert list(dict.fromkeys(seeds)) == ["1", "2", "10"]
