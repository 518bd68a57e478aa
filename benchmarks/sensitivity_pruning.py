#!/usr/bin/env python3
"""Shares by sensitivity beside one share for all, at equal FLOPs: accuracy after pruning, recalibration, retraining.

Takes a trained network's folder (deploy.prototxt, train_val.prototxt, solver.prototxt, model.caffemodel), its
sensitivity.json and an LMDB that neither training nor sensitivity has seen. Accuracies have 95% Wilson intervals over
the records; differences of the two ways a 95% interval of paired bootstraps over the records, retrained networks' with
the mean over the seeds in the place of each record's hit or miss.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from pyhisto.cli import Parser, positive, ratio, run
from pyhisto.errors import InputError
from pyhisto.files import read_json
from pyhisto.proto import TEST, read_net, read_weights
from pyhisto.prototext import Document, quote
from pyhisto.pruning.validation import Validation

TOOLS = Path(__file__).resolve().parent.parent / "tools"
WAYS = ("one share", "by sensitivity")
RESAMPLINGS = 10_000


def main() -> None:
    """Prune both ways, train, print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sensitivity", type=Path, required=True, metavar="F")
    parser.add_argument("--test-lmdb", type=Path, required=True, metavar="DIR")
    parser.add_argument("--targets", type=ratio, nargs="+", default=[0.5, 0.25])
    parser.add_argument("--iterations", type=positive, default=300)
    parser.add_argument("--base-lr", type=float, default=0.003)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--batches", type=positive, default=100, help="for the recalibration")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    whole = hits(arguments.net / "train_val.prototxt", arguments.net / "model.caffemodel", arguments.test_lmdb)
    print(f"whole network: {interval(whole)}")
    print("| FLOPs left | shares | pruned | recalibrated | retrained |\n|---|---|---|---|---|", flush=True)
    for target in arguments.targets:
        results = {way: measure(arguments, target, way) for way in WAYS}
        for way, stages in results.items():
            print(f"| {stages[0]:.3f} | {way} | {' | '.join(map(interval, stages[1:]))} |", flush=True)
        one, other = (results[way][1:] for way in WAYS)
        differences = " | ".join(difference(ours, theirs) for ours, theirs in zip(other, one, strict=True))
        print(f"| | difference | {differences} |", flush=True)


def measure(arguments, target: float, way: str) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The share of FLOPs that is left, and hits after pruning, recalibration, and training, records alike."""
    net, out = arguments.net, arguments.out / f"{target:g} {way}".replace(" ", "_")
    files = ["--model", net / "deploy.prototxt", "--also", net / "train_val.prototxt", net / "solver.prototxt",
             "--weights", net / "model.caffemodel"]  # fmt: skip
    by = ["--sensitivity", arguments.sensitivity] if way == WAYS[1] else []
    criterion = read_json(arguments.sensitivity)["settings"]["criterion"]
    if not out.exists():
        tool("prune.py", *files, "--criterion", criterion, "--target-flops", target, *by, "--out", out)
    cost = read_json(out / "plan.json")["cost"]
    model, pruned, again = out / "train_val.prototxt", out / "model.caffemodel", out / "recalibrated.caffemodel"
    if not again.exists():
        tool("recalibrate.py", "--model", model, "--weights", pruned, "--batches", arguments.batches, "--out", again)
    trained = []
    for seed in arguments.seeds:
        document = Document.read(out / "solver.prototxt")
        settings = {
            "base_lr": arguments.base_lr, "max_iter": arguments.iterations, "stepsize": 2 * arguments.iterations // 3,
            "snapshot": arguments.iterations, "test_interval": arguments.iterations, "random_seed": seed,
        }  # fmt: skip
        for name, value in settings.items():
            document.set_scalar(name, str(value))
        document.set_scalar("snapshot_prefix", quote(str(out / f"seed{seed}")))
        solver = out / f"solver{seed}.prototxt"
        solver.write_text(document.text(), encoding="utf-8")
        weights = tool("train.py", "--solver", solver, "--weights", pruned).splitlines()[-1]
        trained.append(hits(model, Path(weights), arguments.test_lmdb))
    before, after = (hits(model, weights, arguments.test_lmdb) for weights in (pruned, again))
    return cost["after"]["flops"] / cost["before"]["flops"], before, after, np.mean(trained, axis=0)


def tool(name: str, *arguments: object) -> str:
    """What a program of tools/ prints."""
    done = subprocess.run(
        [sys.executable, str(TOOLS / name), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InputError(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def hits(model: Path, weights: Path, source: Path) -> np.ndarray:
    """For each record of an LMDB whether the network is right."""
    net = read_net(model)
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.source = str(source)
    scores = next(layer.bottom[0] for layer in reversed(net.layer) if layer.type == "Accuracy")
    validation = Validation(net, TEST, read_weights(weights), model)
    found = []
    for batch in validation.batches():
        validation.forward(batch)
        found.append(validation.net.blobs[scores].data.argmax(axis=1) == batch["label"])
    return np.concatenate(found).astype(np.float64)


def interval(found: np.ndarray) -> str:
    """A rate in percent, with Wilson's 95% interval."""
    rate, count, z = found.mean(), len(found), 1.96
    centre = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return f"{100 * rate:.1f} ({100 * (centre - half):.1f} to {100 * (centre + half):.1f})"


def difference(ours: np.ndarray, theirs: np.ndarray) -> str:
    """The mean difference in percent, with the 95% interval of paired bootstraps."""
    generator, gap = np.random.default_rng(0), ours - theirs
    means = [gap[generator.integers(0, len(gap), len(gap))].mean() for _ in range(RESAMPLINGS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{100 * gap.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


if __name__ == "__main__":
    run(main)
