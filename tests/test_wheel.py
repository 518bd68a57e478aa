"""The wheel, built from the source distribution and installed into an environment of its own without Caffe."""

import shutil
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from pyhisto.proto import NetParameter, parse_text
from tests.networks import IMAGE_NET, save

pytestmark = pytest.mark.slow

IN_THE_PACKAGE = ("tools", "prototxt", "models")


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `python -m build` makes it: of the source distribution, which is made of what git has."""
    folder = tmp_path_factory.mktemp("build")
    for name in subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.split("\0"):
        if (root / name).is_file():
            (folder / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / "checkout" / name)
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], cwd=folder / "checkout", check=True, capture_output=True)
    (source,) = folder.glob("pyhisto-*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(list(map(str, pip)), check=True, capture_output=True)
    (made,) = folder.glob("pyhisto-*.whl")
    return made


@pytest.fixture(scope="module")
def pyhisto(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment in which the wheel is installed, without any extra."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel]
    done = subprocess.run(list(map(str, pip)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return environment / "bin" / "pyhisto"


def run(command: Path, *arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *map(str, arguments)], cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_it_holds_the_programs_the_data_and_the_licences(root: Path, wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "pyhisto", "data_prep", "tools/*.py", "prototxt/*.py", "models/pcam"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = {f"pyhisto/{name}" if name.startswith(IN_THE_PACKAGE) else name for name in tracked.stdout.split()}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        fields = HeaderParser().parsestr(archive.read(metadata).decode())
        licences = {name.rpartition("/")[2] for name in archive.namelist() if "/licenses/" in name}
    assert names == expected
    assert licences == {"LICENSE", "NOTICE"}
    assert fields["License-Expression"] == "BSD-2-Clause"
    assert fields["Description-Content-Type"] == "text/markdown"
    assert not {"Home-page", "Project-URL", "Download-URL"} & set(fields)


def test_it_is_small(pyhisto: Path) -> None:
    """286 MB on Linux, of which OpenCV and numpy are 236."""
    size = sum(file.lstat().st_size for file in pyhisto.parents[1].rglob("*"))
    assert size < 350e6


def model(root: Path, folder: Path) -> tuple[Path, Path]:
    """A real network beside the checkout, if it is there, else a small one with random weights."""
    real = root.parent / "shared" / "data" / "models" / "ultraface_slim320"
    if real.is_dir():
        return real / "slim-320.prototxt", real / "slim-320.caffemodel"
    return save(folder, parse_text(IMAGE_NET, NetParameter, folder))


def test_it_prunes_with_proof_by_opencv(root: Path, pyhisto: Path, tmp_path: Path) -> None:
    network, weights = model(root, tmp_path)
    options = ["--criterion", "l1", "--ratio", "0.3", "--out", "smaller"]
    done = run(pyhisto, "prune", "--model", network, "--weights", weights, *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Proof (opencv; Caffe is not installed): the largest difference from the masked original is " in done.stdout
    pruned = tmp_path / "smaller"
    assert {file.name for file in pruned.iterdir()} == {network.name, weights.name, "plan.json"}
    assert (pruned / weights.name).stat().st_size < 0.9 * weights.stat().st_size
    again = run(pyhisto, "cost", "--model", pruned / network.name, folder=tmp_path)
    assert again.returncode == 0 and again.stdout


def test_it_generates_counts_and_checks_networks(pyhisto: Path, tmp_path: Path) -> None:
    done = run(pyhisto, "generate", "inception-sep", "--out", "net", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3,770" in run(pyhisto, "cost", "--model", "net/deploy.prototxt", folder=tmp_path).stdout
    assert run(pyhisto, "lint", "net/deploy.prototxt", folder=tmp_path).returncode == 0
    committed = run(pyhisto, "generate", "--check", folder=tmp_path)
    assert (committed.returncode, committed.stdout) == (2, "")
    assert committed.stderr.startswith("pyhisto generate: no committed networks are here, only in a checkout; name a ")


def test_a_program_whose_extra_is_missing_says_which(pyhisto: Path, tmp_path: Path) -> None:
    for arguments, extra in {
        ("compare", "--help"): "report",
        ("predict", "--help"): "data",
        ("extract-features", "--help"): "features",
    }.items():
        done = run(pyhisto, *arguments, folder=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith(f"pyhisto {arguments[0]}: needs the package ")
        assert f"pip install 'pyhisto[{extra}]'" in done.stderr


def test_onnx_is_asked_for_when_it_is_needed(pyhisto: Path, tmp_path: Path) -> None:
    network, weights = save(tmp_path, parse_text(IMAGE_NET, NetParameter, tmp_path))
    done = run(pyhisto, "to-onnx", "--model", network, "--weights", weights, "--out", "net.onnx", folder=tmp_path)
    assert done.returncode == 2 and not (tmp_path / "net.onnx").exists()
    assert done.stderr == (
        "pyhisto to-onnx: needs the package onnx, which is not installed: pip install 'pyhisto[onnx]'\n"
    )


def test_the_list_stands_in_any_folder(pyhisto: Path, tmp_path: Path) -> None:
    done = run(pyhisto, folder=tmp_path)
    assert done.returncode == 0
    assert "\n  prune " in done.stdout and "\n  build-lmdb " in done.stdout
