#!/usr/bin/env python3
"""What a config's run will take, before anything runs: jobs, hours, and bytes on the disk.

Jobs come from Snakemake's dry run. The networks are timed with `caffe time` on this machine's CPU, or with --gpu on its
card; or their times are derived, from --iterations-per-second of the config's network or from --card's peak. Images are
prepared, a feature is computed, a program is started, and the rest is arithmetic (`costs`). Core time is what one core
is at work; jobs share cores and cards, so that a run takes less than the sum, if there are several.
"""

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml
from costs import RETRAINING, Costs, JobCost, total
from dry_run import Job, jobs_left
from images import Images, count_images
from measured import Prepared, Trained, describe, generate, length_of, prepare, start_of_a_program, train
from speeds import CARDS, Network, Speed, at_iterations, on_card_here, on_named_card, on_this_cpu
from study import Study

from pyhisto.cli import Parser, natural, run
from pyhisto.devices.check import fault
from pyhisto.errors import InputError
from pyhisto.files import reading

TRAININGS = ("train", "slimming", "surgery", "train_compared")


def main() -> None:
    """Parse, count, measure, print."""
    arguments = _parser().parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in the workflow's jobs
    config = _config(arguments)
    try:
        study = Study(config)
    except InputError as error:
        raise InputError(f"{arguments.configfile}: {error}") from None
    jobs = jobs_left(arguments.configfile, arguments.config)
    with tempfile.TemporaryDirectory() as folder:
        images = count_images(study, Path(folder))
        costs, speed = measure(study, images, arguments, Path(folder))
    by_rule: dict[str, JobCost] = {}
    for job in jobs:
        by_rule[job.rule] = by_rule.get(job.rule, JobCost()) + costs.of(job)
    if arguments.json:
        print(json.dumps(facts(jobs, by_rule, costs, speed), indent=1))
        return
    report(study, jobs, by_rule, costs, speed)


def measure(study: Study, images: Images, arguments: argparse.Namespace, folder: Path) -> tuple[Costs, Speed]:
    """The costs of the config's jobs, and where the networks run."""
    config = study.config
    cuts: dict[str, Prepared] = {name: prepare(name, config["lmdb"], images.example) for name in study.branches}
    hybrid = generate("inception-sep", {**config["network"], **config["solver"]}, folder / "hybrid")
    speed = speed_of(arguments, hybrid)
    trained = train(hybrid, speed, cpu_too=True)
    networks: dict[str, Trained] = dict.fromkeys((*study.branches, RETRAINING), trained)
    if retraining := config.get("retraining"):
        options = {**config["network"], **config["solver"], **retraining}
        networks[RETRAINING] = replace(trained, **vars(length_of(generate("inception-sep", options, folder / "later"))))
    compared = config.get("compared", {})
    if patches := compared.get("spanhol2016"):
        for size in patches["patches"]:
            network = generate("patch-cnn", {"patch": size, **patches["solver"]}, folder / f"patch{size}")
            trained = train(network, speed)
            for cut in patches["cuts"]:
                settings = {"augment": 0, **patches["lmdb"], "size": size}
                cuts[f"{size}_{cut}"], networks[f"{size}_{cut}"] = prepare(cut, settings, images.example), trained
    if together := compared.get("bayramoglu2016"):
        cuts["all"] = prepare("global", together["lmdb"], images.example)
        for task in together["tasks"]:
            options = {"task": task, **together["network"], **together["solver"]}
            networks[task] = train(generate("magnification-cnn", options, folder / task), speed)
    descriptors = [*compared.get("spanhol2015", {}).get("descriptors", []), "Lab"]
    features = describe(images.example, descriptors)
    return Costs(study, images, start_of_a_program(), cuts, networks, features), speed


def speed_of(arguments: argparse.Namespace, network: Network) -> Speed:
    """What runs the networks, by the command line; `network` is the config's own."""
    if arguments.gpu is not None:
        return on_card_here(arguments.gpu)
    if arguments.card is not None:
        return on_named_card(arguments.card)
    if arguments.iterations_per_second is not None:
        return at_iterations(arguments.iterations_per_second, network)
    return on_this_cpu()


def facts(jobs: Sequence[Job], by_rule: Mapping[str, JobCost], costs: Costs, speed: Speed) -> dict[str, Any]:
    """All that was found, as JSON: seconds and bytes."""
    every = total(by_rule.values())
    return {
        "jobs": len(jobs),
        "networks_run": speed.name,
        "core_seconds": every.core,
        "card_seconds": every.card,
        "bytes_left": every.disk,
        "bytes_at_most": every.disk + costs.passing(),
        "steps": {rule: asdict(cost) for rule, cost in by_rule.items()},
    }


def report(study: Study, jobs: Sequence[Job], by_rule: Mapping[str, JobCost], costs: Costs, speed: Speed) -> None:
    """Print the table, and what it sums up to."""
    images, counts, every = costs.images, Counter(job.rule for job in jobs), total(by_rule.values())
    print(
        f"{len(jobs)} jobs left, {sum(counts[rule] for rule in TRAININGS)} of them trainings; {len(study.experiments)} "
        f"experiment(s) of about {images.train} training, {images.val} validation and {images.test} test images"
    )
    card = f"{'on a card':>13}" if speed.on_card else ""
    print(f"{'step':32}{'jobs':>7}{'on a core':>13}{card}{'left on disk':>15}")
    small = {rule for rule, cost in by_rule.items() if _is_small(cost, every)}
    rows = [(rule, counts[rule], cost) for rule, cost in by_rule.items() if rule not in small]
    others = total(cost for rule, cost in by_rule.items() if rule in small)
    for name, count, cost in [*rows, ("others", sum(counts[rule] for rule in small), others)]:
        card = f"{duration(cost.card):>13}" if speed.on_card else ""
        print(f"{name:32}{count:7}{duration(cost.core):>13}{card}{size(cost.disk):>15}")
    print(f"Networks: {speed.name}.")
    if study.gpu and not speed.on_card:
        unusable = fault((0,))
        what = f"and this machine cannot run it, as {unusable[0]}" if unusable else "--gpu 0 times it on one"
        print(f"The config trains on cards (solver-mode: GPU): {what}; --card or --iterations-per-second derive it.")
    on_card = f" and {duration(every.card)} on a card" if speed.on_card else ""
    print(
        f"In all about {duration(every.core)} on one core{on_card}, one job after the other; on disk "
        f"{size(every.disk)} stay, and {size(every.disk + costs.passing())} are there at the most, LMDBs among them."
    )


def _is_small(cost: JobCost, every: JobCost) -> bool:
    """Whether a step takes less than a hundredth of everything."""
    shares = ((cost.core, every.core), (cost.card, every.card), (cost.disk, every.disk))
    return all(part <= 0.01 * whole for part, whole in shares)


def duration(seconds: float) -> str:
    """Seconds as people say it."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def size(number: float) -> str:
    """Bytes as GB, or MB where that says more."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


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
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--gpu", type=natural, metavar="N", help="time the networks on this card")
    speed.add_argument("--card", choices=CARDS, help="derive their times from this card's peak")
    speed.add_argument(
        "--iterations-per-second", type=above_zero, metavar="X", help="derive them from those of the config's network"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON, in seconds and bytes")
    return parser


def above_zero(text: str) -> float:
    """argparse type: a number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


if __name__ == "__main__":
    run(main)
