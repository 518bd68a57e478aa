"""workflow/profiles/slurm on a SLURM of one node: the tiny config through its queue, one job cancelled on the way."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [pytest.mark.caffe, pytest.mark.slow]

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
TRAINING = "rule_train_wildcards"
"""How the comment of a training's job begins, by Snakemake's plugin."""


@pytest.fixture
def slurm(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which sbatch reaches a SLURM of this machine; or a skip."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if absent := [program for program in PROGRAMS if not shutil.which(program, path=path)]:
        pytest.skip(f"needs SLURM ({', '.join(absent)}): apt-get install slurm-wlm munge")
    if find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("needs Snakemake's SLURM executor: pip install --no-deps -r requirements-cluster.txt")
    folder = tmp_path_factory.mktemp("slurm")
    script = root / "tests" / "workflow" / "one_node_slurm.sh"
    subprocess.run([script, "start", folder], check=True)
    try:
        yield {**os.environ, "PATH": f"{folder / 'bin'}:{path}", "SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([script, "stop", folder], check=True)


def jobs(slurm: dict[str, str]) -> list[tuple[str, str, str]]:
    """(id, state, comment) of all jobs that there were, in their order."""
    command = ["squeue", "--noheader", "--states=all", "--sort=i", "--format=%i|%T|%k"]
    for _ in range(10):  # on a busy machine the controller does not answer each time
        listed = subprocess.run(command, env=slurm, capture_output=True, text=True, check=False)
        if listed.returncode == 0:
            lines = (line.split("|") for line in listed.stdout.splitlines())
            return [(number, state, comment) for number, state, comment in lines]
        time.sleep(1)
    raise AssertionError(listed.stderr)


def test_a_cancelled_training_is_queued_again_and_the_run_ends_whole(
    root: Path, tmp_path: Path, slurm: dict[str, str]
) -> None:
    for name in ("tools", "data_prep", "prototxt", "workflow"):
        (tmp_path / name).symlink_to(root / name)
    command = [
        sys.executable, "-m", "snakemake", "--profile", "workflow/profiles/slurm", "-s", "workflow/Snakefile",
        "--configfile", "workflow/config/tiny.yaml",
        # This SLURM keeps no accounts; a small machine; no time to wait.
        "--slurm-no-account", "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2",
        "--default-resources", "mem_mb=500", "runtime=60", "--max-threads", str(os.cpu_count()),
    ]  # fmt: skip
    with open(tmp_path / "log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=slurm, stdout=log, stderr=log)
    cancelled = ""
    try:
        while process.poll() is None and not cancelled:
            running = [number for number, state, comment in jobs(slurm) if state == "RUNNING" and TRAINING in comment]
            if running and any(tmp_path.glob("runs/tiny/fold1/100X/before/*/training")):
                cancelled = running[0]
                subprocess.run(["scancel", cancelled], env=slurm, check=True)
            time.sleep(0.2)
        assert process.wait() == 0, (tmp_path / "log").read_text()[-4000:]
    finally:
        process.kill()

    ended = jobs(slurm)
    by_state = {state: [number for number, one, _ in ended if one == state] for _, state, _ in ended}
    assert by_state.keys() == {"CANCELLED", "COMPLETED"} and by_state["CANCELLED"] == [cancelled]
    # What was cancelled was queued once more.
    comment = next(comment for number, _, comment in ended if number == cancelled)
    assert [state for _, state, other in ended if other == comment] == ["CANCELLED", "COMPLETED"]
    rules = {name for *_, comment in ended for name in re.findall("^rule_(.+?)(?:_wildcards_.*)?$", comment)}
    assert {"lmdb", "network", "train", "importance", "prune", "surgery", "predict", "report"} <= rules
    # A second's work is not queued.
    assert not rules & {"manifest", "stage", "cost", "settings", "remove_lmdb"}
    assert "<script" not in (tmp_path / "runs/tiny/report.html").read_text(encoding="utf-8")
    assert not list(tmp_path.glob("runs/tiny/**/data.mdb"))


def test_the_documented_command_is_this_profile_s(root: Path) -> None:
    (block,) = re.findall(r"^```sh\n(.*?)^```$", (root / "docs/reproduce.md").read_text(), re.MULTILINE | re.DOTALL)
    assert "requirements-cluster.txt" in block and (root / "requirements-cluster.txt").is_file()
    assert "--profile workflow/profiles/slurm" in block
