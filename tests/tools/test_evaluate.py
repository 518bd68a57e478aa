import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

HEADER = "image,patient,label,branch,model,patch,p0,p1\n"


def evaluate(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "evaluate.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write(path: Path, branch: str, patches: list[str], malignant: dict[str, float], model: str = "m") -> Path:
    labels = {"a": 1, "b": 1, "c": 0}
    lines = [
        f"{image},patient-{image},{labels[image]},{branch},{model},{patch},{1 - p},{p}\n"
        for image, p in malignant.items()
        for patch in patches
    ]
    path.write_text(HEADER + "".join(lines))
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        write(tmp_path / "global.csv", "global", [""], {"a": 0.75, "b": 0.25, "c": 0.25}),
        write(tmp_path / "local.csv", "local", ["11", "21"], {"a": 0.75, "b": 0.75, "c": 0.75}),
    ]


def test_table_and_settings(root: Path, tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "local.json").write_text('{"program": "predict"}')
    done = evaluate(root, "--predictions", *files, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "3 images (1 of class 0, 2 of class 1) of 3 patients" in done.stdout
    with open(tmp_path / "out/tables/evaluation.csv") as file:
        table = {row["strategy"]: row for row in csv.DictReader(file)}
    assert list(table) == ["1", "2", "2(Max)", "3", "3(Max)"]
    # Global: a and c right. Local: all called malignant. Hybrid: b = 0.6*0.75 + 0.4*0.25 = 0.55, malignant, as is c.
    assert [table[s]["IL"] for s in ("1", "2", "3")] == ["66.6667"] * 3
    assert table["1"]["precision"] == "100" and table["2"]["precision"] == "66.6667"
    assert table["1"]["majority"] == "66.6667"
    settings = json.loads((tmp_path / "out/run.json").read_text())
    assert settings["lambda"] == 0.6
    assert [made["made_from"] for made in settings["predictions"].values()] == [None, {"program": "predict"}]
    markdown = (tmp_path / "out/tables/evaluation.md").read_text()
    assert markdown.startswith("## Classification results, lambda = 0.6")

    before = {file: file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert evaluate(root, "--predictions", *files, "--out", tmp_path / "out").returncode == 0
    assert before == {file: file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file()}


def test_lambda_and_strategy(root: Path, files: list[Path]) -> None:
    done = evaluate(root, "--predictions", *files, "--strategy", "3", "--lambda", 0.4)
    # b = 0.4*0.75 + 0.6*0.25 = 0.45, benign: wrong; c the same: right; a right
    assert done.returncode == 0 and " 66.7 " in done.stdout


def test_the_notebook_s_rule_and_its_magnification(root: Path, files: list[Path]) -> None:
    done = evaluate(root, "--predictions", *files, "--strategy", "notebook", "--magnification", 40)
    # w = 1.9 for images, 6.2 for patients. All patches count, as |p0 - p1| = 0.5. a is malignant and c, benign, is
    # called so at both levels, as (1.9*0.75 + 0.25) / 2.9 = 0.58 and (6.2*0.75 + 0.25) / 7.2 = 0.68; so is b: 2 of 3.
    assert done.returncode == 0 and "\nnotebook " in done.stdout and done.stdout.count(" 66.7 [") == 2, done.stdout
    done = evaluate(root, "--predictions", *files, "--strategy", "notebook")
    assert done.returncode == 2 and "give --magnification, one of 40, 100, 200, 400" in done.stderr
    assert done.stderr.count("\n") == 1


def test_models_are_merged_as_asked(root: Path, tmp_path: Path) -> None:
    # b, malignant: the sum's mean is (0.9 + 0.2) / 2 = 0.55, the largest single probability 0.9: both malignant; the
    # product has 0.9*0.2 = 0.18 against 0.1*0.8 = 0.08. c: 0.9 is the largest again, and 0.9*0.4 above 0.1*0.6: benign.
    first = write(tmp_path / "1.csv", "global", [""], {"a": 0.75, "b": 0.9, "c": 0.1}, "one")
    second = write(tmp_path / "2.csv", "global", [""], {"a": 0.75, "b": 0.2, "c": 0.6}, "two")
    done = evaluate(root, "--predictions", first, second, "--models", "max", "product", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "out/tables/evaluation.csv") as file:
        assert [(row["models"], row["IL"]) for row in csv.DictReader(file)] == [
            ("max of 2", "100"), ("product of 2", "100")
        ]  # fmt: skip
    assert json.loads((tmp_path / "out/run.json").read_text())["fusions"] == ["max", "product"]


def test_worse_than_no_network_and_than_chance_is_said(root: Path, tmp_path: Path) -> None:
    # The malignant images a and b get 0.25 each, the benign c 0.75: nothing is right, both pairs are in wrong order.
    inverted = write(tmp_path / "i.csv", "global", [""], {"a": 0.25, "b": 0.25, "c": 0.75})
    done = evaluate(root, "--predictions", inverted)
    assert done.returncode == 0, done.stderr
    assert "network: m, strategy 1 0.0, majority 66.7." in done.stdout and "chance: m, strategy 1 0.000." in done.stdout
    assert "these 3 patients" in done.stdout
    right = write(tmp_path / "r.csv", "global", [""], {"a": 0.75, "b": 0.75, "c": 0.25})
    done = evaluate(root, "--predictions", right)
    assert "below" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--strategy", "3"], "strategy 3: no model was predicted in both branches"),
        (["--lambda", "2"], "2 is not from 0 to 1"),
        (["--seed", "-1"], "-1 is below 0"),
        (["--strategy", "4"], "invalid choice: '4'"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(root: Path, files: list[Path], arguments: list[str], complaint: str) -> None:
    done = evaluate(root, "--predictions", files[0], *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr and done.stderr.count("\n") == 1
