"""The configs that a paper prints: what their jobs would do, of a dry run. No data need be there."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from study import Study

from data_prep.datasets.options import add_manifest_options, split_data
from pyhisto.cli import Parser
from pyhisto.hierarchy.systems import parse_system
from pyhisto.manifest import Row, write_manifest
from pyhisto.study.paper.contradictions import CONTRADICTIONS


def commands(root: Path, folder: Path, snakefile: str, name: str, *arguments: str) -> list[list[str]]:
    """What a config's jobs would run, each as a shell splits it; all of them, or those that make a file."""
    command = [
        sys.executable, "-m", "snakemake", "-n", "-p", "-s", str(root / "workflow" / snakefile), "--cores", "1",
        "--configfile", str(root / "workflow" / "config" / f"{name}.yaml"), "--nolock", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.strip().removeprefix("Shell command: ") for line in done.stdout.splitlines()]
    return [shlex.split(line) for line in lines if sys.executable in line]


def of(program: str, found: list[list[str]]) -> list[list[str]]:
    """The commands that run a program."""
    return [words for words in found if program in words]


def value(words: list[str], option: str) -> str:
    """What an option is given."""
    return words[words.index(option) + 1]


@pytest.fixture
def kone(root: Path, tmp_path: Path) -> list[list[str]]:
    (tmp_path / "resnext.safetensors").touch()
    settings = ["--config", "images=both", "pretrained=resnext.safetensors"]
    return commands(root, tmp_path, "Snakefile_kone", "kone_bach", *settings)


def test_kone_s_networks_learn_as_printed(kone: list[list[str]]) -> None:
    built, tuned = of("data_prep/build_lmdb.py", kone), of("tools/train_phases.py", kone)
    assert built and {value(words, "--augmentation") for words in built} == {"kone2018"}
    # Four networks of Carci and of NorBe, three of InvIs, the flat one; the snapshot is no training.
    assert len(tuned) == 3 + 4 + 3 + 1
    for words in tuned:
        head, cycles, epochs, mult = (
            int(value(words, f"--{name}")) for name in ("head-epochs", "cycles", "cycle-epochs", "cycle-mult")
        )
        assert head + sum(epochs * mult**cycle for cycle in range(cycles)) == 34  # fewer than 60
    # The snapshot is the one that did best in validation.
    (best,) = of("tools/best_snapshot.py", kone)
    assert value(best, "--metrics").endswith("Carci/init/training/fine/metrics.jsonl")


def test_kone_s_ensemble_is_in_the_config(root: Path, kone: list[list[str]]) -> None:
    """Four networks of Carci, three of NorBe, three of InvIs, and the programs that make the report are given it."""
    systems = yaml.safe_load((root / "workflow/config/kone_bach.yaml").read_text())["systems"]
    members = parse_system("final", [f"{node}={models}" for node, models in systems["final"].items()]).members
    assert {node: len(models) for node, models in members.items()} == {"Carci": 4, "NorBe": 3, "InvIs": 3}
    reported = of("tools/evaluate_tree.py", kone)
    assert reported and all("final" in words for words in reported)


def test_eva_s_task_has_four_classes_from_the_split_to_the_report(root: Path, tmp_path: Path) -> None:
    found = commands(root, tmp_path, "Snakefile", "breakhis_eva", "--config", "breakhis-eva=BreaKHis_v1")
    (manifest,) = of("data_prep/make_manifest.py", found)
    assert value(manifest, "--dataset") == "breakhis-eva"
    networks = of("prototxt/generate.py", found)
    assert len(networks) == 2 and {value(words, "--num-classes") for words in networks} == {"4"}
    # Its second part is for the test alone: what is shown while networks learn are training images.
    assert all(value(words, "--val-lmdb").endswith("/monitor") for words in networks)
    assert any('"classes": ["TA", "MC", "F", "DC"]' in word for words in found for word in words)


def test_what_stands_in_for_17_is_called_so(root: Path, tmp_path: Path) -> None:
    """Its widths are not printed: the network is Levi & Hassner's, in README, in tables and figures, in the report."""
    method = "runs/tiny/fold1/100X/compared/bayramoglu2016_multi/method.json"
    (words,) = of("tools/write_facts.py", commands(root, tmp_path, "Snakefile", "tiny", method))
    assert json.loads(value(words, "--facts"))["label"].startswith("Levi & Hassner 2015, for [17], multi task")
    (said,) = (each.text for each in CONTRADICTIONS if "[17]" in each.heading)
    assert "Levi & Hassner 2015, which has 11.4 M and 1419 M" in said
    assert "Levi & Hassner's stands in" in (root / "README.md").read_text(encoding="utf-8")


def bag_of(root: Path, folder: Path, name: str, bag: int) -> list[Row]:
    """What make_manifest.py makes of a config's 10,270 samples, by the options that the workflow gives it."""
    config = yaml.safe_load((root / "workflow/config" / f"{name}.yaml").read_text())
    counts = {
        slide: int(number) for slide, number in (word.split("=") for word in config["data"]["samples"]["of-slides"])
    }
    others = dict.fromkeys({f"A{number:02}" for number in range(1, 11)} - counts.keys(), 1525)
    every = sorted({**counts, **others}.items())
    rows = [Row(f"{slide}/{number:04}.png", number % 2, slide=slide) for slide, size in every for number in range(size)]
    assert len(rows) == config["data"]["samples"]["total"] == 10_270
    words = Study(config).splits({"bag": bag})
    manifest = folder / "manifest.csv"
    write_manifest(manifest, rows)
    words[words.index("--manifest") + 1] = str(manifest)
    parser = Parser()
    add_manifest_options(parser)
    return split_data(parser.parse_args(words)).rows


@pytest.mark.parametrize("bag", [1, 5])
def test_bach_s_two_protocols(root: Path, tmp_path: Path, bag: int) -> None:
    """The same samples, once as the authors' lists have them, once with slides kept apart."""
    paper, by_slide = (bag_of(root, tmp_path, name, bag) for name in ("bach_paper", "bach_by_slide"))
    for rows in (paper, by_slide):
        parts = {split: [row for row in rows if row.split == split] for split in ("train", "val", "test")}
        assert {split: len(part) for split, part in parts.items()} == {"train": 6100, "val": 1525, "test": 2645}
    tested = [[row for row in rows if row.split == "test"] for rows in (paper, by_slide)]
    assert {row.path for row in tested[0]} == {row.path for row in tested[1]}
    # 12 made-up patients a slide; or five slides.
    assert [len({row.patient or row.slide for row in rows}) for rows in tested] == [60, 5]
    slides = [
        [{row.path.split("/")[0] for row in rows if row.split == split} for split in ("train", "val")]
        for rows in (paper, by_slide)
    ]
    assert len(slides[0][0] & slides[0][1]) == 5 and not slides[1][0] & slides[1][1]
