"""breakhis_tables and breakhis_figures on a made-up data set of BreaKHis's full shape, with a tiny network.

7,909 images of 70 x 46 pixels under the official names, of its 82 patients, in its five folds. Both configs run as they
are, but for the size of their jobs (`shrink`). Prints time, the memory of Snakemake itself and of the largest process,
and what the tables and figures hold. With --kill-after each run is killed once (kill -9, Snakemake and its jobs), and
the same command ends it. With --asleep jobs make their files and do nothing: what is left is the orchestration.

    PYTHONPATH=. nice python benchmarks/full_shape.py --folds breakhis_folds --out full_shape
"""

import argparse
import csv
import math
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import yaml

from data_prep.datasets import breakhis
from data_prep.synthetic import breakhis as synthetic
from data_prep.synthetic.tissue import HEIGHT, WIDTH, Patient
from pyhisto.files import whole_folder

ROOT = Path(__file__).resolve().parent.parent
ASLEEP = ROOT / "tests" / "workflow" / "asleep.smk"
CONFIGS = ("breakhis_tables", "breakhis_figures")
TREE = "BreaKHis_v1"
SIDES = (70, 46)
"""Width and height of an image, pixels: a tenth of BreaKHis's."""
SOLVER = {
    "solver-mode": "CPU",
    "batch-size": 5,
    "max-iter": 10,
    "stepsize": 10,
    "test-interval": 10,
    "display": 5,
    "snapshot": 5,
}
TILES = [(top, left) for top in range(0, HEIGHT, SIDES[1]) for left in range(0, WIDTH, SIDES[0])]


def main() -> None:
    """Make the data, run the configs, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=Path, required=True, metavar="DIR", help="dsfold1.txt to dsfold5.txt")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="BreaKHis_v1, runs/breakhis_tables, ...")
    parser.add_argument("--configs", nargs="+", choices=CONFIGS, default=CONFIGS)
    parser.add_argument("--kill-after", type=float, metavar="S", help="kill -9 each run once, after so many seconds")
    parser.add_argument("--asleep", action="store_true", help="jobs make their files, and do nothing else")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    if not args.asleep and not (args.out / TREE).exists():
        print(f"{make_images(breakhis.read_fold(args.folds, 1), args.out / TREE)} images made", flush=True)
    for name in ("tools", "data_prep", "prototxt"):
        if not (args.out / name).is_symlink():
            (args.out / name).symlink_to(ROOT / name)
    for name in args.configs:
        command = snakemake(name, args.out, args.asleep)
        command += ["--config", f"breakhis={TREE}", f"folds_dir={args.folds.resolve()}"]
        if args.kill_after:
            print(f"{name}, killed: {watched(command, args.out, f'{name}.log', args.kill_after)}", flush=True)
        print(f"{name}: {watched(command, args.out, f'{name}.log')}", flush=True)
        if not args.asleep:
            print(*contents(args.out / "runs" / name), sep="\n", flush=True)


def snakemake(name: str, out: Path, asleep: bool) -> list[str]:
    """The command that runs a config, shrunk; or as it is, its jobs asleep, on two cards that need not be there."""
    config = ROOT / "workflow" / "config" / f"{name}.yaml"
    command = [sys.executable, "-m", "snakemake", "--cores", str(os.cpu_count()), "--nolock", "--quiet", "all"]
    if asleep:
        return [*command, "-s", str(ASLEEP), "--resources", "gpu=2", "--configfile", str(config)]
    small = out / f"{name}.yaml"
    small.write_text(yaml.safe_dump(shrink(yaml.safe_load(config.read_text())), sort_keys=False))
    return [*command, "-s", str(ROOT / "workflow" / "Snakefile"), "--configfile", small.name]


def shrink(config: dict[str, Any]) -> dict[str, Any]:
    """The config with each experiment, network and method of its own, each job of them small, on the CPU."""
    config["network"] |= {"width": 0.125, "input-size": 32, "batch-norm-fraction": 0.9}
    config["lmdb"] |= {"size": 32, "augment": 1}
    config["solver"] |= SOLVER
    for stage, settings in config["compressions"].items():
        config["compressions"][stage] = settings | ({"iterations": 10} if "iterations" in settings else {})
    if compared := config.get("compared"):
        compared["spanhol2015"]["descriptors"] = ["LBP", "GLCM"]
        compared["spanhol2016"] |= {"cuts": ["random"], "lmdb": {"stain": "none", "random-patches": 2}}
        compared["spanhol2016"]["solver"] |= SOLVER
        compared["bayramoglu2016"]["lmdb"] |= {"size": 64, "augment": 1}
        compared["bayramoglu2016"]["network"] = {"input-size": 64, "width": 0.05}
        compared["bayramoglu2016"]["solver"] |= SOLVER
    return config


def watched(command: Sequence[str], folder: Path, log: str, limit: float = math.inf) -> str:
    """Run a command in a folder, kill it and its children after `limit` seconds; its time and memory in words."""
    began, most, before = time.monotonic(), 0, resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(folder / log, "a", encoding="utf-8") as said:
        process = subprocess.Popen(command, cwd=folder, start_new_session=True, stdout=said, stderr=said)
    while process.poll() is None:
        if time.monotonic() - began > limit:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"after {limit:.0f} s"
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        most = max(most, int(found[1]) if found else 0)
        time.sleep(0.5)
    if process.returncode:
        sys.exit(f"Snakemake ended with exit status {process.returncode}; see {folder / log}")
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (
        f"{seconds:.0f} s, {processor:.0f} s of processor; "
        f"Snakemake {most / 1000:.0f} MB, the largest process so far {after.ru_maxrss / 1000:.0f} MB"
    )


def contents(results: Path) -> Iterator[str]:
    """What is in a results folder's tables and figures, a line each."""
    for table in sorted((results / "tables").glob("*.csv")):
        with open(table, encoding="utf-8", newline="") as file:
            heads, *rows = csv.reader(file)
        empty = Counter(head for row in rows for head, cell in zip(heads, row, strict=True) if not cell.strip())
        cells = ", ".join(f"{count} of {head}" for head, count in empty.items()) or "none"
        yield f"{table.name}: {len(rows)} rows of {len(heads)} columns; empty cells: {cells}"
    yield "figures: " + ", ".join(sorted(figure.stem for figure in (results / "figures").glob("*.png")))


def make_images(names: Iterable[str], tree: Path) -> int:
    """Write an image under each of BreaKHis's names, in its official folder; how many there are.

    An image is a tile of a picture that is drawn of its slide at its magnification.
    """
    pictures: dict[tuple[int, str, str, str], list[str]] = defaultdict(list)
    for name in sorted(names):
        row = breakhis.parse(Path(name))
        pictures[row.label, row.subtype, row.slide, row.magnification].append(name)
    patients = Patients()
    with whole_folder(tree) as made:
        for (label, subtype, slide, magnification), images in pictures.items():
            sample = synthetic.Sample(patients[label, subtype, slide], 0, int(magnification))
            picture, folder = synthetic.draw(sample, seed=0), (made / sample.path).parent
            folder.mkdir(parents=True)
            for image, (top, left) in zip(images, TILES, strict=False):
                cv2.imwrite(str(folder / image), picture[top : top + SIDES[1], left : left + SIDES[0]])
    return sum(map(len, pictures.values()))


class Patients(dict[tuple[int, str, str], Patient]):
    """(Class, type, slide) -> made-up tissue under that name, drawn when it is first asked for."""

    def __missing__(self, key: tuple[int, str, str]) -> Patient:
        label, subtype, slide = key
        drawn = synthetic.make_patients(2 * len(self) + 2, seed=0)[2 * len(self) + label]
        self[key] = replace(drawn, name=slide, subtype=subtype, folder=dict(synthetic.TYPES[label])[subtype])
        return self[key]


if __name__ == "__main__":
    main()
