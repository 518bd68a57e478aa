"""workflow/estimate.py: what a config will take, before anything runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EMPTY = "name: x\ntitle: y\ndata: {}\nlmdb: {}\nnetwork: {}\nsolver: {}\ncompressions: {}\n"


def estimate(root: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(root / "workflow/estimate.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.caffe
def test_jobs_images_time_and_disk_of_a_config(root: Path, tmp_path: Path) -> None:
    done = estimate(root, tmp_path, "--configfile", str(root / "workflow/config/tiny.yaml"))
    assert done.returncode == 0, done.stderr
    # 12 patients of 2 images: 30% of 24 are 7 to test on, a fifth of the other 17 are 3 to validate on.
    assert "1 experiment(s) of about 14 training, 3 validation and 7 test images" in done.stdout
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+) ", done.stdout, re.MULTILINE)}
    # Two branches: trained before and after pruning, DNS once, all three predicted.
    assert (jobs["lmdb"], jobs["train"], jobs["surgery"], jobs["predict"]) == (2, 4, 2, 6)
    assert re.search(r"^Not estimated: .*prune 2.*report 1", done.stdout, re.MULTILINE)
    assert re.search(
        r"In all about [0-9.]+ (s|min|h) on this CPU, one job after the other, and \d+ MB on disk", done.stdout
    )
    assert [path.name for path in tmp_path.iterdir()] == [".snakemake"]  # Snakemake's own log


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--configfile", "none.yaml"], "none.yaml: cannot be read"),
        (["--configfile", "bach_paper.yaml", "--config", "slides=nowhere"], "nowhere: holds no slide"),
        (["--configfile", "bach_paper.yaml", "--config", "slides"], "--config slides: give NAME=VALUE"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(root: Path, arguments: list[str], complaint: str) -> None:
    done = estimate(root, root / "workflow/config", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no `name: value` lines"),
        ("- 1\n", "holds no `name: value` lines"),
        ("3\n", "holds no `name: value` lines"),
        ("name: [1\n", "cannot be read as YAML"),
        ("name: 2024-99-99\n", "cannot be read as YAML: month must be in 1..12"),
        ("[" * 100_000, "cannot be read as YAML: nested too deeply"),
        ("name: x\n", "has no title, data, lmdb, network, solver, compressions"),
        ("name: x\ntitle: y\ndata: 3\nlmdb: {}\nnetwork: {}\nsolver: {}\ncompressions: {}\n", "data: '3'"),
        (EMPTY.replace("compressions: {}", "compressions: {a: 1}"), "a: '1'"),
        (f"{EMPTY}folds: 1\n", "folds: '1'"),
        (
            f"{EMPTY}bags: two\n",
            "bags: 'two'",
        ),
    ],
)
def test_a_strange_config_is_one_line(root: Path, tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    done = estimate(root, tmp_path, "--configfile", "config.yaml")
    assert done.returncode == 2
    assert complaint in done.stderr and done.stderr.count("\n") == 1
