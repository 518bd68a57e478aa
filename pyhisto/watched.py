"""What a program tells the process that watches over it: what it is at, and what has to go if it does not come back.

Caffe, LMDB and HDF5 end the process on some damaged files and on a full disk. `guard` then says in one line what the
program was `at`, and removes what it had `left` unfinished. The notes lie in memory that both processes share; without
a watching process nobody reads them.
"""

import json
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["file", "tree", "lock", "empty"]
"""A file; a folder with what is in it; a lock that may be another process's by now; a folder if nothing is in it."""

_ROOM = 1 << 18
"""Bytes, enough for sixty of the longest paths; a dozen short ones are the most that is noted at once."""
_shared = mmap.mmap(-1, _ROOM + 1)
_at: list["At"] = []
_left: dict[str, Kind] = {}


@dataclass(frozen=True)
class At:
    """What a program is doing."""

    file: str
    """The file or folder that is to blame if a library ends the process now."""
    fault: str
    """What is wrong with it then: "cannot be read as an LMDB"."""
    remedy: str
    """What to do about it."""


@contextmanager
def at(file: object, fault: str, remedy: str) -> Iterator[None]:
    """While it lasts, the end of the process by a library is the fault of `file`."""
    entry = At(str(file), fault, remedy)
    _at.append(entry)
    _note()
    try:
        yield
    finally:
        _at.remove(entry)  # not the last one for certain: generators overlap
        _note()


def left(path: Path, kind: Kind) -> None:
    """From now on `path` has to go if the process ends."""
    _left[str(path.absolute())] = kind
    _note()


def gone(path: Path) -> None:
    """`path` has become what it should, or is removed."""
    _left.pop(str(path.absolute()), None)
    _note()


def begin() -> None:
    """Note what there is to note now: nothing, before a program has begun."""
    _note()
    wrote("")


def wrote(text: str) -> None:
    """The program wrote this to stderr: a progress bar leaves its line open."""
    _shared[_ROOM] = text[-1:] not in ("", "\n")


def line_is_open() -> bool:
    """Whether what the program wrote last did not end its line."""
    return bool(_shared[_ROOM])


def notes() -> tuple[At | None, list[tuple[Path, Kind]]]:
    """What the program is at, if it said so, and what it has left unfinished, the newest first."""
    text = _shared[: _shared.find(b"\0")]
    content = json.loads(text) if text else {"at": None, "left": {}}
    unfinished = [(Path(path), kind) for path, kind in content["left"].items()]
    return (At(**content["at"]) if content["at"] else None), unfinished[::-1]


def _note() -> None:
    text = json.dumps({"at": asdict(_at[-1]) if _at else None, "left": _left}).encode() + b"\0"
    if len(text) <= _ROOM:
        _shared[: len(text)] = text
