"""What benchmarks share: a folder of real-sized images, and the output and time of a program that must succeed."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from data_prep.synthetic import breakhis as synthetic
from pyhisto.errors import InputError
from pyhisto.manifest import Row, write_manifest

ROOT = Path(__file__).resolve().parent.parent


def make_images(folder: Path, source: Path | None, count: int) -> list[Row]:
    """Write `count` PNG under `folder`/images, and `folder`/manifest.csv: all training, classes in turn.

    They are the PNG under `source` over and over, or, without one, synthetic images of BreaKHis's size.
    """
    (folder / "images").mkdir()
    if source is not None:
        files = [path.read_bytes() for path in sorted(source.rglob("*.png"))]
        if not files:
            raise InputError(f"{source}: holds no PNG")
    else:
        samples = synthetic.make_samples(synthetic.make_patients(12, 0), 2, 100)
        files = [cv2.imencode(".png", synthetic.draw(sample, 0))[1].tobytes() for sample in samples]
    rows = []
    for index in range(count):
        rows.append(Row(f"{index:05d}.png", index % 2, patient=f"p{index}", split="train"))
        (folder / "images" / rows[-1].path).write_bytes(files[index % len(files)])
    write_manifest(folder / "manifest.csv", rows)
    os.sync()  # or the first program that syncs its own output waits for these, too
    return rows


def output(command: Sequence[object], environment: Mapping[str, str] | None = None) -> str:
    """What a program that must succeed prints."""
    done = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise InputError(f"{command[0]}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def seconds(command: Sequence[object]) -> float:
    """Wall time of a program that must succeed."""
    began = time.perf_counter()
    output(command)
    return time.perf_counter() - began


def build_command(folder: Path, out: str, workers: int, *options: object) -> list[object]:
    """Our program over the images of `make_images`."""
    program = [sys.executable, ROOT / "data_prep/build_lmdb.py", "--manifest", folder / "manifest.csv"]
    return [*program, "--root", folder / "images", "--out", folder / out, "--workers", workers, *options]
