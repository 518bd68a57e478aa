"""Folders that hold an LMDB, opened to read: one that is damaged or cut short is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from pyhisto import watched
from pyhisto.errors import InputError

LEAST_ENTRY = 8
"""Bytes that LMDB writes of itself with every key."""
REMEDY = "fetch it again, or build it again"


@contextmanager
def open_lmdb(folder: Path) -> Iterator[lmdb.Environment]:
    """Open the LMDB in a folder to read. Raises InputError if there is none, or it is found to be damaged in the block.

    On some damage LMDB ends the process; the folder is then `watched`.
    """
    file = Path(folder) / "data.mdb"
    if not file.is_file():
        raise InputError(f"{folder}: holds no LMDB (data.mdb)")
    try:
        with (
            watched.at(folder, "the LMDB is damaged", REMEDY),
            lmdb.open(str(folder), readonly=True, lock=False) as environment,
        ):
            needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
            if file.stat().st_size < needed:
                raise InputError(f"{folder}: the LMDB is cut short, {needed} bytes are wanted; {REMEDY}")
            if environment.stat()["entries"] * LEAST_ENTRY > needed:
                raise InputError(f"{folder}: the LMDB is damaged: it has no room for its entries; {REMEDY}")
            yield environment
    except lmdb.Error as error:
        raise InputError(f"{folder}: not an LMDB, or damaged: {error}; {REMEDY}") from None


def count_records(folder: Path) -> int:
    """How many records the LMDB in a folder holds. Raises InputError."""
    with open_lmdb(folder) as environment:
        return int(environment.stat()["entries"])
