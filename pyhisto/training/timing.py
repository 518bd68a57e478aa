"""How long a network takes, by `caffe time`, per layer and in total; and how busy the machine was with other things."""

import os
import re
import resource
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pyhisto.caffe_program import caffe_environment, find_caffe
from pyhisto.devices.check import require_cards
from pyhisto.errors import InputError

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
    """Run `caffe time` on a deploy prototxt, on the CPU or on a GPU. Raises InputError if Caffe refuses it."""
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


@dataclass(frozen=True)
class Rounds:
    """Several timings of one network, between which the others had their turns."""

    timings: tuple[Timing, ...]

    @property
    def median(self) -> Timing:
        """The median of every figure; one slow round does not move it."""
        layers = zip(*(timing.layers for timing in self.timings), strict=True)
        return Timing(
            median(timing.forward_ms for timing in self.timings),
            median(timing.backward_ms for timing in self.timings),
            tuple((same[0][0], median(f for _, f, _ in same), median(b for _, _, b in same)) for same in layers),
            self.timings[0].batch,
        )


def time_in_turns(
    models: Sequence[tuple[Path, int]],
    rounds: int,
    iterations: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[list[Rounds], float | None]:
    """Run `caffe time` on each (deploy prototxt, its batch) in turns, so that what slows the machine slows all alike.

    Every other round goes through them backwards. `progress` sees the rounds go by.

    Returns each network's rounds, and how many cores the machine's other processes used meanwhile, on average (None
    if the system does not say). Raises InputError if Caffe refuses a network.
    """
    taken: list[list[Timing]] = [[] for _ in models]
    began, all_before, own_before = time.monotonic(), _all_processes(), cpu_seconds()
    for number in progress(range(rounds)):
        for (model, batch), timings in list(zip(models, taken, strict=True))[:: -1 if number % 2 else 1]:
            timings.append(caffe_time(model, batch, iterations))
    all_after, own, seconds = _all_processes(), cpu_seconds() - own_before, time.monotonic() - began
    others = None
    if all_before is not None and all_after is not None:
        others = max(0.0, all_after - all_before - own) / seconds
    return [Rounds(tuple(timings)) for timings in taken], others


def _all_processes() -> float | None:
    """CPU seconds of all processes of the machine since it started (Linux), and what a hypervisor gave to others."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        user, nice, system, _, _, interrupts, soft_interrupts, stolen = map(int, fields[:8])
    except (OSError, ValueError):
        return None
    return (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")


def cpu_seconds() -> float:
    """How long cores have been at work for this process and for its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
