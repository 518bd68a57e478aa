"""Cores and cards: the workflow's jobs, asleep (asleep.smk), take no more of them than they need, and share them."""

import csv
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ON_CARDS = {
    *("train", "train_compared", "importance", "recalibrate"),
    *("predict", "predict_step", "patch_predict", "magnification_predict"),
}
"""The rules whose jobs run networks."""


@dataclass(frozen=True)
class Job:
    """One that has run."""

    rule: str
    began: float
    ended: float
    threads: int
    cards: int


def run(root: Path, folder: Path, cores: int, cards: int, change: dict[str, object]) -> list[Job]:
    """breakhis_tables for two folds of 40X, changed, on a machine with so many cores and cards; its jobs."""
    folder.mkdir()
    config = yaml.safe_load((root / "workflow" / "config" / "breakhis_tables.yaml").read_text())
    changed = {**config, "folds": [1, 2], "magnifications": [40], **change}
    (folder / "config.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
    snakefile = root / "tests" / "workflow" / "asleep.smk"
    command = [
        sys.executable, "-m", "snakemake", "-s", str(snakefile), "--configfile", "config.yaml",
        "--cores", str(cores), "--resources", f"gpu={cards}", "--nolock", "--quiet", "all",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(folder / "asleep.tsv", encoding="utf-8", newline="") as file:
        return [Job(rule, float(a), float(b), int(t), int(c)) for rule, a, b, t, c in csv.reader(file, delimiter="\t")]


def span(jobs: list[Job]) -> float:
    """Seconds from the first job's begin to the last one's end."""
    return max(job.ended for job in jobs) - min(job.began for job in jobs)


def most_cards(jobs: list[Job]) -> int:
    """How many cards were in use at once."""
    events = sorted([(job.began, job.cards) for job in jobs] + [(job.ended, -job.cards) for job in jobs])
    used = most = 0
    for _, change in events:
        used += change
        most = max(most, used)
    return most


def test_only_what_measures_time_takes_the_whole_machine(root: Path, tmp_path: Path) -> None:
    jobs = run(root, tmp_path / "run", cores=6, cards=2, change={"asleep": {"lmdb": 1, "features": 1}})
    assert {job.rule for job in jobs if job.threads == 6} == {"times"}
    few = {"all_magnifications_lmdb", "features", "lmdb", "patch_lmdb"}
    assert {job.rule for job in jobs if job.threads == 3} == few
    assert {job.threads for job in jobs} == {1, 3, 6}
    # Jobs run beside those that take a while.
    slow = [job for job in jobs if job.rule in ("lmdb", "features")]
    assert all(any(a.began < b.ended and b.began < a.ended for b in jobs if b is not a) for a in slow)
    # Trainings and predictions take a card each, those of the compared methods, too.
    assert {job.rule for job in jobs if job.cards} == ON_CARDS
    assert {job.cards for job in jobs} == {0, 1}


@pytest.mark.slow
def test_two_cards_halve_the_time(root: Path, tmp_path: Path) -> None:
    # A training takes most of the time; what takes little is left out, as Snakemake's own time is not to count.
    change = {"compared": {}, "steps": False, "asleep": {"train": 8, "predict": 0.5, "importance": 0.5, "lmdb": 0.2}}
    one, two = (run(root, tmp_path / str(cards), 8, cards, change) for cards in (1, 2))
    assert (most_cards(one), most_cards(two)) == (1, 2)
    # 2 folds x 2 branches x before and after, trained and predicted; importance before, in the first fold after, too.
    assert sum(job.cards for job in one) == sum(job.cards for job in two) == 8 + 8 + 6
    print(f"{span(one):.1f} s with one card, {span(two):.1f} s with two")
    assert span(two) / span(one) < 0.6
