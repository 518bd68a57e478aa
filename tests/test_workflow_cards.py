"""The workflows and cards: refused before the first job, one card a job, `cards` of the config."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

TWO_JOBS = """
import sys
sys.path.insert(0, "{root}/workflow")
from cards import on_card

ON_CARD = on_card(sys.executable, 1)
shell.prefix("set -eu; cd {root}; ")

rule all:
    input: "{folder}/a", "{folder}/b"

rule job:
    output: "{folder}/{{which}}"
    resources: gpu=1
    # Each waits for the other: they do run side by side.
    shell: "{{ON_CARD}} sh -c 'echo $CUDA_VISIBLE_DEVICES > {{output}}; "
           "until [ -s {folder}/a ] && [ -s {folder}/b ]; do sleep 0.1; done'"
"""


def snakemake(
    folder: Path, snakefile: Path, *arguments: object, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "snakemake", "-s", str(snakefile), "--cores", "2", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200
    )


@pytest.fixture
def in_gpu_mode(root: Path, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run one of the workflow's tests' configs with solver-mode GPU, where no card is to be seen."""
    for name in ("tools", "data_prep", "prototxt"):
        (tmp_path / name).symlink_to(root / name)

    def run(snakefile: str, config: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        path = tmp_path / config
        path.write_text((root / "workflow/config" / config).read_text().replace("CPU", "GPU"))
        hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        where = root / "workflow" / snakefile
        return snakemake(tmp_path, where, "--configfile", path, *arguments, environment=hidden)

    return run


@pytest.mark.caffe
@pytest.mark.parametrize(
    ("snakefile", "config", "rules"),
    [
        (
            "Snakefile",
            "tiny.yaml",
            "importance, magnification_predict, patch_predict, predict, predict_step, recalibrate, surgery, train, "
            "train_compared",
        ),
        ("Snakefile_kone", "kone_tiny.yaml", "find_rate, fine_tune, train_from_fillers"),
    ],
)
def test_without_a_card_nothing_is_begun(
    in_gpu_mode: Callable[..., "subprocess.CompletedProcess[str]"],
    tmp_path: Path,
    snakefile: str,
    config: str,
    rules: str,
) -> None:
    for quiet in ((), ("--quiet", "all")):
        done = in_gpu_mode(snakefile, config, *quiet)
        assert done.returncode == 1
        (said,) = (line for line in done.stderr.splitlines() if line.startswith("workflow: "))
        assert said.startswith(f"workflow: {rules} would run on a card (solver-mode: GPU), but ")
        assert said.endswith(", or say solver-mode: CPU in the config")
        assert not (tmp_path / "runs").exists()
    # A plan may be made on any machine.
    assert in_gpu_mode(snakefile, config, "--dry-run").returncode == 0


def test_what_needs_no_card_runs_without_one(
    in_gpu_mode: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    done = in_gpu_mode("Snakefile", "tiny.yaml", "--", "runs/tiny/fold1/100X/manifest.csv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/tiny/fold1/100X/manifest.csv").is_file()


def test_where_jobs_run_elsewhere_nothing_is_asked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(root / "workflow")
    from cards import stop_without_cards

    stop_without_cards(SimpleNamespace(non_local_exec=True))


def test_jobs_side_by_side_have_different_cards(
    root: Path, tmp_path: Path, stand_in: Callable[..., dict[str, str]]
) -> None:
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(TWO_JOBS.format(root=root, folder=tmp_path))
    environment = {**stand_in(cards=2), "TMPDIR": str(tmp_path)}
    done = snakemake(tmp_path, snakefile, "--resources", "gpu=2", environment=environment)
    assert done.returncode == 0, done.stderr
    assert sorted((tmp_path / name).read_text() for name in "ab") == ["0\n", "1\n"]


def test_two_cards_a_training_as_in_the_paper(root: Path, tmp_path: Path) -> None:
    config = root / "workflow/config/bach_paper.yaml"
    arguments = ["--configfile", config, "--dry-run", "--printshellcmds", "--config", f"slides={tmp_path}", "cards=2"]
    done = snakemake(tmp_path, root / "workflow/Snakefile", *arguments, environment=os.environ)
    assert done.returncode == 0, done.stderr
    jobs = [job for job in done.stdout.split("\nrule ") if "before/global" in job and "bag1/" in job]
    by_rule = {job.partition(":")[0]: job for job in jobs}
    assert "--cards 2 " in by_rule["network"] and "--sep native" in by_rule["network"]
    assert "gpu=2" in by_rule["train"] and "--gpu 0,1 " in by_rule["train"]
    assert "tools/on_card.py --cards 2 " in by_rule["train"]
    # What is not a training takes one.
    assert "gpu=1" in by_rule["predict"] and "tools/on_card.py --cards 1 " in by_rule["predict"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("cards=2", "cards: 2: a Python layer does not run on several cards: say sep: native"),
        ("cards=none", "cards: none: give the number of cards that one training takes"),
        ("cards=0", "cards: 0: give the number of cards that one training takes"),
    ],
)
def test_cards_that_do_not_do(
    in_gpu_mode: Callable[..., "subprocess.CompletedProcess[str]"], settings: str, complaint: str
) -> None:
    done = in_gpu_mode("Snakefile", "tiny.yaml", "--dry-run", "--config", settings)
    assert done.returncode == 1 and f"workflow: {complaint}" in done.stderr.splitlines()
