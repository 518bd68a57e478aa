"""Every program with every kind of input, spoilt: one line and exit status 2, or success; nothing else, nothing left.

PYHISTO_FUZZ_CASES says how many cases (CI: 300); the seed decides them. `docs/measurements.md` has a table of 10,000.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from tests.fuzz.fuzz_changes import NASTY, spoil
from tests.fuzz.fuzz_corpus import make_corpus
from tests.fuzz.fuzz_programs import PROGRAMS, Program
from tests.fuzz.fuzz_server import ROOT

CASES = int(os.environ.get("PYHISTO_FUZZ_CASES", "300"))
SEED = int(os.environ.get("PYHISTO_FUZZ_SEED", "0"))
SERVERS = int(os.environ.get("PYHISTO_FUZZ_SERVERS", str(os.cpu_count() or 1)))
MOST_MEMORY = 2e9
HANG = float(os.environ.get("PYHISTO_FUZZ_HANG", "60"))
"""Seconds on spoilt input that count as a hang: 20 on a machine of its own, more beside other tests."""
STATUSES = {"tools/lint.py": {0, 1, 2}, "data_prep/check_data.py": {0, 1, 2}, "tools/deploy.py": {0, 1, 2}}
FAULTS = ("traceback", "signal", "other status", "hang", "memory", "half-written", "not one line")

pytestmark = [pytest.mark.slow, pytest.mark.caffe]


@dataclass(frozen=True)
class Case:
    """One run of a program on spoilt input."""

    number: int
    program: Program
    arguments: list[str]
    spoilt: str
    folder: Path


class Server:
    """A `fuzz_server`."""

    def __init__(self) -> None:
        command = [sys.executable, str(ROOT / "tests" / "fuzz" / "fuzz_server.py")]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        self._answer()

    def run(self, case: Case, seconds: float = HANG) -> dict[str, Any]:
        """Run a case to its end, or for so many seconds."""
        request = {
            "program": str(ROOT / case.program.program), "arguments": case.arguments, "folder": str(case.folder),
            "seconds": seconds,
        }  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def make_case(corpus: Path, folder: Path, number: int) -> Case:
    """The case of a number: a program, its input in a folder of its own, and one file or argument of it spoilt."""
    rng = random.Random(f"{SEED} {number}")
    program = rng.choices(PROGRAMS, [program.weight for program in PROGRAMS])[0]
    place = folder / str(number)
    link(corpus, place, program)
    arguments = program.words
    numbers = [index for index, word in enumerate(arguments) if word.replace(".", "").isdigit()]
    if numbers and rng.random() < 0.05:
        index = rng.choice(numbers)
        arguments[index] = rng.choice(
            [word for word in NASTY if word.count("9") < 10 and "\0" not in word and word != "1_000"]
        )
        return Case(number, program, arguments, f"{arguments[index - 1]} {arguments[index][:20]!r}", place)
    files = sorted({path for pattern in program.reads for path in place.glob(pattern) if path.is_file()})
    file = rng.choice(files)
    how = spoil(file, rng)
    return Case(number, program, arguments, f"{file.relative_to(place)}: {how}", place)


def link(corpus: Path, place: Path, program: Program) -> None:
    """Make a folder with what the program reads of the corpus, as links."""
    place.mkdir()
    named = {word.split("/")[0] for word in (*program.words, *program.reads)}
    for path in corpus.iterdir():
        if path.name in named:
            if path.is_dir():
                shutil.copytree(path, place / path.name, copy_function=os.link)
            else:
                os.link(path, place / path.name)


def faults(case: Case, result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with how a program ended: (kind, detail)."""
    said = (case.folder / "stderr").read_text(encoding="utf-8", errors="replace")
    code = result["code"]
    if result["hung"]:
        yield "hang", f"{result['seconds']:.0f} s"
        return
    if "Traceback (most recent call last)" in said or "Exception ignored" in said:
        yield "traceback", said.strip().splitlines()[-1][:300]
    if code < 0 or code > 128:
        yield "signal", f"{code} {said[-300:]}"
    elif code not in STATUSES.get(case.program.program, {0, 2}):
        yield "other status", f"{code} {said[-300:]}"
    if result["memory"] > MOST_MEMORY:
        yield "memory", f"{result['memory'] / 1e9:.1f} GB"
    if code == 2:
        last = said.replace("\r", "\n").strip("\n").split("\n")[-1]
        if not last.startswith(f"{Path(case.program.program).name}: ") and not last.startswith("generate.py "):
            yield "not one line", said[-300:]
    # A folder of a training keeps its .lock, which a Caffe that outlives its program may hold.
    left = [path.name for path in case.folder.rglob(".?*.*") if path.suffix in (".partial", ".lock")]
    if left:
        yield "half-written", f"left {left}"
    out = case.folder / case.program.out if case.program.out else None
    if out is not None and out.exists() != (code == 0):
        yield "half-written", f"exit status {code}, {out.name} {'is there' if out.exists() else 'is not there'}"


def test_spoilt_input_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """Prints how many runs each program had, how they ended, and what was wrong."""
    corpus, folder = tmp_path / "corpus", tmp_path / "cases"
    make_corpus(corpus)
    folder.mkdir()
    servers: SimpleQueue[Server] = SimpleQueue()
    every = [Server() for _ in range(SERVERS)]
    for server in every:
        servers.put(server)

    def run(number: int) -> tuple[Case, dict[str, Any], list[tuple[str, str]]]:
        case, server = make_case(corpus, folder, number), servers.get()
        try:
            result = server.run(case)
        finally:
            servers.put(server)
        found = list(faults(case, result))
        shutil.rmtree(case.folder)
        return case, result, found

    for number, program in enumerate(PROGRAMS):
        place = folder / f"whole{number}"
        link(corpus, place, program)
        result = every[0].run(Case(number, program, program.words, "", place), 2 * HANG)
        expected = 1 if program.program == "tools/lint.py" else 0  # it finds a trap or two
        assert result["code"] == expected, (program, (place / "stderr").read_text())

    ends, wrong = Counter[tuple[str, int]](), Counter[tuple[str, str]]()
    slowest, largest, details = 0.0, 0, list[str]()
    with ThreadPoolExecutor(SERVERS) as pool:
        for case, result, found in pool.map(run, range(CASES)):
            name = case.program.program
            ends[name, result["code"]] += 1
            slowest, largest = max(slowest, result["seconds"]), max(largest, result["memory"])
            for kind, detail in found:
                wrong[name, kind] += 1
                details.append(f"{case.number} {name} {case.spoilt}: {kind}: {detail}")
    for server in every:
        server.close()
    print(f"\n| program | cases | exit 0 | exit 2 | exit 1 | {' | '.join(FAULTS)} |\n|---{'|---' * (4 + len(FAULTS))}|")
    names = sorted({name for name, _ in ends})
    for label, group in [*((name, [name]) for name in names), ("all", names)]:
        runs = sum(count for (name, _), count in ends.items() if name in group)
        codes = [sum(ends[name, code] for name in group) for code in (0, 2, 1)]
        counts = [sum(wrong[name, kind] for name in group) for kind in FAULTS]
        print(f"| {' | '.join(map(str, (label, runs, *codes, *counts)))} |")
    print(f"{CASES} cases of seed {SEED}; the slowest {slowest:.1f} s, the largest {largest / 1e9:.2f} GB")
    print(*details, sep="\n")
    assert not details
