"""Whether the Caffe in use was built for cards, and for which.

Whether: Caffe says it itself, of anybody's build. For which: the build's own record, `build.json` in the folder that
holds bin, lib and python, as docker/caffe/install.sh writes it; a Caffe without one is "not known", and no error. The
record, of which every field but `architectures` is for people:

    {"cuda": "11.8", "cudnn": "8.9.7", "nccl": "2.21.5", "architectures": "61;70;75;80;86;90"}

`architectures` is CMake's CUDA_ARCHITECTURES: `61` is machine code for 6.1 and PTX, `61-real` machine code alone,
`61-virtual` PTX alone. Null or "" in a field: built without.
"""

import importlib.util
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyhisto.errors import InputError
from pyhisto.training.caffe_program import caffe_environment, find_caffe

RECORD = "build.json"
PARTS = ("cuda", "cudnn", "nccl")


@dataclass(frozen=True)
class CaffeBuild:
    """What the Caffe in use was built for."""

    program: Path
    gpu: bool
    architectures: tuple[str, ...] = ()
    """As CMake writes them; empty: not known."""
    parts: tuple[str, ...] = ()
    """The libraries it was built with, such as `cuda 11.8`; empty: not known."""

    def runs_on(self, capability: tuple[int, int]) -> bool | None:
        """Whether it has code for a card of this compute capability; None: not known.

        Machine code runs on cards of its own major version and no older minor one; PTX, which the driver compiles, on
        all later cards ("CUDA C++ Programming Guide", Binary Compatibility and PTX Compatibility).
        """
        if not self.architectures:
            return None
        for architecture in self.architectures:
            digits, _, kind = architecture.partition("-")
            own = int(digits[:-1]), int(digits[-1])
            if kind != "virtual" and own[0] == capability[0] and own[1] <= capability[1]:
                return True
            if kind != "real" and own <= capability:
                return True
        return False

    def __str__(self) -> str:
        if not self.gpu:
            return "for the CPU alone"
        parts = f" with {', '.join(self.parts)}" if self.parts else ""
        known = f" of compute capability {', '.join(map(_dotted, self.architectures))}" if self.architectures else ""
        return f"for cards{known}{parts}" + ("" if known else " (of which compute capability is not known)")


def find_build() -> CaffeBuild:
    """Examine the `caffe` program in use. Raises InputError where there is none, or it does not start."""
    program = find_caffe()
    # Without a card to see, both kinds fail at once, and no card is touched; only one says that it has no GPU half.
    done = subprocess.run(
        [program, "device_query", "-gpu", "0"],
        capture_output=True,
        text=True,
        env={**caffe_environment(), "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    if "CPU-only Caffe" in done.stderr:
        return CaffeBuild(program, gpu=False)
    if done.returncode and "cudaSuccess" not in done.stderr:
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise InputError(f"{program} does not start: {last}")
    return CaffeBuild(program, True, *_read_record())


def _read_record() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Architectures and parts, from the record beside the Caffe in use; empty where there is none, or not ours."""
    spec = importlib.util.find_spec("caffe")
    if spec is None or not spec.origin:
        return (), ()
    try:
        record: Any = json.loads((Path(spec.origin).parents[2] / RECORD).read_text(encoding="utf-8"))
        architectures = tuple(filter(None, record["architectures"].split(";")))
        parts = tuple(f"{part} {record[part]}" for part in PARTS if record.get(part))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return (), ()
    known = all(re.fullmatch(r"[1-9]\d+(-real|-virtual)?", architecture) for architecture in architectures)
    return architectures if known else (), parts


def _dotted(architecture: str) -> str:
    """`61-real` as `6.1`, `90-virtual` as `9.0 (PTX)`."""
    digits, _, kind = architecture.partition("-")
    return f"{digits[:-1]}.{digits[-1]}" + (" (PTX)" if kind == "virtual" else "")
