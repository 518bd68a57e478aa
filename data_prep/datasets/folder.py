"""Anybody's images in a plain tree: `split/class/image` or `class/image`, as PatchCamelyon is often kept.

The folders' names are the classes. Who the patients are, which such a tree does not say, comes from a pattern that
finds them in the files' paths, or from a table; else every image counts as a patient of its own.
"""

import csv
import io
import re
from pathlib import Path, PurePosixPath

from data_prep.datasets.dataset import DataSet
from pyhisto.errors import InputError
from pyhisto.files import reading
from pyhisto.manifest import SPLITS, Row, check_disjoint
from pyhisto.roots import files_under

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
TREE = "split/class/image (splits: train, val, test) or class/image"


def load(root: Path, pattern: str | None = None, table: Path | None = None) -> DataSet:
    """Every image under `root`; labels are the classes' places in the order of their names (as numbers, if all are).

    `pattern` is a regular expression whose first group, found in an image's path below its class folder, is the
    patient. `table` is a CSV with the columns `path` (relative to `root`) and `patient`. Raises InputError for a tree
    of another shape, an image whose patient is not found, a patient in two splits.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder of the images")
    files = [Path(file.relative_to(root)) for file in files_under(root) if file.suffix.lower() in SUFFIXES]
    if not files:
        raise InputError(f"{root}: holds no image ({' '.join(SUFFIXES)}); wanted is {TREE}")
    depth = 1 if any(file.parts[0] in SPLITS for file in files) else 0
    for file in files:
        if len(file.parts) < depth + 2 or (depth and file.parts[0] not in SPLITS):
            raise InputError(f"{root / file}: lies outside the tree, which is {TREE}; move it")
    names = _class_names({file.parts[depth] for file in files})
    if len(names) < 2:
        raise InputError(f"{root}: has images of one class alone, '{names[0]}'; wanted is {TREE}")
    patients = _patients(files, depth, root, pattern, table)
    rows = [
        Row(
            file.as_posix(),
            names.index(file.parts[depth]),
            patient=patients.get(file.as_posix(), ""),
            subtype=file.parts[depth],
            split=file.parts[0] if depth else "",
        )
        for file in files
    ]
    check_disjoint(rows)
    notes = ["classes: " + ", ".join(f"{label} {name}" for label, name in enumerate(names))]
    if not patients:
        notes.append("no patients are known: each image counts as one")
    return DataSet(rows, notes)


def _class_names(names: set[str]) -> list[str]:
    return sorted(names, key=lambda name: (int(name) if all(map(_is_number, names)) else 0, name))


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _patients(files: list[Path], depth: int, root: Path, pattern: str | None, table: Path | None) -> dict[str, str]:
    """Path -> patient; empty if nothing says who they are."""
    if table is not None:
        found = _read_table(table)
        missing = [file.as_posix() for file in files if file.as_posix() not in found]
        if missing:
            raise InputError(f"{table}: has no patient for {len(missing)} images, the first: {missing[0]}; add them")
        return found
    if pattern is None:
        return {}
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--patient-pattern '{pattern}': not a regular expression: {error}") from None
    if expression.groups < 1:
        raise InputError(f"--patient-pattern '{pattern}': has no group; put the patient's part in parentheses")
    patients = {}
    for file in files:
        match = expression.search(PurePosixPath(*file.parts[depth + 1 :]).as_posix())
        if match is None or not match[1]:
            raise InputError(f"{root / file}: --patient-pattern '{pattern}' finds no patient in it; change the pattern")
        patients[file.as_posix()] = match[1]
    return patients


def _read_table(table: Path) -> dict[str, str]:
    try:
        with reading(table):
            reader = csv.DictReader(io.StringIO(table.read_text(encoding="utf-8-sig"), newline=""), strict=True)
            if not {"path", "patient"} <= set(reader.fieldnames or ()):
                raise InputError(f"{table}: needs the columns path and patient")
            return {str(row["path"]): str(row["patient"]) for row in reader if row["path"] and row["patient"]}
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: not a CSV table: {error}") from None
