"""The manifest: one CSV row an image. Everything downstream starts from it.

Columns `path,label,patient,slide,magnification,subtype,split`, then what a data set adds. `path` is relative to a root
folder and stays inside it, whoever wrote the file.
"""

import csv
import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pyhisto.errors import InputError
from pyhisto.files import reading, write_text
from pyhisto.roots import FollowedRoot

COLUMNS = ("path", "label", "patient", "slide", "magnification", "subtype", "split")
SPLITS = ("train", "val", "test")
MONITOR = "monitor"
"""The LMDB of training images, as they are, that a learning curve is drawn of if no image validates."""
LMDBS = (*SPLITS, MONITOR)
"""The LMDBs that a manifest's images can make."""
MAX_LABEL = 65_535
"""More classes than any data set of images has; what is counted by class stays small."""


@dataclass(frozen=True)
class Row:
    """One image."""

    path: str
    """Relative to the root folder, with forward slashes."""
    label: int
    """The class, from 0. In two-class sets 1 is malignant, the positive class."""
    patient: str = ""
    """Empty where the data set does not say."""
    slide: str = ""
    magnification: str = ""
    """A number alone: `100`, not `100X`. Empty where the data set does not say."""
    subtype: str = ""
    split: str = ""
    """train, val or test; empty: not assigned yet."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """The data set's own columns."""

    @property
    def group(self) -> str:
        """What must not be in two splits: the patient; else the slide; else the image itself."""
        return self.patient or self.slide or self.path


def read_manifest(path: Path) -> list[Row]:
    """Read a manifest. InputError names the file, the line and the fault."""
    path = Path(path)
    try:
        with reading(path):
            text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a UTF-8 text file; is it a manifest?") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: no column {', '.join(missing)}; a manifest begins with {','.join(COLUMNS)}")
        rows = [_row(record, f"{path} line {reader.line_num}") for record in reader]
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num}: not valid CSV: {error}") from None
    if not rows:
        raise InputError(f"{path}: lists no image")
    doubles = [name for name, count in Counter(row.path for row in rows).items() if count > 1]
    if doubles:
        raise InputError(
            f"{path}: lists {doubles[0]} more than once ({len(doubles)} such images); keep one row an image"
        )
    return rows


def _row(record: dict[str | None, str | None], where: str) -> Row:
    if None in record or None in record.values():
        raise InputError(f"{where}: more or fewer fields than the header has columns")
    fields = {str(key): str(value) for key, value in record.items()}
    if not fields["label"].strip():
        raise InputError(
            f"{where}: has no label; this program needs one for every image, its class from 0: give labels"
        )
    if not is_label(fields["label"]):
        raise InputError(f"{where}: label '{fields['label'][:20]}' is not a whole number from 0 to {MAX_LABEL}")
    if fields["split"] and fields["split"] not in SPLITS:
        raise InputError(f"{where}: split '{fields['split']}' is none of {', '.join(SPLITS)}")
    check_relative(fields["path"], where)
    return Row(
        path=fields["path"],
        label=int(fields["label"]),
        **{column: fields[column] for column in COLUMNS[2:]},
        extra={key: value for key, value in fields.items() if key not in COLUMNS},
    )


def is_label(text: str) -> bool:
    """Whether a text is a class: a whole number from 0 to MAX_LABEL."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LABEL)) and int(text) <= MAX_LABEL


def write_manifest(path: Path, rows: Sequence[Row]) -> None:
    """Write a manifest, whole or not at all. The same rows give the same bytes."""
    write_text(path, manifest_text(rows))


def manifest_text(rows: Sequence[Row]) -> str:
    """A manifest as CSV text; a data set's own columns come last, in the order of their names."""
    extra = sorted({key for row in rows for key in row.extra})
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, *extra])
    for row in rows:
        own = [getattr(row, column) for column in COLUMNS]
        writer.writerow([*own, *(row.extra.get(key, "") for key in extra)])
    return out.getvalue()


def check_relative(path: str, where: str) -> None:
    """Raise InputError unless `path`, read from a file, is relative and does not climb out of its root by `..`."""
    pure = PurePosixPath(path)
    if not path or "\0" in path or "\\" in path or pure.is_absolute() or ".." in pure.parts:
        raise InputError(f"{where}: path '{path}' is not inside the root folder; give it relative to the root")


def resolve(root: Path, path: str) -> Path:
    """The file that a manifest's `path` means under `root`.

    Raises InputError where it is not there, and where it leads out of the root: by a link it may, under a FollowedRoot.
    """
    check_relative(path, str(root))
    file = root / path
    real = Path(os.path.realpath(file))  # unlike `resolve`, no error where links go round in a circle
    if not isinstance(root, FollowedRoot) and not real.is_relative_to(os.path.realpath(root)):
        raise InputError(f"{file}: leads outside the root folder {root}; copy the file into it, or give --follow-links")
    if not real.is_file():
        raise InputError(f"{file}: no such file; is {root} the root folder that the manifest was made for?")
    return file


def check_disjoint(rows: Iterable[Row]) -> None:
    """Raise InputError, with the names, where a patient (else a slide) is in more than one split."""
    splits: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.split:
            splits[row.group].add(row.split)
    overlap = sorted(group for group, where in splits.items() if len(where) > 1)
    if overlap:
        named = "; ".join(
            f"{group} in {' and '.join(s for s in SPLITS if s in splits[group])}" for group in overlap[:10]
        )
        more = f" and {len(overlap) - 10} more" if len(overlap) > 10 else ""
        raise InputError(f"patients in more than one split: {named}{more}; give every patient one split")


def class_counts(rows: Iterable[Row]) -> dict[int, int]:
    """Images per class, in the order of the classes."""
    return dict(sorted(Counter(row.label for row in rows).items()))
