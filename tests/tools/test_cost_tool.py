"""tools/cost.py as a user starts it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def cost(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "cost.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def paper(root: Path) -> str:
    return str(root / "prototxt" / "inception_sep_paper" / "deploy.prototxt")


def test_table_7_s_first_row(root: Path, paper: str) -> None:
    table = cost(root, "--model", paper)
    assert table.returncode == 0
    assert table.stdout.splitlines()[-1].startswith("3.770 M weights, 2920.3 M FLOPs")
    total = json.loads(cost(root, "--model", paper, "--json").stdout)["total"]
    assert (total["weights"], total["flops"]) == (3_770_274, 2_920_262_208)


def test_bad_input_is_one_line_and_exit_2(root: Path, tmp_path: Path) -> None:
    broken, train_val = tmp_path / "broken.prototxt", tmp_path / "train_val.prototxt"
    broken.write_text("layer {")
    train_val.write_text('layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "x" } }')
    for model in (broken, train_val, tmp_path / "absent.prototxt"):
        answer = cost(root, "--model", str(model))
        assert answer.returncode == 2
        assert answer.stdout == ""
        assert answer.stderr.count("\n") == 1 and str(model) in answer.stderr
    assert cost(root).returncode == 2
