"""What a run.json says of the software that made it."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyhisto.versions import caffe_build, commit, system_packages


@pytest.fixture(scope="module")
def printed(root: Path) -> dict[str, Any]:
    """What `doctor.py --versions` prints."""
    command = [sys.executable, str(root / "tools" / "doctor.py"), "--versions"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_python_packages_are_those_of_the_environment(printed: dict[str, Any]) -> None:
    for name in ("numpy", "protobuf", "pyhisto"):
        assert printed["python_packages"][name] == importlib.metadata.version(name)


@pytest.mark.caffe
def test_the_caffe_that_setup_built_says_what_it_was_built_of(root: Path, printed: dict[str, Any]) -> None:
    build = caffe_build()
    assert build is not None
    if "key" not in build:
        pytest.skip("a Caffe that setup did not build")
    pinned = (root / "docker" / "caffe" / "source.txt").read_text()
    ((source, digest),) = re.findall(r"\A(\S+) --hash=(\S+)\n\Z", pinned)
    assert printed["caffe"]["sources"][source] == digest
    # Its BLAS decides the last bits of every sum: the package is named, and its version is the installed one.
    blas = [name for name in printed["caffe"]["packages"] if name.startswith("libopenblas")]
    assert blas
    command = ["dpkg-query", "-W", "-f", "${Version}", blas[0]]
    installed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed["system_packages"][blas[0]] == installed
    assert set(printed["system_packages"]) == set(printed["caffe"]["packages"])


def test_packages_that_are_not_there_have_no_version() -> None:
    assert system_packages(["no-such-package-anywhere"]) == {}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_commit_and_what_differs_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
        return subprocess.run(["git", *who, *words], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    head = git("rev-parse", "HEAD").strip()
    assert commit(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert commit(tmp_path) == f"{head}-dirty"
    # An image has no .git, and is told.
    image = tmp_path.parent / "image"
    image.mkdir(exist_ok=True)
    monkeypatch.delenv("PYHISTO_COMMIT", raising=False)
    assert commit(image) is None
    monkeypatch.setenv("PYHISTO_COMMIT", head)
    assert commit(image) == head
