"""The jobs that show the steps of prunings: of every loop, in both branches, before the LMDB goes."""

import re
import subprocess
import sys
from pathlib import Path

import yaml


def jobs(root: Path, folder: Path, **change: object) -> list[tuple[str, dict[str, str]]]:
    """Rule and wildcards of each job of tiny.yaml, changed."""
    config = yaml.safe_load((root / "workflow" / "config" / "tiny.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "compared": {}, "bundle": {}, **change}))
    command = [
        sys.executable, "-m", "snakemake", "-n", "-s", str(root / "workflow" / "Snakefile"),
        "--configfile", "config.yaml", "--cores", "1", "--nolock",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^rule (\w+):\n(?:    .*\n)*?    wildcards: (.*)\n", done.stdout, re.MULTILINE)
    return [(rule, dict(word.split("=", 1) for word in words.split(", "))) for rule, words in found]


PRUNINGS = {
    "twice": {"criterion": "sep", "ratio": 0.8, "loops": 2},
    "drawn": {"criterion": "random", "ratio": 0.5, "loops": 1},
    "sparse": {"method": "DNS", "of": "drawn", "sparsity": 0.5, "iterations": 10},
}


def test_every_step_of_every_loop_in_both_branches(root: Path, tmp_path: Path) -> None:
    found = jobs(root, tmp_path, compressions=PRUNINGS)
    steps = {(w["stage"], w["branch"], w["step"]) for rule, w in found if rule == "predict_step"}
    assert steps == {
        (stage, branch, step)
        for stage in ("twice", "loops/twice_1", "drawn")
        for branch in ("global", "local")
        for step in ("masked", "cut", "recalibrated")
    }
    # The accuracy after the first loop's training, too, which is no stage of its own.
    assert ("loops/twice_1", "local") in {(w["stage"], w["branch"]) for rule, w in found if rule == "predict"}


def test_a_config_may_do_without(root: Path, tmp_path: Path) -> None:
    found = jobs(root, tmp_path, compressions=PRUNINGS, steps=False)
    assert not {"mask", "recalibrate", "predict_step"} & {rule for rule, _ in found}
    assert "loops/twice_1" not in {w["stage"] for rule, w in found if rule == "predict"}
