"""The tree's whole workflow on real Caffe: published weights, rates found, phases, trees, ensembles, reports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.caffe, pytest.mark.slow]

RUN = Path("runs", "kone_tiny")


def test_from_photos_to_a_report(root: Path, tmp_path: Path) -> None:
    for name in ("tools", "data_prep", "prototxt", "workflow"):
        (tmp_path / name).symlink_to(root / name)
    published = root / "tests" / "nets" / "golden" / "resnext_tiny.safetensors"
    command = [
        sys.executable, "-m", "snakemake", "-s", str(root / "workflow" / "Snakefile_kone"), "--cores", "2",
        "--configfile", str(root / "workflow" / "config" / "kone_tiny.yaml"), "--config", f"pretrained={published}",
        "--nolock", "--quiet", "all",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / RUN
    # Rates are found where the settings name none; every network but the snapshot went through both phases.
    assert json.loads((run / "Carci" / "init" / "rate" / "lr.json").read_text())
    for model in ("Carci/init", "NorBe/pretrained", "NorBe/carci", "InvIs/pretrained", "InvIs/whole", "Flat/flat"):
        for phase in ("head", "fine"):
            assert (run / model / "training" / phase / "model.caffemodel").is_file()
    report = run / "report" / "ext"
    text = (report / "report.html").read_text()
    assert all(word in text for word in ("Synthetic data", "split by patient", "flat training of the same network"))
    assert {path.name for path in (report / "tables").glob("*.csv")} >= {
        "tree_systems.csv", "tree_networks.csv", "tree_choices.csv", "tree_confusion_single.csv"
    }  # fmt: skip
    # 4 classes of 4 patients, and 2 of 3 patients: a quarter of them is tested, validated.
    networks = (report / "tables" / "tree_networks.csv").read_text().splitlines()
    whole = next(line for line in networks if line.startswith("InvIs,whole"))
    assert whole.endswith(",,,")  # it learned from the validation images
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Whole systems" not in again.stdout
