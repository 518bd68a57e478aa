#!/usr/bin/env python3
"""A slide diagnosed with `kill -9` in between: is what is written the same, and how much memory does it take.

tools/diagnose.py runs once undisturbed, and its memory is watched: the resident memory of all its processes, added up,
so that what they share counts for each. Then it runs again, is killed some times, each time when it has got further,
and is run to its end: every file has to have the same bytes.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.lmdb_images import ROOT
from benchmarks.made_slide import write_slide
from pyhisto.cli import Parser, natural, positive, run
from pyhisto.errors import InputError

ALLOWED = 1500
"""MB."""


def main() -> None:
    """Run, kill, compare."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, metavar="B", help="default: the one that ships")
    parser.add_argument("--slide", type=Path, metavar="F", help="default: a made one of 40000 x 30000")
    parser.add_argument("--workers", type=positive, default=2, help="default %(default)s")
    parser.add_argument("--kills", type=natural, default=3, help="default %(default)s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        slide = args.slide or write_slide(folder / "made.tif", 40_000, 30_000)
        command = [sys.executable, ROOT / "tools/diagnose.py", slide, "--workers", args.workers, "--out"]
        options = ["--bundle", args.bundle] if args.bundle else []
        most = [0.0, 0.0]

        def watch(process: psutil.Process) -> bool:
            sizes = [one.memory_info().rss / 1e6 for one in tree(process)]
            most[:] = max(most[0], sum(sizes)), max(most[1], *sizes)
            return False

        began = time.perf_counter()
        until([*command, folder / "whole", *options], watch)
        print(f"undisturbed: {time.perf_counter() - began:.0f} s; {most[0]:.0f} MB at most in all processes together "
              f"({ALLOWED} allowed), {most[1]:.0f} in the largest", flush=True)  # fmt: skip
        rows = folder / f"killed/.{slide.stem}.progress/rows.f32"
        tiles = len((folder / "whole" / slide.stem / "tiles.csv").read_text(encoding="utf-8").splitlines()) - 1
        for number in range(args.kills):
            share = (number + 1) / (args.kills + 1)
            until([*command, folder / "killed", *options], lambda _: done(rows) >= share * 8 * tiles)  # noqa: B023
            print(f"killed with {done(rows) / (8 * tiles):.0%} of the tiles done", flush=True)
        until([*command, folder / "killed", *options], lambda _: False)
        compare(folder / "whole" / slide.stem, folder / "killed" / slide.stem)


def until(command: list[object], is_over: Callable[[psutil.Process], bool]) -> None:
    """Run a program to its end, or kill it and all below it as soon as `is_over`, which is asked again and again."""
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        process = psutil.Process(started.pid)
        while started.poll() is None:
            with suppress(psutil.NoSuchProcess):
                if is_over(process):
                    for one in tree(process):
                        with suppress(psutil.NoSuchProcess):
                            one.kill()
                    return
            time.sleep(0.02)
    if started.returncode:
        raise InputError(f"{command[1]}: ended with {started.returncode}")


def tree(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    return [process, *process.children(recursive=True)]


def done(rows: Path) -> int:
    """Bytes of finished tiles; a tile of two classes has 8."""
    return rows.stat().st_size if rows.is_file() else 0


def compare(whole: Path, killed: Path) -> None:
    """Raise InputError unless the folders hold the same files."""
    names = sorted(file.name for file in whole.iterdir())
    if names != sorted(file.name for file in killed.iterdir()):
        raise InputError(f"{killed}: holds other files than {whole}")
    for name in names:
        if (whole / name).read_bytes() != (killed / name).read_bytes():
            raise InputError(f"{killed / name}: not what the undisturbed run wrote")
    print(f"the same bytes: {', '.join(names)}")


if __name__ == "__main__":
    run(main)
