"""What a report wrote: so that the next one takes away what it does not write again, and nothing else."""

import json
from collections.abc import Iterable
from pathlib import Path

from pyhisto.files import write_text

INDEX = "report.json"


def replace_written(folder: Path, tables: Iterable[Path], figures: Iterable[Path]) -> None:
    """Remove the tables and figures that only an earlier report left in `folder`; note what this one wrote.

    `figures` are PNG; each has its SVG beside it. Only plain names in tables/ and figures/ that the earlier report
    noted are ever removed.
    """
    index = folder / INDEX
    written = [*tables, *(path for png in figures for path in (png, png.with_suffix(".svg")))]
    names = sorted(path.relative_to(folder).as_posix() for path in written)
    for name in set(_noted(index)) - set(names):
        place, _, file = name.partition("/")
        if place in ("tables", "figures") and file == Path(file).name:
            (folder / name).unlink(missing_ok=True)
    write_text(index, json.dumps({"files": names}, indent=1) + "\n")


def _noted(index: Path) -> list[str]:
    """What the earlier report noted; nothing where there is none, or its note is damaged."""
    try:
        files = json.loads(index.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [name for name in files if isinstance(name, str)] if isinstance(files, list) else []
