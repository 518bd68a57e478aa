"""The patches of the local branch: 5 columns x 3 rows, without overlap (paper, section Patch sampling)."""

from pyhisto.preprocessing.images import Image

COLUMNS, ROWS = 5, 3

GRID = tuple((row, column) for column in range(COLUMNS) for row in range(ROWS))
"""(row, column) from 0, column by column: the order of the authors' own lists."""

IDS = tuple(f"{row + 1}{column + 1}" for row, column in GRID)
"""The patches' names, row then column from 1: 11, 21, 31, 12, ..., 35."""


def grid_patches(image: Image, size: int) -> list[tuple[str, Image]]:
    """Cut a 3*size x 5*size image into its 15 (id, size x size patch) pairs."""
    if image.shape[:2] != (ROWS * size, COLUMNS * size):
        raise ValueError(f"an image of {image.shape[:2]} is not {ROWS} x {COLUMNS} patches of {size}")
    return [
        (name, image[row * size : (row + 1) * size, column * size : (column + 1) * size])
        for name, (row, column) in zip(IDS, GRID, strict=True)
    ]
