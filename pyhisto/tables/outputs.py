"""What a report wrote: so that the next one removes what it does not write again, and nothing else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.files import filled_folder, read_object, write_text

INDEX = "report.json"
FOLDERS = ("tables", "figures")


@contextmanager
def replaced_report(folder: Path) -> Iterator[Path]:
    """Yield an empty folder for a report; what is put into it goes into `folder`, all together.

    The tables and figures that only an earlier report left in `folder` are then removed: only plain names in tables/
    and figures/ that the earlier report noted.
    """
    before = set(_read_index(folder / INDEX))
    with filled_folder(folder) as made:
        yield made
        files = (path for name in FOLDERS for path in (made / name).glob("*"))
        names = sorted(path.relative_to(made).as_posix() for path in files)
        write_text(made / INDEX, json.dumps({"files": names}, indent=1) + "\n")
    for name in before - set(names):
        parent, _, file = name.partition("/")
        if parent in FOLDERS and file == Path(file).name:
            (folder / name).unlink(missing_ok=True)


def _read_index(index: Path) -> list[str]:
    """What the earlier report noted; nothing if there is none, or its note is damaged."""
    try:
        files = read_object(index)["files"]
    except (InputError, KeyError):
        return []
    return [name for name in files if isinstance(name, str)] if isinstance(files, list) else []
