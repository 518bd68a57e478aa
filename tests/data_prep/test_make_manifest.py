"""data_prep/make_manifest.py: a manifest, and beside it what the manifest itself cannot say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from data_prep.datasets import bisque
from pyhisto.manifest import read_manifest


def make_manifest(root: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(root / "data_prep/make_manifest.py"), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def facts(manifest: Path) -> dict[str, Any]:
    content = json.loads(manifest.with_suffix(".json").read_text())
    return {name: content[name] for name in ("expected", "missing", "notes")}


def test_missing_images_of_an_official_fold(root: Path, tree: Path, tmp_path: Path) -> None:
    options = ["--dataset", "breakhis", "--root", tree / "BreaKHis_v1", "--folds", tree / "breakhis_folds", "--fold", 1]
    out = tmp_path / "manifest.csv"
    assert make_manifest(root, *options, "--magnification", 100, "--out", out).returncode == 0
    assert facts(out) == {"expected": 12, "missing": 0, "notes": []}
    next(path for path in tree.rglob("SOB_B_A*-100-*.png")).unlink()
    done = make_manifest(root, *options, "--magnification", 100, "--allow-missing", "--out", out)
    assert done.returncode == 0, done.stderr
    assert facts(out) == {
        "expected": 12,
        "missing": 1,
        "notes": ["1 of 12 images of the fold at 100X are missing"],
    }
    assert len(read_manifest(out)) == 11


def test_missing_images_of_a_whole_data_set(root: Path, shared_data: Path, tmp_path: Path) -> None:
    """644 benign and 1437 malignant images at 100X; the subset has 197. BISQUE has 58, of which 4 are there."""
    out = tmp_path / "manifest.csv"
    options = ["--dataset", "breakhis", "--root", shared_data / "BreaKHis_v1", "--magnification", 100]
    done = make_manifest(root, *options, "--kfold", 4, "--fold", 1, "--out", out)
    assert done.returncode == 0, done.stderr
    assert facts(out) == {"expected": 2081, "missing": 1884, "notes": []}
    data = bisque.load(shared_data / "bisque")
    assert (data.expected, data.missing) == (58, 54)


def test_of_a_manifest_nothing_is_known(root: Path, tree: Path, tmp_path: Path) -> None:
    options = ["--dataset", "breakhis", "--root", tree / "BreaKHis_v1", "--folds", tree / "breakhis_folds", "--fold", 1]
    assert make_manifest(root, *options, "--out", tmp_path / "a.csv").returncode == 0
    again = ["--manifest", tmp_path / "a.csv", "--root", tree / "BreaKHis_v1", "--out", tmp_path / "b.csv"]
    assert make_manifest(root, *again).returncode == 0
    assert facts(tmp_path / "b.csv")["expected"] is None


def test_the_notes_do_not_overwrite_the_manifest(root: Path, tree: Path, tmp_path: Path) -> None:
    done = make_manifest(root, "--dataset", "bisque", "--root", tree, "--out", tmp_path / "manifest.json")
    assert done.returncode == 2 and "give the manifest another name" in done.stderr
