"""Results folders, their tables, figures and report."""

import base64
import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.manifest import write_manifest
from pyhisto.study.results import read_results
from tests.study.made_up import write_images, write_splits, write_stage


def report(root: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "report.py"), "--results", str(folder), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


class Tags(HTMLParser):
    """All tags with their attributes, and that they are closed in order."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def single(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    write_stage(folder / "before", wrong=2)
    write_stage(folder / "after", wrong=4)
    settings = {"title": "A <demo>", "synthetic": True, "seconds": {"train": 12.5}, "note": "<script>alert(1)</script>"}
    (folder / "run.json").write_text(json.dumps(settings))
    (folder / "examples").mkdir()
    cv2.imwrite(str(folder / "examples" / "malignant_one.png"), np.zeros((4, 4, 3), np.uint8))
    return folder


def test_a_single_experiment(root: Path, single: Path) -> None:
    done = report(root, single)
    assert done.returncode == 0, done.stderr
    assert str(single / "report.html") in done.stdout
    rows = table(single / "tables/summary.csv")
    assert [(row["stage"], row["strategy"]) for row in rows] == [
        (stage, name) for stage in ("before", "after") for name in ("1 global", "2 local", "3 hybrid")
    ]
    # Before: 8 of 10 images right; patient 0 has both wrong, the other four both right: PL 80. After: 6 of 10, 3 of 5.
    assert [(row["IL"], row["PL"], row["majority"]) for row in rows] == [("80", "80", "50")] * 3 + [
        ("60", "60", "50")
    ] * 3
    assert rows[0]["weights"] == "3770274" and rows[2]["weights"] == str(2 * 3770274)
    assert rows[2]["FLOPs"] == str(2 * 2920262208) and rows[2]["forward_ms"] == "25"
    assert rows[0]["caffemodel_bytes"] == "15096340"
    scores = table(single / "tables/scores.csv")
    assert [row["strategy"] for row in scores[:5]] == ["1", "2", "2(Max)", "3", "3(Max)"]
    for name in ("learning_curves", "roc", "lambda_sweep", "importance_global", "importance_local"):
        assert (single / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (single / f"figures/{name}.svg").is_file()


def test_the_page_is_well_formed_and_needs_nothing_else(root: Path, single: Path) -> None:
    assert report(root, single).returncode == 0
    text = (single / "report.html").read_text()
    page = Tags(text)
    assert not page.open
    assert not [tag for tag, _ in page.seen if tag in ("script", "link", "iframe", "object")]
    sources = [attributes.get("src") or "" for tag, attributes in page.seen if tag == "img"]
    assert len(sources) == 7 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"""(href|src)=["']?(https?:|//|file:)""", text)
    assert "Synthetic data." in text and "A &lt;demo&gt;" in text and "&lt;script&gt;alert" in text
    assert "Not compared: the data are synthetic." in text
    assert "prefers-color-scheme: dark" in text


def test_the_same_input_gives_the_same_bytes(root: Path, single: Path) -> None:
    def read() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sorted(single.rglob("*")) if path.is_file()}

    assert report(root, single).returncode == 0
    first = read()
    assert report(root, single).returncode == 0
    assert read() == first


def test_a_study_beside_the_paper(root: Path, tmp_path: Path) -> None:
    # Two folds at 40X: 9 and 7 of 10 images right, mean 80, standard deviation sqrt(2) = 1.414 tenths: 14.142
    write_stage(tmp_path / "fold1/40X/before", wrong=1)
    write_stage(tmp_path / "fold2/40X/before", wrong=3)
    write_stage(tmp_path / "fold1/40X/after", wrong=2)
    (tmp_path / "run.json").write_text(json.dumps({"dataset": "breakhis", "ratio": 0.5, "width": 1}))
    assert report(root, tmp_path).returncode == 0
    rows = {(row["measure"], row["strategy"]): row for row in table(tmp_path / "tables/table3_breakhis.csv")}
    hybrid = rows["IL", "3"]
    assert (hybrid["40X"], hybrid["40X_std"]) == ("80", "14.1421")
    assert (hybrid["40X paper"], hybrid["40X paper_std"], hybrid["40X diff"]) == ("85.6", "1.4", "-5.6")
    assert "100X" not in hybrid and ("kappa", "2(Max)") in rows and ("PPV (benign)", "1") in rows
    after = {(row["measure"], row["strategy"]): row for row in table(tmp_path / "tables/table5_pruned50.csv")}
    assert (after["IL", "1"]["40X"], after["IL", "1"]["40X paper"]) == ("80", "81.3")
    cost = table(tmp_path / "tables/table7_cost.csv")
    assert [row["pruning ratio"] for row in cost] == ["0", "0.5"]
    assert float(cost[0]["weights"]) == pytest.approx(3.77027) and cost[0]["paper FLOPs"] == "2920.3"
    means = {(row["stage"], row["strategy"]): row for row in table(tmp_path / "tables/means.csv")}
    assert means["before", "3"]["folds"] == "2" and means["before", "3"]["IL"] == "80"
    summary = table(tmp_path / "tables/summary.csv")
    assert summary[0]["folds"] == "2" and summary[0]["images"] == "20" and summary[0]["IL_std"] == "14.1421"


def test_five_models_beside_table_9(root: Path, tmp_path: Path) -> None:
    write_stage(tmp_path / "before", wrong=2, models=("bag1", "bag2"))
    (tmp_path / "run.json").write_text(json.dumps({"dataset": "bach"}))
    assert report(root, tmp_path).returncode == 0
    rows = {(row["measure"], row["fusion"]): row for row in table(tmp_path / "tables/table9_bach_assembling.csv")}
    assert rows["IL", "sum"]["ours"] == "80" and rows["IL", "sum"]["paper"] == "84.4" and ("PL", "max") in rows
    assert table(tmp_path / "tables/scores.csv")[0]["models"] == "sum of 2"


def test_bags_merged_beside_single_models(root: Path, tmp_path: Path) -> None:
    write_stage(tmp_path / "bag1/before", wrong=2, models=("bag1",))
    write_stage(tmp_path / "bag2/before", wrong=4, models=("bag2",))
    (tmp_path / "run.json").write_text(json.dumps({"dataset": "bach"}))
    done = report(root, tmp_path)
    assert done.returncode == 0, done.stderr
    rows = {(row["strategy"], row["models"]): row for row in table(tmp_path / "tables/assembling.csv")}
    # Of the ten images both miss two, and one alone misses two more: ties, which go to class 0; one of them is that.
    assert rows["3", "Sum of 2"]["IL"] == "70" and rows["3", "Max of 2"]["IL"] == "70"
    assert (rows["3", "one of 2"]["IL"], rows["3", "one of 2"]["IL_std"]) == ("70", "14.1421")
    printed = {(row["measure"], row["fusion"]): row for row in table(tmp_path / "tables/table9_bach_assembling.csv")}
    assert printed["IL", "sum"]["ours"] == "70" and printed["IL", "max"]["paper"] == "84.2"
    assert "- Each bag counts as a fold." in (tmp_path / "tables/summary.md").read_text()
    # The bags are tested on the same images.
    assert table(tmp_path / "tables/summary.csv")[0]["images"] == "10"


def test_what_is_absent_is_left_out(root: Path, tmp_path: Path) -> None:
    write_stage(tmp_path / "before", wrong=2, cost=False)
    (tmp_path / "before/global/predictions.csv").unlink()
    done = report(root, tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = table(tmp_path / "tables/summary.csv")
    assert row["strategy"] == "2 local" and "weights" not in row and "folds" not in row
    assert not (tmp_path / "figures/learning_curves.png").exists()


def test_stages_and_folds_in_the_order_of_people(tmp_path: Path) -> None:
    for name in ("fold10", "fold2"):
        for stage in ("ratio_0.9", "after", "before", "ratio_0.10"):
            write_stage(tmp_path / name / stage, wrong=1, cost=False)
    (tmp_path / "fold2/after/stage.json").write_text('{"label": "O = 0.5"}')
    first, second = read_results(tmp_path).experiments
    assert (first.fold, second.fold) == ("2", "10")
    assert [stage.label for stage in first.stages] == ["before", "O = 0.5", "ratio_0.9", "ratio_0.10"]


def test_bad_folders(root: Path, single: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_results(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no <stage>/global/predictions.csv"):
        read_results(tmp_path / "empty")
    (single / "before/global/cost.json").write_text("[]")
    with pytest.raises(InputError, match=r"cost.json: not a JSON object"):
        read_results(single)
    (single / "before/global/cost.json").write_text('{"total": {"weights": "many"}}')
    with pytest.raises(InputError, match="is not what the tools write"):
        read_results(single)
    (single / "before/global/cost.json").write_text('{"total": {"weights": Infinity}}')
    with pytest.raises(InputError, match="not valid JSON"):
        read_results(single)
    (single / "before/global/cost.json").unlink()
    (single / "run.json").write_text('{"lambda": "much"}')
    done = report(root, single)
    assert done.returncode == 2 and "run.json: lambda is 'much'" in done.stderr
    (single / "run.json").write_text("{")
    done = report(root, single)
    assert done.returncode == 2 and "run.json: not valid JSON" in done.stderr and done.stderr.count("\n") == 1
    assert not (single / "report.html").exists()


def test_stages_come_in_the_order_that_the_run_names(single: Path) -> None:
    write_stage(single / "a_late_one", wrong=1)

    def names() -> list[str]:
        (experiment,) = read_results(single).experiments
        return [stage.name for stage in experiment.stages]

    assert names() == ["before", "after", "a_late_one"]
    (single / "run.json").write_text(json.dumps({"stages": ["after", "a_late_one"]}))
    assert names() == ["after", "a_late_one", "before"]


def test_what_an_earlier_report_left_goes_and_nothing_else(root: Path, single: Path) -> None:
    (single / "after/stage.json").write_text(json.dumps({"ratio": 0.5}))
    assert report(root, single).returncode == 0
    assert (single / "tables/orderings.csv").is_file() and (single / "figures/importance_local.svg").is_file()
    mine = single / "tables/mine.csv"
    mine.write_text("a\n")
    for branch in ("global", "local"):
        for stage in ("before", "after"):
            (single / stage / branch / "importance.json").unlink()
    assert report(root, single).returncode == 0
    assert not list((single / "figures").glob("importance_*"))
    assert mine.is_file() and (single / "figures/roc.png").is_file()


def test_a_hostile_note_removes_nothing_outside(root: Path, single: Path) -> None:
    outside = single.parent / "outside.csv"
    outside.write_text("a\n")
    names = ["../outside.csv", "tables/../../outside.csv", "before/global/predictions.csv", str(outside), 3]
    (single / "report.json").write_text(json.dumps({"files": names}))
    assert report(root, single).returncode == 0
    assert outside.is_file() and (single / "before/global/predictions.csv").is_file()


def test_the_data_and_what_was_wrong(root: Path, single: Path) -> None:
    rows = write_splits(single, {"expected": 2081, "missing": 1659, "notes": []})
    images = write_images(single.parent / "images", rows)
    done = report(root, single, "--root", images)
    assert done.returncode == 0, done.stderr
    text = (single / "report.html").read_text()
    assert "1,659 of the data set&#39;s 2,081 images are missing" in text
    assert "In the test part and not in the training part: A (benign; 5 images, 5 patients)." in text
    for name in ("missing", "splits", "confusion", "patients", "mistakes"):
        assert (single / f"tables/{name}.csv").is_file() and (single / f"tables/{name}.md").is_file()
    sheet = (single / "figures/mistakes.png").read_bytes()
    assert sheet.startswith(b"\x89PNG") and base64.b64encode(sheet).decode() in text
    assert not Tags(text).open


def test_pictures_are_where_run_json_says_or_it_is_said_that_they_are_not(root: Path, single: Path) -> None:
    settings = json.loads((single / "run.json").read_text())
    write_splits(single)
    assert report(root, single).returncode == 0
    assert "give tools/report.py --root" in (single / "report.html").read_text()
    (single / "run.json").write_text(json.dumps({**settings, "root": str(single / "nowhere")}))
    assert report(root, single).returncode == 0
    assert "No pictures of the mistakes: " in (single / "report.html").read_text()
    done = report(root, single, "--root", single / "nowhere")
    assert done.returncode == 2 and "no such file; is" in done.stderr and done.stderr.count("\n") == 1


HOSTILE = "<img src=x onerror=alert(1)>$\\undefined{$|_a_"


def test_hostile_names_are_only_text(root: Path, single: Path) -> None:
    """In HTML no element, in figures no formula, in Markdown no column."""
    for stage in ("before", "after"):
        (single / stage / "stage.json").write_text(json.dumps({"label": f"{stage}{HOSTILE}", "ratio": 0.5}))
        for branch in ("global", "local"):
            path = single / stage / branch / "predictions.csv"
            path.write_text(re.sub(r",p0,(?=\d)", lambda _: f",{HOSTILE},", path.read_text()))
            importance = json.dumps({"blocks": {HOSTILE: [0.1, 0.5]}})
            (single / stage / branch / "importance.json").write_text(importance)
    rows = [replace(row, subtype=HOSTILE) for row in write_splits(single, {"notes": [HOSTILE]})]
    write_manifest(single / "manifest.csv", rows)
    images = write_images(single.parent / "images", rows)
    settings = {"title": HOSTILE, "data": HOSTILE, "patients": HOSTILE, "classes": [HOSTILE, "b"], "root": str(images)}
    (single / "run.json").write_text(json.dumps({**settings, "dataset": "breakhis"}))
    done = report(root, single)
    assert done.returncode == 0, done.stderr
    page = Tags((single / "report.html").read_text())
    assert not page.open
    assert not [1 for _, attributes in page.seen if "onerror" in attributes or attributes.get("src") == "x"]
    for path in (single / "tables").glob("*.md"):
        lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, path
        assert not re.search(r"(?<!\\)<img", path.read_text()), path
