"""BreaKHis (Spanhol et al. 2016): the official tree and folds into a manifest.

The file name says everything, SOB_<B or M>_<type>-<year>-<slide>-<magnification>-<number>.png, and is trusted over the
folders, which copies found in the wild nest in one another.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from data_prep.datasets.dataset import DataSet, find_files
from pyhisto.errors import InputError
from pyhisto.files import sha256
from pyhisto.manifest import Row, check_disjoint

FILE_NAME = re.compile(
    r"SOB_(?P<class>[BM])_(?P<type>A|F|PT|TA|DC|LC|MC|PC)-(?P<slide>\d{2}-\w+)-(?P<magnification>40|100|200|400)-\d+\.png"
)
CLASSES = ("benign", "malignant")
TYPES = {"B": ("A", "F", "PT", "TA"), "M": ("DC", "LC", "MC", "PC")}
IMAGES = {"40": (625, 1370), "100": (644, 1437), "200": (623, 1390), "400": (588, 1232)}
"""Benign and malignant images per magnification."""
FOLDS = (1, 2, 3, 4, 5)

TWO_TYPES = "14-13412"
"""The slide that is listed both as ductal (DC) and as lobular carcinoma (LC). Folds 1, 3 and 5 have the one in training
and the other in test, so that the official folds are not disjoint by patient."""

STAIN_TARGET = "SOB_B_A-14-22549G-40-035.png"
"""The image whose colours the authors moved all others to."""


def find_images(root: Path) -> dict[str, Path]:
    """Every BreaKHis image under `root`, by file name; the path is relative to `root`.

    Of two equal files of one name the first counts. Raises InputError for two that differ, and where there is none.
    """
    found: dict[str, Path] = {}
    for path, _ in find_files(root, FILE_NAME, "SOB_*.png (BreaKHis_v1)"):
        first = found.setdefault(path.name, path)
        if first != path and sha256(Path(root) / first) != sha256(Path(root) / path):
            raise InputError(
                f"{Path(root) / path}: not the same image as {first} of the same name; remove the wrong one of the two"
            )
    return found


def parse(path: Path) -> Row:
    """The row of an image, from its file name; no split yet. Raises InputError for a name that is not BreaKHis's."""
    match = FILE_NAME.fullmatch(path.name)
    if not match or match["type"] not in TYPES[match["class"]]:
        raise InputError(
            f"{path}: not a BreaKHis file name (SOB_<B|M>_<type>-<year>-<slide>-<magnification>-<number>.png)"
        )
    return Row(
        path=path.as_posix(),
        label="BM".index(match["class"]),
        patient=match["slide"],
        slide=match["slide"],
        magnification=match["magnification"],
        subtype=match["type"],
    )


EVA_TYPES = ("TA", "MC", "F", "DC")
"""The classes of the BreaKHis task of kaiko-ai/eva, in its order: the types of at least seven patients."""
EVA_MAGNIFICATION = "40"
EVA_IMAGES = 1471
EVA_VALIDATION = frozenset(
    ["18842D", "19979", "15275", "15792", "16875", "3909", "5287", "16716", "2773", "5695", "16184CD", "23060CD",
     "21998CD", "21998EF"]
)  # fmt: skip
"""Its validation patients, by slide number without the year: 339 images; the other 1132 are its training part."""


def load_eva(root: Path) -> DataSet:
    """The BreaKHis task of kaiko-ai/eva: 40X, four classes (EVA_TYPES), patients apart; no fold file is needed.

    What eva calls validation, and publishes figures of, is test here: nothing is selected on it. Raises InputError if
    there is no such image.
    """
    rows = [parse(path) for _, path in sorted(find_images(root).items())]
    rows = [
        replace(
            row,
            label=EVA_TYPES.index(row.subtype),
            split="test" if row.slide.partition("-")[2] in EVA_VALIDATION else "train",
        )
        for row in rows
        if row.subtype in EVA_TYPES and row.magnification == EVA_MAGNIFICATION
    ]
    if not rows:
        raise InputError(f"{root}: holds no image of {', '.join(EVA_TYPES)} at {EVA_MAGNIFICATION}X")
    missing = max(0, EVA_IMAGES - len(rows))
    notes = [f"{missing} of the {EVA_IMAGES} images of eva's task are missing"] if missing else []
    notes += nested_folders(Path(row.path) for row in rows)
    check_disjoint(rows)
    return DataSet(rows, notes, EVA_IMAGES, missing)


def read_fold(folder: Path, fold: int, magnification: int | None = None) -> dict[str, str]:
    """File name -> train or test, of one fold at a magnification (None: at all), from `folder`/dsfold<fold>.txt."""
    path = Path(folder) / f"dsfold{fold}.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; give the folder of dsfold1.txt to dsfold5.txt"
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; is it a fold file?") from None
    roles: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        name, *rest = line.strip().split("|")
        match = FILE_NAME.fullmatch(name)
        if not match or len(rest) != 3 or rest[2] not in ("train", "test"):
            raise InputError(f"{where}: '{line.strip()[:100]}' is not file|magnification|fold|train or test")
        if rest[0] != match["magnification"]:
            raise InputError(f"{where}: says magnification {rest[0]} for {name}, whose name says otherwise")
        if rest[1] != str(fold):
            raise InputError(f"{where}: says fold {rest[1]} in the file of fold {fold}")
        if roles.get(name, rest[2]) != rest[2]:
            raise InputError(f"{where}: {name} is both train and test")
        if magnification in (None, int(rest[0])):
            roles[name] = rest[2]
    if not roles:
        raise InputError(f"{path}: has no row {_at(magnification)}")
    return roles


def load_all(root: Path, magnification: int | None = None) -> DataSet:
    """Every image of a magnification (None: of all), without splits, for splits other than the official ones."""
    rows = [parse(path) for _, path in sorted(find_images(root).items())]
    rows = [row for row in rows if magnification is None or row.magnification == str(magnification)]
    if not rows:
        raise InputError(f"{root}: holds no image {_at(magnification)}")
    wanted = IMAGES.values() if magnification is None else [IMAGES[str(magnification)]]
    expected = sum(map(sum, wanted))
    notes = [*nested_folders(Path(row.path) for row in rows), *_two_types(rows)]
    return DataSet(rows, notes, expected, max(0, expected - len(rows)))


def load(root: Path, folds: Path, fold: int, magnification: int | None, allow_missing: bool = False) -> DataSet:
    """One official fold at one magnification (None: at all together).

    Raises InputError where rows of the fold have no file under `root` (unless `allow_missing`), and where train and
    test share a patient. TWO_TYPES is the one exception: where the fold has it on both sides, its training images are
    left out, so that the test set stays the official one.
    """
    roles = read_fold(folds, fold, magnification)
    images = find_images(root)
    missing = [name for name in roles if name not in images]
    if missing and not allow_missing:
        raise InputError(
            f"{Path(folds) / f'dsfold{fold}.txt'}: {len(missing)} of {len(roles)} images {_at(magnification)} have no "
            f"file under {root} (the first: {missing[0]}); complete the tree or give --allow-missing"
        )
    rows = [replace(parse(images[name]), split=role) for name, role in sorted(roles.items()) if name in images]
    if not rows:
        raise InputError(f"{root}: holds no image of fold {fold} {_at(magnification)}")
    notes = [f"{len(missing)} of {len(roles)} images of the fold {_at(magnification)} are missing"] if missing else []
    wanted = {str(magnification)} if magnification is not None else set(IMAGES)
    unlisted = [name for name in images if name not in roles and parse(Path(name)).magnification in wanted]
    if unlisted:
        notes.append(f"{len(unlisted)} images {_at(magnification)} are not in the fold (the first: {unlisted[0]})")
    notes += nested_folders(images.values())

    sides = {row.split for row in rows if row.patient == TWO_TYPES}
    if sides == {"train", "test"}:
        dropped = [row for row in rows if row.patient == TWO_TYPES and row.split == "train"]
        rows = [row for row in rows if row not in dropped]
        notes.append(
            f"patient {TWO_TYPES} is DC and LC, one in train, one in test: its {len(dropped)} training images left out"
        )
    else:
        notes += _two_types(rows)
    check_disjoint(rows)
    return DataSet(rows, notes, len(roles), len(missing))


def _at(magnification: int | None) -> str:
    return "at any magnification" if magnification is None else f"at {magnification}X"


def _two_types(rows: Iterable[Row]) -> list[str]:
    types = {row.subtype for row in rows if row.patient == TWO_TYPES}
    return [f"patient {TWO_TYPES} is listed both as DC and as LC"] if len(types) > 1 else []


def nested_folders(paths: Iterable[Path]) -> list[str]:
    """A note where images do not lie in a folder of their own patient (file name trusted)."""
    wrong = [path for path in paths if not _folder_agrees(path)]
    return (
        [f"{len(wrong)} images lie in another patient's folder, name trusted (the first: {wrong[0]})"] if wrong else []
    )


def _folder_agrees(path: Path) -> bool:
    folders = [part for part in path.parts[:-1] if part.startswith("SOB_")]
    row = parse(path)
    expected = f"SOB_{'BM'[row.label]}_{row.subtype}_{row.slide}"
    return not folders or folders == [expected]
