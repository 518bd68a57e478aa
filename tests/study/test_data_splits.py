"""What images a study has, from manifests."""

from pathlib import Path

import pytest

from pyhisto.errors import InputError
from pyhisto.study.results import Missing, read_results
from pyhisto.study.splits import Count, compute_share, count_parts, find_missing, find_untrained
from pyhisto.study.splits_tables import missing_table, splits_table
from tests.study.made_up import write_splits, write_stage


def test_every_class_of_every_split(tmp_path: Path) -> None:
    found = {(part.split, part.label): part for part in count_parts(write_splits(tmp_path))}
    assert list(found) == [("train", 0), ("train", 1), ("val", 0), ("test", 0), ("test", 1)]
    # Ten test images of five patients, of each patient one benign and one malignant.
    assert found["test", 0].count == found["test", 1].count == Count(images=5, patients=5)
    assert found["test", 0].subtypes == {"A": Count(5, 5)} and found["train", 0].subtypes == {"F": Count(1, 1)}


def test_subtypes_that_no_network_trained_on(tmp_path: Path) -> None:
    (only,) = find_untrained(write_splits(tmp_path))
    assert (only.subtype, only.label, only.count) == ("A", 0, Count(5, 5))


def test_shares_of_a_class(tmp_path: Path) -> None:
    rows = write_splits(tmp_path)
    assert (compute_share(rows, "train", 1), compute_share(rows, "val", 1), compute_share(rows, "test", 1)) == (
        0.5,
        0,
        0.5,
    )
    assert compute_share([row for row in rows if row.split == "val"], "test", 0) is None


def test_tables_of_two_folds(tmp_path: Path) -> None:
    for fold in (1, 2):
        experiment = tmp_path / f"fold{fold}/100X"
        write_stage(experiment / "before", wrong=1, cost=False)
        write_splits(experiment, {"expected": 2081, "missing": 1659, "notes": ["n"]})
    results = read_results(tmp_path)
    assert list(find_missing(results)) == [("100", Missing(2081, 1659))]
    table = missing_table(results)
    assert table is not None and table.headings[:2] == ["magnification", "folds"]
    assert table.cells() == [["100", "1, 2", "2,081", "422", "1,659", "79.7"]]
    splits = splits_table(results)
    assert splits is not None and splits.headings == [
        *("magnification", "fold", "split", "class", "images", "patients", "subtypes")
    ]
    assert splits.cells()[0] == ["100", "1", "train", "benign", "1", "1", "F 1 (1)"]
    assert splits.cells()[-1] == ["100", "2", "test", "malignant", "5", "5", "DC 5 (5)"]


def test_without_a_manifest_there_is_no_table(tmp_path: Path) -> None:
    write_stage(tmp_path / "before", wrong=1, cost=False)
    assert missing_table(read_results(tmp_path)) is None and splits_table(read_results(tmp_path)) is None


@pytest.mark.parametrize(
    "facts", [{"expected": "many"}, {"expected": 2, "missing": 3}, {"expected": 1, "missing": None}, {"notes": 3}]
)
def test_damaged_facts(tmp_path: Path, facts: dict[str, object]) -> None:
    write_stage(tmp_path / "before", wrong=1, cost=False)
    write_splits(tmp_path, facts)
    with pytest.raises(InputError, match=r"manifest.json: not what make_manifest.py writes"):
        read_results(tmp_path)
