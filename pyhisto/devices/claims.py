"""Cards for programs that run side by side on one machine: each claims those that no other has.

A claim is a lock on a file that is named after the card. It ends with the program that holds it, however that ends, so
that nothing has to be cleaned up. Programs that claim nothing are not seen, nor are other users' and other containers'.
"""

import fcntl
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyhisto.devices.cards import Card
from pyhisto.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
PAUSE = 1.0
"""Seconds between two looks at the locks, about."""


@dataclass(frozen=True)
class Claim:
    """Cards that are this process's."""

    cards: tuple[Card, ...]
    locks: tuple[int, ...]
    """Descriptors: the claim lasts until they are closed in every process that has them."""


def lock_folder() -> Path:
    """Where this user's locks are, on this machine."""
    return Path(tempfile.gettempdir(), f"pyhisto-cards-{os.getuid()}")


def claim(cards: Sequence[Card], count: int, folder: Path, note: Callable[[str], None]) -> Claim:
    """Wait until `count` of the cards are free, and claim them; the lowest numbers first.

    `note` is told once if there is something to wait for. Raises InputError if there are not as many cards at all.
    """
    if count > len(cards):
        raise InputError(f"{count} cards are asked for, and there are {len(cards)}: ask for fewer")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    waited = False
    while True:
        taken: list[Card] = []
        locks: list[int] = []
        for card in cards:
            if len(taken) < count and (lock := _lock(folder / card.uuid)) is not None:
                taken.append(card)
                locks.append(lock)
        if len(taken) == count:
            return Claim(tuple(taken), tuple(locks))
        for lock in locks:  # or two programs that want two cards each could wait for one another
            os.close(lock)
        if not waited:
            note(f"waiting: fewer than {count} of the {len(cards)} cards are free")
            waited = True
        time.sleep(PAUSE * random.uniform(0.5, 1.5))


def visible(cards: Sequence[Card]) -> str:
    """The value of CUDA_VISIBLE_DEVICES that shows a program these cards of those that this one sees."""
    own = os.environ.get(VISIBLE)
    names = own.split(",") if own is not None else None
    return ",".join(names[card.number].strip() if names else str(card.number) for card in cards)


def _lock(path: Path) -> int | None:
    """A descriptor that locks the file, for this process and those that it becomes; None: another has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.set_inheritable(descriptor, True)
    return descriptor
