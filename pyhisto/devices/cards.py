"""The machine's cards."""

import json
import subprocess
import sys
from dataclasses import dataclass

from pyhisto.devices import driver

PATIENCE = 60.0
"""Seconds that the driver may take: it starts every card that sleeps."""


@dataclass(frozen=True)
class Card:
    """A card, as the CUDA driver and thus Caffe see it."""

    number: int
    """What `--gpu` takes."""
    name: str
    capability: tuple[int, int]
    """Compute capability, (6, 1) for the paper's GTX 1080 Ti."""
    memory: int
    """Bytes."""
    uuid: str
    """32 hexadecimal digits, which no other card has."""

    def __str__(self) -> str:
        major, minor = self.capability
        return f"card {self.number} ({self.name}, compute capability {major}.{minor}, {self.memory / 2**30:.1f} GiB)"


@dataclass(frozen=True)
class Cards:
    """The cards that a program started now can use."""

    found: tuple[Card, ...]
    reason: str = ""
    """Why there is none, if there is none."""


def find_cards() -> Cards:
    """The cards that CUDA shows to a program started now: CUDA_VISIBLE_DEVICES hides the others, and orders these."""
    try:
        done = subprocess.run(
            [sys.executable, driver.__file__], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        told = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return Cards((), f"the NVIDIA driver does not answer for {PATIENCE:g} seconds")
    except ValueError:  # it died
        return Cards((), f"the NVIDIA driver ends the program that asks it (exit {done.returncode})")
    found = tuple(Card(**{**card, "capability": tuple(card["capability"])}) for card in told["cards"])
    return Cards(found, told.get("reason", "") or ("" if found else "the NVIDIA driver shows none"))
