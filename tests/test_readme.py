"""README's commands of "Using the parts", as they stand and in their order, on real images."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SECTION = "## Using the parts"
SETTINGS = {
    "SIZE": "64",
    "WIDTH": "0.25",
    "ITERATIONS": "20",
    "SHAPE": '"--depths 1 2 1 1 --width 4 --groups 2 --group-width 2"',
    "CONFIG": "short",
}
"""README's settings (NAME=value), and all of it that is changed here: small enough for a test."""

PUBLISHED = Path(__file__).parent / "nets" / "golden" / "resnext_tiny.safetensors"
"""In the place of the published weights: a network of the SHAPE above, with their names."""

CONFIG = """
name: short
title: A short run on BreaKHis
data: {allow_missing: true}
folds: [1]
magnifications: [100]
lmdb: {size: 32, interpolation: area, augment: 0}
network: {variant: released, width: 0.125, input-size: 32, batch-norm-fraction: 0.9}
solver: {max-iter: 4, test-interval: 4, snapshot: 4, solver-mode: CPU}
compressions:
  after: {criterion: sep, ratio: 0.5}
lambda: 0.6
"""


def commands(readme: str) -> str:
    """The indented blocks of the section, one after the other."""
    section = readme.split(f"{SECTION}\n")[1].split("\n## ", maxsplit=1)[0]
    return "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))


def with_settings(script: str) -> str:
    """The commands with SETTINGS in the place of README's; each has to be set there, and nothing else is."""
    pattern = re.compile(r'^(?:[A-Z]+=(?:"[^"]*"|\S+) *)+(?=#|$)', re.MULTILINE)
    named = [name for line in pattern.findall(script) for name in re.findall(r"([A-Z]+)=", line)]
    assert sorted(named) == sorted(SETTINGS)
    return pattern.sub(
        lambda line: " ".join(f"{name}={SETTINGS[name]}" for name in re.findall(r"([A-Z]+)=", line[0])) + " ", script
    )


def test_settings_are_all_that_is_changed(root: Path) -> None:
    script = commands((root / "README.md").read_text(encoding="utf-8"))
    changed = with_settings(script)
    differing = [
        (one, other) for one, other in zip(script.splitlines(), changed.splitlines(), strict=True) if one != other
    ]
    assert len(differing) == 3 and all(re.match("[A-Z]+=", one) for one, _ in differing)
    assert "python tools/train.py --solver pruned/solver.prototxt" in changed


@pytest.mark.caffe
@pytest.mark.slow
def test_every_command_in_its_order(root: Path, shared_data: Path, tmp_path: Path) -> None:
    """In an empty folder: what a checkout has, the data and the weights that README says are the reader's."""
    for name in ("tools", "data_prep", "prototxt"):
        (tmp_path / name).symlink_to(root / name)
    shutil.copytree(root / "workflow", tmp_path / "workflow")
    (tmp_path / "workflow/config/short.yaml").write_text(CONFIG)
    (tmp_path / "BreaKHis_v1").symlink_to(shared_data / "BreaKHis_v1")
    (tmp_path / "folds").symlink_to(shared_data / "breakhis_folds")
    (tmp_path / "resnext50_32x4d.safetensors").symlink_to(PUBLISHED)
    script = with_settings(commands((root / "README.md").read_text(encoding="utf-8")))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    for made in (
        "results/tables/evaluation.csv", "importance.json", "pruned/snapshot_iter_20.caffemodel", "smaller/plan.json",
        "comparison/widths.png", "smaller/net.solverstate", "smaller.onnx", "phases/fine/model.caffemodel",
        "runs/short/report.html",
    ):  # fmt: skip
        assert (tmp_path / made).stat().st_size > 0
    report = (tmp_path / "runs/short/report.html").read_text(encoding="utf-8")
    assert "1,884 of the data set&#39;s 2,081 images at 100X are missing" in report
