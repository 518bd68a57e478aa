"""tools/write_facts.py: what a results folder says of itself, whole or not at all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import pyhisto

BENCHMARK = "s\th:m:s\tmax_rss\n12.5\t0:00:12\t-\n"


def write_facts(root: Path, folder: Path, *options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools/write_facts.py"), *map(str, options), "--out", "facts.json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_facts_seconds_and_versions(root: Path, tmp_path: Path) -> None:
    for step in ("seconds/features", "fold1/100X/seconds/train_before_global", "seconds/train/Carci/init"):
        (tmp_path / "run" / step).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / f"{step}.tsv").write_text(BENCHMARK)
    facts = '{"label": "DNS 60%", "lambda": 0.6}'
    done = write_facts(root, tmp_path, "--facts", facts, "--seconds", "run", "--versions")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    read = json.loads((tmp_path / "facts.json").read_text())
    assert (read["label"], read["lambda"]) == ("DNS 60%", 0.6)
    steps = ("features", "fold1 100X train before global", "train Carci init")
    assert read["seconds"] == dict.fromkeys(steps, 12.5)
    assert read["versions"]["pyhisto"] == pyhisto.__version__


@pytest.mark.parametrize(
    ("facts", "benchmark", "complaint"),
    [
        ("{", BENCHMARK, "--facts: not valid JSON"),
        ("[1]", BENCHMARK, "--facts [1]: not a JSON object"),
        ("{}", "", "run/seconds/step.tsv: not a benchmark of Snakemake's"),
        ("{}", "s\tx\nsoon\t1\n", "run/seconds/step.tsv: not a benchmark of Snakemake's"),
        ("{}", "s\tx\n\xff\t1\n", "run/seconds/step.tsv: not a benchmark of Snakemake's"),
    ],
)
def test_what_is_none_is_one_line(root: Path, tmp_path: Path, facts: str, benchmark: str, complaint: str) -> None:
    (tmp_path / "run/seconds").mkdir(parents=True)
    (tmp_path / "run/seconds/step.tsv").write_text(benchmark, encoding="latin-1")
    done = write_facts(root, tmp_path, "--facts", facts, "--seconds", "run")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert complaint in done.stderr and not (tmp_path / "facts.json").exists()
