"""README's and docs' commands, as they stand and in their order, on real images and a small network."""

import re
import shutil
import subprocess
import sys
from html import unescape
from importlib import import_module
from pathlib import Path

import pytest

from pyhisto.proto import NetParameter, parse_text
from pyhisto.verbs import find_verbs
from tests.documents import commands, documents, prose, run_commands, with_settings
from tests.networks import IMAGE_NET, save

SMALL = {
    "SIZE": "64",
    "WIDTH": "0.25",
    "ITERATIONS": "20",
    "SHAPE": '"--depths 1 2 1 1 --width 4 --groups 2 --group-width 2"',
    "CONFIG": "short",
}
"""In the place of the settings in the documents (NAME=value), and all of them that is changed here."""

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


def test_every_document_with_commands_is_run_by_a_test_below(root: Path) -> None:
    names = [str(path.relative_to(root)) for path in documents(root)]
    assert names == ["CONTRIBUTING.md", "README.md", "docs/prune-your-network.md", "docs/reproduce.md"]
    indented = re.compile(r"^    (?:pyhisto|python|make|pip|snakemake) ", re.MULTILINE)
    for path in [*root.glob("*.md"), *root.glob("docs/*.md")]:
        assert not indented.search(prose(path)), f"{path.name}: commands outside of a bash block"


def test_readme_can_be_read_in_minutes(root: Path) -> None:
    words = re.findall(r"[A-Za-z0-9][^\s|]*", (root / "README.md").read_text(encoding="utf-8"))
    assert 700 <= len(words) <= 900


def test_links_lead_somewhere(root: Path) -> None:
    for path in [*root.glob("*.md"), *root.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", path.read_text(encoding="utf-8")):
            assert (path.parent / "".join(target)).exists(), f"{path.name}: {target}"


def test_settings_are_all_that_is_changed(root: Path) -> None:
    script = "\n".join(commands(root / "docs/reproduce.md"))
    pairs = zip(script.splitlines(), with_settings(script, SMALL).splitlines(), strict=True)
    changed = [one for one, other in pairs if one != other]
    assert [re.findall("^[A-Z]+", line) for line in changed] == [["CONFIG"], ["SIZE"], ["SHAPE"]]


def test_programs_and_options_that_documents_name_are_there(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verbs = find_verbs()
    text = (root / "docs/programs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| .* \| (.*) \| .* \|$", text, re.MULTILINE)
    assert sorted(verb for verb, _ in rows) == sorted(verbs)
    for verb, options in rows:
        monkeypatch.setattr(sys, "argv", [verb, *(["inception-sep"] if verb == "generate" else []), "--help"])
        with pytest.raises(SystemExit):
            import_module(verbs[verb]).main()
        listed = capsys.readouterr().out
        absent = [option for option in re.findall(r"--[a-z-]+", options) if option not in listed]
        assert not absent, f"docs/programs.md: {verb} has no {absent[0]}"
    for path in documents(root):
        named = {verb for line in "\n".join(commands(path)).splitlines() for verb in re.findall(r"pyhisto (\S+)", line)}
        named |= set(re.findall(r"`pyhisto ([a-z][a-z-]+)", prose(path)))
        assert named <= verbs.keys(), f"{path.name}: {named - verbs.keys()}"


def reader(root: Path, shared_data: Path, folder: Path) -> None:
    """What a reader's folder has: what a checkout has, and the data and weights that are the reader's own."""
    for name in ("tools", "data_prep", "prototxt", ".venv"):
        (folder / name).symlink_to(root / name)
    shutil.copytree(root / "workflow", folder / "workflow")
    (folder / "workflow/config/short.yaml").write_text(CONFIG)
    (folder / "BreaKHis_v1").symlink_to(shared_data / "BreaKHis_v1")
    (folder / "folds").symlink_to(shared_data / "breakhis_folds")
    (folder / "resnext50_32x4d.safetensors").symlink_to(PUBLISHED)


@pytest.mark.caffe
@pytest.mark.slow
def test_reproduce_and_then_prune_what_was_trained(root: Path, shared_data: Path, tmp_path: Path) -> None:
    reader(root, shared_data, tmp_path)
    script = with_settings("\n".join(commands(root / "docs/reproduce.md")), SMALL)
    run_commands(script, tmp_path, root)
    for made in (
        "results/tables/evaluation.csv", "importance.json", "pruned/snapshot_iter_20.caffemodel",
        "phases/fine/model.caffemodel", "runs/short/report.html",
    ):  # fmt: skip
        assert (tmp_path / made).stat().st_size > 0
    report = (tmp_path / "runs/short/report.html").read_text(encoding="utf-8")
    assert "1,884 of the data set's 2,081 images at 100X are missing" in unescape(report)

    # The network of the global branch, as somebody's who has no checkout.
    mine, net = tmp_path / "mine", tmp_path / "net" / "global"
    mine.mkdir()
    for name in ("deploy.prototxt", "train_val.prototxt", "solver.prototxt"):
        shutil.copyfile(net / name, mine / name)
    shutil.copyfile(net / "snapshot_iter_20.caffemodel", mine / "net.caffemodel")
    shutil.copyfile(net / "snapshot_iter_20.solverstate", mine / "net.solverstate")
    (mine / "lmdb").symlink_to(tmp_path / "lmdb")
    install, *others = commands(root / "docs/prune-your-network.md")
    assert install.startswith("pip install ")
    run_commands("\n".join(others), mine, root)
    for made in (
        "smaller/plan.json", "comparison/widths.png", "retrained/net.solverstate", "chip/deploy.json", "smaller.onnx",
    ):  # fmt: skip
        assert (mine / made).stat().st_size > 0


def test_the_installation_is_the_same_in_both_documents(root: Path) -> None:
    """So that it need be run once, with README."""
    assert commands(root / "docs/prune-your-network.md")[0] in commands(root / "README.md")[1]


@pytest.mark.caffe
@pytest.mark.slow
def test_readme_for_researchers_and_students(root: Path, shared_data: Path, tmp_path: Path) -> None:
    reader(root, shared_data, tmp_path)
    researcher, _, student = commands(root / "README.md")
    run_commands(with_settings(researcher, {"CONFIG": "short"}), tmp_path, root)
    assert (tmp_path / "runs/short/report.html").stat().st_size > 0
    assert "3.770 M weights, 2920.3 M FLOPs" in run_commands(student, tmp_path, root)


@pytest.mark.slow
def test_readme_for_owners_of_a_model(root: Path, tmp_path: Path) -> None:
    """In an environment of its own, which has nothing."""
    for name in subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.split("\0"):
        if (root / name).is_file() and not name.startswith("tests/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, tmp_path / name)
    save(tmp_path, parse_text(IMAGE_NET, NetParameter, tmp_path))
    (tmp_path / "deploy.caffemodel").rename(tmp_path / "net.caffemodel")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "own"], check=True)
    _, owner, _ = commands(root / "README.md")
    said = run_commands(owner, tmp_path, root, tmp_path / "own" / "bin")
    assert "Proof (opencv; Caffe is not installed): the largest difference" in said
    for made in ("smaller/plan.json", "comparison/widths.png", "smaller.onnx"):
        assert (tmp_path / made).stat().st_size > 0


def test_contributing_names_tests_that_are_there(root: Path, tmp_path: Path) -> None:
    for script in commands(root / "CONTRIBUTING.md"):
        for line in script.splitlines():
            for word in re.findall(r"(?:tests|docs|tools|pyhisto)/\S+", line):
                assert (root / word.partition("::")[0]).exists(), word
            if line.startswith("make "):
                run_commands(line.partition("#")[0], tmp_path, root)
            elif "pytest" in line:
                run_commands(f"cd {root}\n{line} --collect-only -q", tmp_path, root)
