"""Where patches are cut, and their names, from which a prediction can be drawn back on its image."""

import hashlib
import re

import numpy as np

from pyhisto.errors import InputError
from pyhisto.preprocessing.images import Image

COLUMNS, ROWS = 5, 3
"""The local branch's grid, without overlap (paper, section Patch sampling)."""

GRID = tuple((row, column) for column in range(COLUMNS) for row in range(ROWS))
"""(row, column) from 0, column by column: the order of the authors' own lists."""

IDS = tuple(f"{row + 1}{column + 1}" for row, column in GRID)
"""The grid's names, row then column from 1: 11, 21, 31, 12, ..., 35."""

FRAME = (350, 230)
"""Width and height to which the method of Spanhol et al. 2016 (ref. [11]) resizes an image before it cuts."""
RANDOM_PATCHES = 1000
"""Random patches an image in that method."""
MAX_RANDOM_PATCHES = 10_000

CENTRE = "centre"
CROPS = ("left", CENTRE, "right")
"""The squares of Kone & Boulmane 2018: the central one, and the two that their conclusion adds."""

PLACED = re.compile(r"y(\d{1,3})x(\d{1,3})")


def grid_patches(image: Image, size: int) -> list[tuple[str, Image]]:
    """Cut a 3*size x 5*size image into its 15 (id, size x size patch) pairs."""
    if image.shape[:2] != (ROWS * size, COLUMNS * size):
        raise ValueError(f"an image of {image.shape[:2]} is not {ROWS} x {COLUMNS} patches of {size}")
    return [
        (name, image[row * size : (row + 1) * size, column * size : (column + 1) * size])
        for name, (row, column) in zip(IDS, GRID, strict=True)
    ]


def shorter_side(image: Image, size: int) -> tuple[int, int]:
    """(width, height) of an image that is resized, its proportions kept, until its shorter side is `size`."""
    height, width = image.shape[:2]
    scale = size / min(height, width)
    return max(size, round(width * scale)), max(size, round(height * scale))


def square_crops(image: Image, size: int) -> list[tuple[str, Image]]:
    """Cut an image whose shorter side is `size` into (id, size x size square) pairs: both ends and the middle.

    Of an upright image `left` is the upper end.
    """
    height, width = image.shape[:2]
    ends = (0, (max(height, width) - size) // 2, max(height, width) - size)
    places = [(0, end) if width >= height else (end, 0) for end in ends]
    return [
        (name, image[top : top + size, left : left + size]) for name, (top, left) in zip(CROPS, places, strict=True)
    ]


def window_places(size: int) -> list[tuple[int, int]]:
    """(top, left) of the windows of `size` that slide over FRAME with an overlap of half, row by row."""
    step = max(1, size // 2)
    width, height = FRAME
    return [(top, left) for top in range(0, height - size + 1, step) for left in range(0, width - size + 1, step)]


def random_places(image: Image, size: int, count: int = RANDOM_PATCHES) -> list[tuple[int, int]]:
    """(top, left) of `count` different places in FRAME: random, and always the same for the same image."""
    width, height = FRAME
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:16])))
    columns = width - size + 1
    chosen = rng.choice(columns * (height - size + 1), count, replace=False)
    return [(place // columns, place % columns) for place in chosen.tolist()]


def placed_patches(image: Image, size: int, places: list[tuple[int, int]]) -> list[tuple[str, Image]]:
    """Cut an image of FRAME's size at (top, left) places into (`y<top>x<left>`, size x size patch) pairs."""
    return [(f"y{top}x{left}", image[top : top + size, left : left + size]) for top, left in places]


def patch_box(name: str, size: int) -> tuple[float, float, float, float]:
    """Where a patch lies: (left, top, right, bottom) as fractions of its image's width and height.

    `name` is an id of any branch; the empty one is the whole image. Raises InputError for what is no id.
    """
    if name == "":
        return 0.0, 0.0, 1.0, 1.0
    if name in IDS:
        row, column = GRID[IDS.index(name)]
        return column / COLUMNS, row / ROWS, (column + 1) / COLUMNS, (row + 1) / ROWS
    match = PLACED.fullmatch(name)
    if match is None:
        raise InputError(f"'{name}' is not the name of a patch (11 to 35, or y<top>x<left>)")
    top, left = int(match[1]), int(match[2])
    return left / FRAME[0], top / FRAME[1], (left + size) / FRAME[0], (top + size) / FRAME[1]
