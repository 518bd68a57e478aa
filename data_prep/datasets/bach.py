"""BACH (ICIAR 2018), the photos: 100 TIFF of 2048x1536 per class, Photos/<class>/<letters><number>.tif, no patients.

Copies of it are found as PNG and as JPEG, too.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path

from data_prep.datasets.dataset import DataSet, find_files
from pyhisto.errors import InputError
from pyhisto.manifest import Row
from pyhisto.roots import files_under

FILE_NAME = re.compile(r"(?P<class>n|b|is|iv)\d{3}\.(?i:tiff?|png|jpe?g)")
CLASSES = {"n": "Normal", "b": "Benign", "is": "InSitu", "iv": "Invasive"}
IMAGES_PER_CLASS = 100
GROUND_TRUTH = "microscopy_ground_truth.csv"
"""Lines `n001.tif,Normal`, without a header."""
MICRONS_PER_PIXEL = 0.42


def load(root: Path) -> DataSet:
    """All photos under `root`, four classes (0 Normal, 1 Benign, 2 InSitu, 3 Invasive), no splits.

    Raises InputError if there is none, a photo is there twice, or a name, its folder and the
    ground-truth file contradict each other.
    """
    names = list(CLASSES.values())
    rows = []
    found: dict[str, Path] = {}
    for path, match in find_files(root, FILE_NAME, "n001.tif, b001.tif, is001.tif, iv001.tif (or .png, .jpg)"):
        kind = CLASSES[match["class"]]
        if (first := found.setdefault(path.stem, path)) != path:
            raise InputError(f"{Path(root) / path}: the photo is there as {first}, too; remove one of the two")
        if path.parent.name in names and path.parent.name != kind:
            raise InputError(
                f"{Path(root) / path}: in the folder {path.parent.name}, and its name says {kind}; move it"
            )
        rows.append(Row(path.as_posix(), names.index(kind), subtype=kind, extra={"mpp": str(MICRONS_PER_PIXEL)}))
    for table in [path for path in files_under(root) if path.name == GROUND_TRUTH]:
        _check_ground_truth(table, rows)
    notes = []
    for label, kind in enumerate(names):
        count = sum(row.label == label for row in rows)
        if count < IMAGES_PER_CLASS:
            notes.append(f"{IMAGES_PER_CLASS - count} of the {IMAGES_PER_CLASS} {kind} images are missing")
    expected = IMAGES_PER_CLASS * len(names)
    return DataSet(rows, notes, expected, max(0, expected - len(rows)))


def two_classes(rows: list[Row]) -> list[Row]:
    """The paper's grouping: 0 benign (Normal, Benign), 1 cancer (InSitu, Invasive)."""
    return [replace(row, label=row.label // 2) for row in rows]


def _check_ground_truth(table: Path, rows: list[Row]) -> None:
    kinds = {Path(row.path).stem: row.subtype for row in rows}
    try:
        lines = list(csv.reader(table.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise InputError(f"{table}: cannot be read as CSV; remove or repair it") from None
    for number, fields in enumerate(lines, 1):
        if len(fields) != 2 or fields[1] not in CLASSES.values():
            raise InputError(f"{table} line {number}: not `file,class` with a class of {', '.join(CLASSES.values())}")
        named = kinds.get(Path(fields[0]).stem, fields[1])
        if named != fields[1]:
            raise InputError(f"{table} line {number}: says {fields[1]} for {fields[0]}, which is named {named}")
