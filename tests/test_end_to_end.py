"""The whole workflow on real Caffe, from synthetic images to the report; and the same after kill -9."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyhisto.bundle import open_bundle

pytestmark = pytest.mark.caffe

RUN = Path("runs", "tiny", "fold1", "100X")
STEPS_OF_A_STAGE = ("metrics.jsonl", "predictions.csv", "cost.json", "time.json", "importance.json")


def command(root: Path) -> list[str]:
    return [
        sys.executable, "-m", "snakemake", "-s", str(root / "workflow" / "Snakefile"),
        "--cores", "2", "--configfile", str(root / "workflow" / "config" / "tiny.yaml"),
        "--nolock", "--quiet", "all",
    ]  # fmt: skip


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A folder to run in: the programs are the repository's, the results lie here."""
    for name in ("tools", "data_prep", "prototxt", "workflow"):
        (tmp_path / name).symlink_to(root / name)
    return tmp_path


def predictions(folder: Path) -> dict[tuple[str, str], str]:
    """Every predictions file's text: what all figures come from."""
    return {
        (stage, branch): (folder / RUN / stage / branch / "predictions.csv").read_text()
        for stage in ("before", "after")
        for branch in ("global", "local")
    }


def images_and_patches(text: str) -> list[list[str]]:
    return [row[:6] for row in csv.reader(text.splitlines())]


def databases(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / RUN / "lmdb").rglob("data.mdb")}


def unbroken(folder: Path, stage: str, branch: str) -> bool:
    """Whether the trainings that a network comes from were never resumed: Caffe then reads its data from the start."""
    stages = ("before", "after")[: 1 + (stage == "after")]
    records = [json.loads((folder / RUN / name / branch / "training" / "run.json").read_text()) for name in stages]
    return not any(record["resumed_from_iteration"] for record in records)


def run(root: Path, checkout: Path) -> str:
    """Run the workflow to its end; what it printed."""
    done = subprocess.run(command(root), cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_images_to_a_report(root: Path, checkout: Path) -> None:
    said = run(root, checkout)
    folder = checkout / RUN
    for stage in ("before", "after"):
        for branch in ("global", "local"):
            for name in STEPS_OF_A_STAGE:
                assert (folder / stage / branch / name).stat().st_size > 0
    costs = [json.loads((folder / stage / "local" / "cost.json").read_text())["total"] for stage in ("before", "after")]
    assert costs[1]["weights"] < 0.6 * costs[0]["weights"]
    plan = json.loads((folder / "after" / "local" / "net" / "plan.json").read_text())
    assert plan["proof"]["largest_difference"] <= 1e-4
    with open(folder / "before" / "local" / "predictions.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # 4 of 12 patients are tested, 2 images each, 15 patches an image.
    assert len(rows) == 4 * 2 * 15
    assert all(abs(float(row["p0"]) + float(row["p1"]) - 1) < 1e-4 for row in rows)
    report = (checkout / "runs" / "tiny" / "report.html").read_text(encoding="utf-8")
    assert "ynthetic" in report
    assert "<script" not in report
    assert "colour alone (control)" in report
    assert "Reliability of the bundle&#39;s probabilities on 8 test images" in report
    with open_bundle(checkout / "runs" / "tiny" / "bundle") as bundle:
        assert bundle.branches == ("global", "local") and bundle.description.classes == ("benign", "malignant")
        cut = bundle.networks[1].deploy.weights.stat().st_size
    assert cut == (folder / "after" / "local" / "model.caffemodel").stat().st_size
    assert "hybrid" in said
    assert "hybrid" not in run(root, checkout)  # nothing is left to do


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_goes_on_to_the_end(root: Path, checkout: Path) -> None:
    run(root, checkout)
    expected, expected_databases = predictions(checkout), databases(checkout)
    shutil.rmtree(checkout / "runs")
    shutil.rmtree(checkout / ".snakemake")
    generator = random.Random(0)
    for _ in range(10):
        process = subprocess.Popen(
            command(root), cwd=checkout, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(generator.uniform(3, 14))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    run(root, checkout)
    assert databases(checkout).keys() == expected_databases.keys() and databases(checkout) == expected_databases
    for (stage, branch), text in predictions(checkout).items():
        assert images_and_patches(text) == images_and_patches(expected[stage, branch])
        if unbroken(checkout, stage, branch):
            assert text == expected[stage, branch]
