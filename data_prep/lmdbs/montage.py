"""A sheet of random records of an LMDB with their labels: data are better looked at than believed."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from data_prep.datasets.splits import shuffled
from data_prep.lmdbs.writer import decode_record
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.preprocessing.images import Image

CELL = 160
"""Side of a picture on the sheet, pixels."""
CAPTION = 34
COLUMNS = 8


def sample_records(folder: Path, count: int, seed: int) -> list[tuple[str, Image, int]]:
    """(key, image, label) of `count` random records (all, if there are fewer), in key order."""
    lmdb = LmdbFolder(folder)
    chosen = set(shuffled([key for key, _ in lmdb.items()], seed, "montage")[:count])
    records = ((key, record) for key, record in lmdb.items() if key in chosen)
    return [(key, *decode_record(record, f"{folder}: record {key}")) for key, record in records]


def draw_montage(records: Sequence[tuple[str, Image, int]]) -> Image:
    """The sheet: each picture over its label and the end of its key, which says image and patch."""
    rows = -(-len(records) // COLUMNS)
    sheet = np.full((rows * (CELL + CAPTION), COLUMNS * CELL, 3), 255, np.uint8)
    for index, (key, image, label) in enumerate(records):
        top, left = index // COLUMNS * (CELL + CAPTION), index % COLUMNS * CELL
        small = cv2.resize(image, (CELL - 4, CELL - 4), interpolation=cv2.INTER_AREA)
        sheet[top : top + CELL - 4, left : left + CELL - 4] = small
        name, _, patch = Path(key).name.rpartition("_")
        lines = (f"class {label}  {patch}", Path(name).stem.removeprefix("SOB_")[-23:])
        for line, text in enumerate(lines):
            place = (left, top + CELL + 9 + 14 * line)
            cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 1, cv2.LINE_AA)
    return sheet
