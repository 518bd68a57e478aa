"""workflow/estimate.py: what a config will take, before anything runs."""

import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pyhisto.training.timing import cpu_seconds

EMPTY = "name: x\ntitle: y\ndata: {}\nlmdb: {}\nnetwork: {}\nsolver: {}\ncompressions: {}\n"


def estimate(root: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(root / "workflow/estimate.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.caffe
@pytest.mark.slow
def test_jobs_images_time_and_disk_of_a_config(root: Path, tmp_path: Path) -> None:
    done = estimate(root, tmp_path, "--configfile", str(root / "workflow/config/tiny.yaml"))
    assert done.returncode == 0, done.stderr
    # 30% of 12 patients are 4 to test on, a fifth of the other 8 are 2 to validate on; 2 images each.
    assert "1 experiment(s) of about 12 training, 4 validation and 8 test images" in done.stdout
    # Both branches before and after pruning and by DNS, and a network of each compared method.
    assert re.search(r"^\d+ jobs left, 8 of them trainings;", done.stdout, re.MULTILINE)
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+) ", done.stdout, re.MULTILINE)}
    assert (jobs["lmdb"], jobs["train"], jobs["surgery"], jobs["predict"], jobs["predict_step"]) == (2, 4, 2, 6, 6)
    assert "Networks: on this CPU, measured." in done.stdout
    assert re.search(
        r"In all about [0-9.]+ (s|min) on one core, one job after the other; on disk [0-9.]+ MB", done.stdout
    )
    assert [path.name for path in tmp_path.iterdir()] == [".snakemake"]  # Snakemake's own log


@pytest.mark.caffe
@pytest.mark.slow
def test_a_card_is_derived_and_said_to_be(root: Path, tmp_path: Path) -> None:
    config = str(root / "workflow/config/tiny.yaml")
    card, rate = (
        json.loads(estimate(root, tmp_path, "--configfile", config, "--json", *options).stdout)
        for options in (["--card", "GTX 1080 Ti"], ["--iterations-per-second", "20"])
    )
    assert "derived: 20% of its peak of 11.3 TFLOP/s" in card["networks_run"]
    assert "20 iterations a second, as given" in rate["networks_run"]
    assert 0 < card["card_seconds"] < rate["card_seconds"]
    # In 2 branches 30 iterations at 20 a second, whole and pruned (64% of the FLOPs, Table 7); a few tests on top.
    iterations = 2 * (1 + 0.6375) * 30 / 20
    assert iterations < rate["steps"]["train"]["card"] < 1.2 * iterations


@pytest.mark.caffe
@pytest.mark.slow
def test_the_estimate_is_what_a_small_run_takes(root: Path, tmp_path: Path) -> None:
    """Time as cores are at work, which a busy machine does not change much, and bytes when there are the most."""
    config = str(root / "workflow/config/tiny.yaml")
    for name in ("tools", "data_prep", "prototxt", "workflow"):
        (tmp_path / name).symlink_to(root / name)
    found = json.loads(estimate(root, tmp_path, "--configfile", config, "--json").stdout)
    command = [
        sys.executable, "-m", "snakemake", "-s", "workflow/Snakefile", "--cores", "2", "--configfile", config,
        "--nolock", "--quiet", "all",
    ]  # fmt: skip
    most, before = 0, cpu_seconds()
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, occupied(tmp_path / "runs"))
            time.sleep(0.3)
    assert process.returncode == 0
    used = cpu_seconds() - before
    print(f"estimated {found['core_seconds']:.1f} s, used {used:.1f} s")
    print(f"estimated {found['bytes_left']:.0f} and {found['bytes_at_most']:.0f} bytes, there were {most} at the most")
    assert found["core_seconds"] == pytest.approx(used, rel=0.2)
    assert found["bytes_at_most"] == pytest.approx(most, rel=0.2)
    assert found["bytes_left"] == pytest.approx(occupied(tmp_path / "runs"), rel=0.2)


def occupied(folder: Path) -> int:
    """The bytes of all files below a folder."""
    found = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # it went meanwhile
            found += path.stat().st_size
    return found


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
