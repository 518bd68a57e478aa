"""Data sets that are kept as links: the same images, manifests and LMDBs as of the files themselves."""

import subprocess
import sys
from pathlib import Path

import pytest

from pyhisto.files import sha256


def run(root: Path, program: str, tree: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(root / "data_prep" / program), "--dataset", "breakhis", "--root", str(tree)]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)


def linked(tree: Path, farm: Path, depth: int) -> Path:
    """BreaKHis_v1 under `farm`, of real folders down to `depth`, and links to what is below them."""
    for path in sorted((tree / "BreaKHis_v1").rglob("*")):
        parts = path.relative_to(tree).parts
        (farm / Path(*parts)).parent.mkdir(parents=True, exist_ok=True)
        if len(parts) == depth:
            (farm / Path(*parts)).symlink_to(path)
        elif len(parts) < depth:
            (farm / Path(*parts)).mkdir(exist_ok=True)
    return farm / "BreaKHis_v1"


FOLDERS, FILES = 7, 9
"""BreaKHis_v1/histology_slides/breast/benign/SOB/adenosis/SOB_B_A_14-1, and 100X/IMAGE.png below it."""


@pytest.fixture(params=[FOLDERS, FILES], ids=["folders", "files"])
def farm(request: pytest.FixtureRequest, tree: Path, tmp_path: Path) -> Path:
    return linked(tree, tmp_path / "farm", request.param)


def test_a_farm_of_links_is_the_data_set_if_links_are_followed(
    root: Path, tree: Path, farm: Path, tmp_path: Path
) -> None:
    split = ("--folds", tree / "breakhis_folds", "--fold", 1, "--magnification", 100)
    out = {}
    for name, images, flag in (("own", tree / "BreaKHis_v1", ()), ("farm", farm, ("--follow-links",))):
        checked = run(root, "check_data.py", images, *split, *flag, "--workers", 1)
        assert checked.returncode == 0, checked.stderr
        lmdb = tmp_path / f"{name}_lmdb"
        built = run(
            root,
            "build_lmdb.py",
            images,
            *flag,
            *split,
            "--branch",
            "global",
            "--size",
            32,
            "--workers",
            2,
            "--out",
            lmdb,
        )
        assert built.returncode == 0, built.stderr
        out[name] = (
            checked.stdout,
            *(sha256(lmdb / file) for file in ("manifest.csv", "train/data.mdb", "test/data.mdb")),
        )
    assert out["farm"] == out["own"]


def test_otherwise_nothing_beyond_the_root_is_read(root: Path, farm: Path, tmp_path: Path) -> None:
    done = run(root, "check_data.py", farm, "--workers", 1)
    assert done.returncode == 2 and done.stdout.count("note:") <= 1
    (said,) = done.stderr.splitlines()
    assert "--follow-links" in said


def test_a_root_may_be_a_link(root: Path, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree / "BreaKHis_v1")
    done = run(root, "check_data.py", tmp_path / "link", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout == run(root, "check_data.py", tree / "BreaKHis_v1", "--workers", 1).stdout
