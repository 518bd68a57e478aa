"""A config's names and paths: refused in one line, or quoted, so that no shell ever reads them as commands."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SNAKEFILES = {"Snakefile": "tiny.yaml", "Snakefile_kone": "kone_tiny.yaml"}


def dry_run(
    root: Path, folder: Path, snakefile: str, change: dict[str, object], *arguments: str
) -> "subprocess.CompletedProcess[str]":
    config = yaml.safe_load((root / "workflow" / "config" / SNAKEFILES[snakefile]).read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(config | change))
    command = [
        sys.executable, "-m", "snakemake", "-n", "-p", "-s", str(root / "workflow" / snakefile),
        "--configfile", "config.yaml", "--cores", "1", "--nolock", *arguments,
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def commands(text: str) -> list[list[str]]:
    """The shell commands of a dry run, each as a shell splits it."""
    lines = [line.strip().removeprefix("Shell command: ") for line in text.splitlines()]
    return [shlex.split(line) for line in lines if sys.executable in line]


@pytest.mark.parametrize("snakefile", SNAKEFILES)
@pytest.mark.parametrize("name", ["hy;touch X;#", "$(touch X)", "`touch X`", "../up", "-x", "a'b", "{a}", "a\nb", ""])
def test_a_name_that_no_folder_can_have_is_refused(root: Path, tmp_path: Path, snakefile: str, name: str) -> None:
    done = dry_run(root, tmp_path, snakefile, {"name": name})
    said = [line for line in done.stderr.splitlines() if line.startswith("workflow: ")]
    assert done.returncode == 1
    assert len(said) == 1 and "cannot name a folder; give letters" in said[0], done.stderr
    assert not (tmp_path / "X").exists()


@pytest.mark.parametrize("snakefile", SNAKEFILES)
def test_a_name_with_a_space_stays_one_word_everywhere(root: Path, tmp_path: Path, snakefile: str) -> None:
    done = dry_run(root, tmp_path, snakefile, {"name": "my run"})
    assert done.returncode == 0, done.stderr
    found = commands(done.stdout + done.stderr)
    assert len(found) > 15
    words = [word for words in found for word in words if not word.startswith("{")]  # the config itself, as JSON
    with_run = [word for word in words if "run" in word.split("/")[0:2] or "my" in word]
    assert with_run and all("runs/my run" in word for word in with_run), with_run


def test_options_names_and_paths_are_quoted(root: Path, tmp_path: Path) -> None:
    slides = tmp_path / "sli des;touch X"
    slides.mkdir()
    change: dict[str, object] = {
        "data": {"slides": str(slides), "kfold": 2}, "lmdb": {"size": 32, "x;touch X;": "$(touch X)"}, "compared": {}
    }  # fmt: skip
    done = dry_run(root, tmp_path, "Snakefile", change)
    assert done.returncode == 0, done.stderr
    words = [word for line in commands(done.stdout + done.stderr) for word in line]
    assert {str(slides), "--x;touch X;", "$(touch X)"} <= set(words)


def test_a_folder_called_2020_is_a_path(root: Path, tmp_path: Path) -> None:
    data: dict[str, object] = {"data": {"breakhis": "x"}, "compared": {}}
    done = dry_run(root, tmp_path, "Snakefile", data, "--config", "folds_dir=2020", "breakhis=2019")
    assert done.returncode == 0, done.stderr
    manifest = next(line for line in commands(done.stdout + done.stderr) if "data_prep/make_manifest.py" in line)
    assert (manifest[manifest.index("--root") + 1], manifest[manifest.index("--folds") + 1]) == ("2019", "2020")


@pytest.mark.parametrize(
    "path", ["a b", "it's", 'say "x"', "x;touch X;", "$(touch X)", "`touch X`", "2020", "a: #b", "é"]
)
def test_make_passes_paths_as_they_are(root: Path, tmp_path: Path, path: str) -> None:
    """`make demo` with a Snakemake that writes down what it is given."""
    makefile = (root / "Makefile").read_text().replace("demo: setup", "demo:")
    (tmp_path / "Makefile").write_text(makefile)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    spy = tmp_path / ".venv" / "bin" / "snakemake"
    spy.write_text(f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open('given.json', 'w'))\n")
    spy.chmod(0o755)
    command = ["make", "demo", f"BREAKHIS={path}", f"FOLDS={path}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    given = json.loads((tmp_path / "given.json").read_text())
    config = dict(word.split("=", 1) for word in given[given.index("--config") + 1 :])
    assert {name: yaml.safe_load(value) for name, value in config.items()} == {"breakhis": path, "folds_dir": path}
    assert not (tmp_path / "X").exists()


def test_a_stage_from_weights_is_trained_as_the_first_is(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other weights").touch()
    stage = {"pcam": {"method": "training from weights", "weights": "other weights", "solver": {"base-lr": 0.003}}}
    change: dict[str, object] = {"compressions": stage, "compared": {}, "bundle": {}}
    done = dry_run(root, tmp_path, "Snakefile", change)
    assert done.returncode == 0, done.stderr
    found = commands(done.stdout + done.stderr)
    networks = {words[-1]: words[:-1] for words in found if "prototxt/generate.py" in words}
    first, other = (networks[f"runs/tiny/fold1/100X/{stage}/global/net"] for stage in ("before", "pcam"))
    rate = first.index("--base-lr") + 1
    assert (first[rate], other[rate]) == ("0.01", "0.003")  # its own, and all else as the first
    assert first[:rate] + first[rate + 1 :] == other[:rate] + other[rate + 1 :]
    starts = [words for words in found if "tools/train.py" in words and "--weights" in words]
    assert len(starts) == 2  # both branches of the stage, and none of the first
    assert all(words[words.index("--weights") + 1] == "other weights" for words in starts)
