"""Whether the Caffe in use was built for cards, and for which.

Whether: Caffe says it itself, of anybody's build. For which: its build.json (pyhisto/versions.py). There is machine
code for each of its architectures, and PTX for the oldest. Of a Caffe without a build.json it is "not known", and no
error.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pyhisto.caffe_program import caffe_environment, find_caffe
from pyhisto.errors import InputError
from pyhisto.versions import caffe_build

CPU_ALONE = ("CPU-only Caffe", "this Caffe is built for the CPU alone")
NO_CARD = ("cudaSuccess", "no NVIDIA card here")
"""What the two kinds of Caffe say if they are asked for a card and see none: Caffe itself, and our wrapper around it
(docker/caffe/wrapper.sh)."""


@dataclass(frozen=True)
class CaffeBuild:
    """What the Caffe in use was built for."""

    program: Path
    gpu: bool
    architectures: tuple[int, ...] = ()
    """Compute capabilities times ten, 61 for the paper's card; empty: not known."""
    parts: tuple[str, ...] = ()
    """NVIDIA's libraries that it was built with, such as `cudnn 8.9.6.50`; empty: not known."""

    def runs_on(self, capability: tuple[int, int]) -> bool | None:
        """Whether it has code for a card of this compute capability; None: not known.

        The oldest architecture's PTX, which the driver compiles, runs on that card and all later ones ("CUDA C++
        Programming Guide", PTX Compatibility); machine code for the others spares the compilation.
        """
        major, minor = capability
        return 10 * major + minor >= min(self.architectures) if self.architectures else None

    def __str__(self) -> str:
        if not self.gpu:
            return "for the CPU alone"
        parts = f" with {', '.join(self.parts)}" if self.parts else ""
        known = f" of compute capability {', '.join(map(_dotted, self.architectures))}" if self.architectures else ""
        return f"for cards{known}{parts}" + ("" if known else " (of which compute capability is not known)")


def find_build() -> CaffeBuild:
    """Examine the `caffe` program in use. Raises InputError if there is none, or it does not start."""
    program = find_caffe()
    # Without a card to see, both kinds fail at once, and no card is touched; only one says that it has no GPU half.
    done = subprocess.run(
        [program, "device_query", "-gpu", "0"],
        capture_output=True,
        text=True,
        env={**caffe_environment(), "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    if any(words in done.stderr for words in CPU_ALONE):
        return CaffeBuild(program, gpu=False)
    if done.returncode and not any(words in done.stderr for words in NO_CARD):
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise InputError(f"{program} does not start: {last}")
    return CaffeBuild(program, True, *_read_record())


def _read_record() -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Architectures and NVIDIA's libraries, of the record of the Caffe in use; empty if there is none, or not ours."""
    record = caffe_build() or {}
    parts = (re.fullmatch(r"nvidia-(\w+)-cu\d+==(.+)", source) for source in record.get("sources", ()))
    return tuple(record.get("architectures", ())), tuple(f"{part[1]} {part[2]}" for part in parts if part)


def _dotted(architecture: int) -> str:
    """61 as 6.1."""
    return f"{architecture // 10}.{architecture % 10}"
