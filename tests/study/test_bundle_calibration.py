"""The calibration of a results folder's bundle, in the report: the shipped model's, as its card says it."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from pyhisto.errors import InputError
from pyhisto.study.calibration import read_calibration
from pyhisto.study.report import write_report
from tests.study.made_up import write_stage


@pytest.fixture
def results(root: Path, tmp_path: Path) -> Path:
    """A results folder with a bundle."""
    write_stage(tmp_path / "before", wrong=2)
    (tmp_path / "run.json").write_text(json.dumps({"title": "x"}))
    (tmp_path / "bundle").mkdir()
    shutil.copyfile(root / "models/pcam/bundle.json", tmp_path / "bundle/bundle.json")
    return tmp_path


def test_the_report_says_what_the_card_says_and_draws_it(results: Path) -> None:
    page, _ = write_report(results)
    with open(results / "tables/calibration.csv", newline="") as file:
        validation, test = csv.DictReader(file)
    assert (validation["split"], validation["images"], test["split"], test["images"]) == ("val", "2000", "test", "3000")
    # Of models/pcam/MODEL_CARD.md: 1.7% as the networks say it, 1.1% at the temperature; log loss 0.382 and 0.381.
    assert round(float(test["error before"]), 1) == 1.7 and round(float(test["error after"]), 1) == 1.1
    assert round(float(test["log loss before"]), 3) == 0.382 and round(float(test["log loss after"]), 3) == 0.381
    text = page.read_text()
    assert "The temperature, 1.0585" in text and "Reliability of the bundle&#39;s probabilities on 3000 test" in text
    assert (results / "figures/reliability.png").read_bytes().startswith(b"\x89PNG")


def test_a_bundle_that_was_tried_on_nothing_shows_nothing(results: Path) -> None:
    path = results / "bundle/bundle.json"
    content = json.loads(path.read_text())
    content["results"]["test"] = None
    path.write_text(json.dumps(content))
    assert read_calibration(results) is None
    write_report(results)
    assert not (results / "figures/reliability.png").exists()


@pytest.mark.parametrize("spoilt", [{}, {"before": [{"low": 1}], "after": []}, {"before": 3, "after": []}])
def test_a_spoilt_description_is_one_line(results: Path, spoilt: object) -> None:
    path = results / "bundle/bundle.json"
    content = json.loads(path.read_text())
    content["results"]["test"]["reliability"] = spoilt
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"bundle\.json: not what tools/bundle\.py writes"):
        write_report(results)
