#!/usr/bin/env python3
"""How many jobs a config has left, and how long they take and what they leave on this machine, before anything runs.

Jobs come from Snakemake's dry run. The network is timed with `caffe time` on this machine (on the CPU, or with --gpu),
one image goes through the preprocessing; the rest is arithmetic. A pruned network is faster than the one it came from:
the time is an upper bound of the steps listed. The other steps are named with their number, and not in it: mostly small
ones, but also those of the methods that the paper compares with.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import yaml
from study import Study, option_words

from data_prep.lmdbs.build import record_pixels
from data_prep.lmdbs.writer import encode_record
from data_prep.make_slide_samples import SUFFIXES
from data_prep.synthetic import breakhis as synthetic
from pyhisto.cli import Parser, run
from pyhisto.cost import as_json, layer_costs
from pyhisto.devices.check import fault
from pyhisto.errors import InputError
from pyhisto.files import reading
from pyhisto.graph import Graph
from pyhisto.manifest import Row, read_manifest
from pyhisto.preprocessing import encoding
from pyhisto.preprocessing import stain as stains
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.recipe import INTERPOLATIONS, MAX_SIZE, Cut, Preprocessing
from pyhisto.proto import read_net, read_solver, to_text
from pyhisto.training.timing import caffe_time

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BATCH = 10
STATE = 2
"""A snapshot is the weights and a history of their size."""


@dataclass(frozen=True)
class Images:
    """How many images one experiment has, and one of them."""

    train: int
    val: int
    test: int
    example: Path


@dataclass(frozen=True)
class Branch:
    """What one network costs on this machine."""

    patches: int
    forward: float
    """Seconds an image, in batches of BATCH."""
    iteration: float
    """Seconds of one training iteration."""
    iterations: int
    tests: int
    snapshots: int
    caffemodel: int
    """Bytes."""
    record: int
    """Bytes."""
    preparing: float
    """Seconds that one image takes to become its records (all patches), without augmentation."""


def main() -> None:
    """Parse, count, measure, print."""
    arguments = _parser().parse_args()
    config = _config(arguments)
    try:
        study = Study(config)
    except InputError as error:
        raise InputError(f"{arguments.configfile}: {error}") from None
    jobs = remaining_jobs(arguments)
    with tempfile.TemporaryDirectory() as folder:
        images = count_images(study, Path(folder))
        branches: dict[str, Branch] = {
            name: measure(study, name, images.example, Path(folder), arguments.gpu) for name in study.branches
        }
    print(
        f"{sum(jobs.values())} jobs left; {len(study.experiments)} experiment(s) of about {images.train} training, ",
        end="",
    )
    print(f"{images.val} validation and {images.test} test images")
    estimated = costs(study, images, branches)
    rows = [(rule, jobs[rule], *cost) for rule, cost in estimated.items() if jobs.get(rule)]
    heads = "".join(f"{f'each, {branch}':>15}" for branch in study.branches)
    print(f"{'step':12}{'jobs':>7}{heads}{'all':>12}{'disk':>10}")
    total, disk = 0.0, 0.0
    for rule, count, seconds, size in rows:
        every = count / len(study.branches) * sum(seconds.values())
        left = count / len(study.branches) * sum(size.values())
        total, disk = total + every, disk + left
        each = "".join(f"{duration(seconds[branch]):>15}" for branch in study.branches)
        print(f"{rule:12}{count:7}{each}{duration(every):>12}{gigabytes(left):>10}")
    others = ", ".join(f"{rule} {count}" for rule, count in jobs.items() if rule not in estimated)
    if others:
        print(f"Not estimated: {others}")
    where = "on this CPU" if arguments.gpu is None else f"on GPU {arguments.gpu}"
    if study.gpu and arguments.gpu is None:
        unusable = fault((0,))
        what = f"and this machine cannot run it, as {unusable[0]}" if unusable else "--gpu 0 times it on one"
        print(f"The config trains on cards (solver-mode: GPU): {what}.")
    print(f"In all about {duration(total)} {where}, one job after the other, and {gigabytes(disk)} on disk.")


def costs(
    study: Study, images: Images, branches: Mapping[str, Branch]
) -> dict[str, tuple[dict[str, float], dict[str, float]]]:
    """Rule -> seconds and bytes of one job of each branch."""
    copies = max(1, whole_number(study.config["lmdb"], "augment", 8))
    found: dict[str, tuple[dict[str, float], dict[str, float]]] = {
        rule: ({}, {}) for rule in ("lmdb", "train", "slimming", "surgery", "importance", "predict")
    }
    other = {
        "slimming": [iterations(s["slimming"]) for s in study.compressions.values() if "slimming" in s],
        "surgery": [iterations(s) for s in study.compressions.values() if s.get("method") == "DNS"],
    }
    retrainings = sum(s.get("loops", 1) for s in study.compressions.values() if s.get("method") != "DNS")
    for name, branch in branches.items():
        records = {
            "train": images.train * copies * branch.patches,
            "val": images.val * branch.patches,
            "test": images.test * branch.patches,
        }
        later = whole_number(study.config.get("retraining", {}), "max-iter", branch.iterations)
        first = branch.iterations * branch.iteration + branch.tests * records["val"] * branch.forward
        mean_length = (1 + retrainings * later / branch.iterations) / (1 + retrainings)
        samples = study.config.get("importance", {}).get("samples", records["train"])
        seconds = {
            "lmdb": branch.preparing * (images.train * copies + images.val + images.test),
            "train": mean_length * first,
            "importance": min(samples, records["train"]) * branch.forward,
            "predict": records["test"] * branch.forward + images.test * branch.preparing,
        }
        for rule, lengths in other.items():
            share = sum(lengths) / len(lengths) / branch.iterations if lengths else 0
            seconds[rule] = share * first
        size = {"lmdb": sum(records.values()) * branch.record}
        size |= dict.fromkeys(("train", "slimming", "surgery"), (branch.snapshots * STATE + 1) * branch.caffemodel)
        for rule, (each_seconds, each_size) in found.items():
            each_seconds[name], each_size[name] = seconds[rule], size.get(rule, 0)
    return found


def remaining_jobs(arguments: argparse.Namespace) -> dict[str, int]:
    """Rule -> jobs that Snakemake would run now."""
    command = [sys.executable, "-m", "snakemake", "-n", "-s", str(HERE / "Snakefile"), "--quiet", "rules", "--nolock"]
    command += ["--configfile", str(arguments.configfile), "--cores", "1"]
    command += ["--config", *arguments.config] if arguments.config else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{arguments.configfile}: Snakemake refuses it: {_last_line(done.stderr or done.stdout)}")
    found = re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)
    return {rule: int(count) for rule, count in found if rule != "total"}


def count_images(study: Study, folder: Path) -> Images:
    """The images of the first experiment."""
    if study.synthetic:
        total = whole_number(study.synthetic, "patients", 16) * whole_number(study.synthetic, "images", 8)
        return Images(*_shares(total, synthetic.TEST_FRACTION), _synthetic_image(folder))
    if study.slides and not Path(study.tree).exists():
        slides = [path for path in Path(study.slides).rglob("*") if path.suffix.lower() in SUFFIXES]
        if not slides:
            raise InputError(f"{study.slides}: holds no slide; say where they are: --config slides=DIR")
        samples = study.data.get("samples") or {}
        total = whole_number(samples, "total", len(slides) * whole_number(samples, "samples", 100))
        return Images(*_shares(total, 0.25), _synthetic_image(folder))
    manifest = folder / "manifest.csv"
    command = [sys.executable, str(ROOT / "data_prep/make_manifest.py"), *study.splits(study.places[0])]
    done = subprocess.run([*command, "--out", str(manifest)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(_last_line(done.stderr))
    rows = read_manifest(manifest)
    split = {name: sum(row.split == name for row in rows) for name in ("train", "val", "test")}
    return Images(**split, example=Path(study.tree, rows[0].path))


def measure(study: Study, name: Cut, example: Path, folder: Path, gpu: int | None) -> Branch:
    """Time one branch's network and its preprocessing."""
    net = folder / name
    command = [sys.executable, str(ROOT / "prototxt/generate.py"), "inception-sep", "--out", str(net)]
    command += option_words({**study.config["network"], **study.config["solver"]})
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(_last_line(done.stderr))
    deploy = read_net(net / "deploy.prototxt")
    deploy.layer[0].input_param.shape[0].dim[0] = BATCH
    (net / "timed.prototxt").write_text(to_text(deploy), encoding="utf-8")
    timing = caffe_time(net / "timed.prototxt", BATCH, 3, gpu)
    solver = read_solver(net / "solver.prototxt")
    settings = study.config["lmdb"]
    image = read_image(example)
    method = one_of(settings, "stain", ("reinhard", "none", *stains.METHODS))
    stain = None if method == "none" else stains.target([stains.measure(image, method)], method, "itself")
    size, interpolation = whole_number(settings, "size", 224), one_of(settings, "interpolation", tuple(INTERPOLATIONS))
    if not 1 <= size <= MAX_SIZE:
        raise InputError(f"the config's size: {size} is not from 1 to {MAX_SIZE}")
    record = one_of(settings, "record", (encoding.DEFAULT, *encoding.ENCODINGS))
    recipe = Preprocessing(name, size, stain=stain, interpolation=interpolation, record=record)
    began = time.monotonic()
    records = [
        len(encode_record(pixels, 0, recipe.record))
        for _, pixels in record_pixels(Row(example.name, 0), example.parent, recipe, 0, 0)
    ]
    preparing = time.monotonic() - began
    weights = as_json(layer_costs(Graph.build(deploy, source=net / "deploy.prototxt")))["total"]["weights"]
    return Branch(
        patches=len(records),
        forward=timing.forward_ms / 1000 / BATCH,
        iteration=(timing.forward_ms + timing.backward_ms) / 1000,
        iterations=solver.max_iter,
        tests=solver.max_iter // solver.test_interval + 1 if solver.test_interval else 0,
        snapshots=solver.max_iter // solver.snapshot if solver.snapshot else 1,
        caffemodel=4 * weights,
        record=sum(records) // len(records),
        preparing=preparing,
    )


def whole_number(settings: Mapping[str, Any], name: str, default: int) -> int:
    """A number of a config's section. Raises InputError where it is none, or out of all proportion."""
    value = settings.get(name, default)
    if type(value) is not int or not 0 <= value <= 10**6:
        raise InputError(f"the config's {name}: {str(value)[:60]!r} is not a whole number up to a million")
    return value


def one_of(settings: Mapping[str, Any], name: str, choices: Sequence[str]) -> Any:
    """A choice of a config's section, the first if it says nothing. Raises InputError where it is none of them."""
    value = settings.get(name, choices[0])
    if value not in choices:
        raise InputError(f"the config's {name}: {str(value)[:60]!r} is none of {', '.join(choices)}")
    return value


def iterations(settings: Any) -> int:
    """Those of a training that a compression asks for."""
    if not isinstance(settings, Mapping) or "iterations" not in settings:
        raise InputError("the config's compressions: a training without `iterations`")
    return whole_number(settings, "iterations", 0)


def _shares(total: int, test: float) -> tuple[int, int, int]:
    """Training, validation and test images, as the splits are made: a fifth of what is not tested validates."""
    tested = round(test * total)
    val = round(0.2 * (total - tested))
    return total - tested - val, val, tested


def _synthetic_image(folder: Path) -> Path:
    sample = synthetic.make_samples(synthetic.make_patients(1, 0), 1, 100)[0]
    path = folder / sample.file_name
    cv2.imwrite(str(path), synthetic.draw(sample, 0))
    return path


def duration(seconds: float) -> str:
    """Seconds as people say it."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def gigabytes(size: float) -> str:
    """Bytes as GB, or MB where that says more."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def _config(arguments: argparse.Namespace) -> dict[str, Any]:
    try:
        with reading(arguments.configfile):
            config = yaml.safe_load(arguments.configfile.read_text(encoding="utf-8"))
    except RecursionError:
        raise InputError(f"{arguments.configfile}: cannot be read as YAML: nested too deeply") from None
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{arguments.configfile}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise InputError(f"{arguments.configfile}: holds no `name: value` lines; begin with one of workflow/config")
    for word in arguments.config:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"--config {word}: give NAME=VALUE")
        config[name] = value
    return config


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, required=True, metavar="F", help="a config of this folder, or yours")
    parser.add_argument("--config", nargs="+", default=[], metavar="NAME=VALUE", help="as Snakemake takes it")
    parser.add_argument("--gpu", type=int, metavar="N", help="time the network on this GPU")
    return parser


if __name__ == "__main__":
    run(main)
