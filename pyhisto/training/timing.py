"""How long a network takes, by `caffe time`, per layer and in total."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pyhisto.devices.check import require_cards
from pyhisto.errors import InputError
from pyhisto.training.caffe_program import caffe_environment, find_caffe

LAYER = re.compile(r"\]\s+(\S.*?)\s+(forward|backward): ([0-9.e+-]+) ms\.")
TOTAL = re.compile(r"\] Average (Forward|Backward) pass: ([0-9.e+-]+) ms\.")


@dataclass(frozen=True)
class Timing:
    """Milliseconds a pass, the mean over the iterations; the network's whole batch."""

    forward_ms: float
    backward_ms: float
    layers: tuple[tuple[str, float, float], ...]
    """Name, forward, backward."""
    batch: int


def caffe_time(model: Path, batch: int, iterations: int, gpu: int | None = None) -> Timing:
    """Run `caffe time` on a deploy prototxt, on the CPU or on a GPU. Raises InputError where Caffe refuses it."""
    command = [str(find_caffe()), "time", "--model", str(model), "--iterations", str(iterations)]
    if gpu is not None:
        require_cards((gpu,), f"--gpu {gpu}", "leave out --gpu")
        command += ["--gpu", str(gpu)]
    done = subprocess.run(command, capture_output=True, text=True, env=caffe_environment(), check=False)
    totals = {what: float(value) for what, value in TOTAL.findall(done.stderr)}
    if done.returncode or set(totals) != {"Forward", "Backward"}:
        last = [line for line in done.stderr.splitlines() if line.startswith(("F", "E"))] or ["no output"]
        raise InputError(f"{model}: caffe time failed: {last[0]}")
    layers: dict[str, dict[str, float]] = {}
    for name, what, value in LAYER.findall(done.stderr):
        layers.setdefault(name, {})[what] = float(value)
    rows = tuple((name, times.get("forward", 0.0), times.get("backward", 0.0)) for name, times in layers.items())
    return Timing(totals["Forward"], totals["Backward"], rows, batch)
