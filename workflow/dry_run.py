"""The jobs that Snakemake would run now, by its dry run."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyhisto.errors import InputError

SNAKEFILE = Path(__file__).resolve().parent / "Snakefile"
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", re.MULTILINE)
WILDCARDS = re.compile(r"^    wildcards: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """One job: its rule, and what the rule's wildcards stand for."""

    rule: str
    wildcards: Mapping[str, str]


def jobs_left(configfile: Path, overrides: Sequence[str]) -> list[Job]:
    """All of them; `overrides` are words of --config. Raises InputError if Snakemake refuses the config."""
    command = [sys.executable, "-m", "snakemake", "-n", "-s", str(SNAKEFILE), "--nolock"]
    command += ["--configfile", str(configfile), "--cores", "1"]
    command += ["--config", *overrides] if overrides else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{configfile}: Snakemake refuses it: {last_line(done.stderr or done.stdout)}")
    return [Job(rule, _wildcards(text)) for rule, text in JOB.findall(done.stdout) if rule != "all"]


def last_line(text: str) -> str:
    """What a program said last."""
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def _wildcards(job: str) -> dict[str, str]:
    found = WILDCARDS.search(job)
    return dict(word.split("=", 1) for word in found[1].split(", ")) if found else {}
