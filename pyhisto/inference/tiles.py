"""The tiles of a whole slide: where they lie, which show tissue, and how they are read, many at a time.

A tile is what a training image was: so many pixels at so many micrometres per pixel. Tiles lie in a grid without
overlap, in whole pixels of level 0; those at the right and lower end that would leave the slide are left out.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.slide import Slide, resized
from pyhisto.preprocessing.tissue import Mask

BLOCK_PIXELS = 1 << 22
"""Of the level that is read: tiles are read in square blocks of about so many, which decodes what they share once."""
LEAST_BLOCK = 3
"""Tiles a direction of a block, however large they are."""
COARSER = 1.05
"""A level that is coarser by so much than the training images is read, too: the next finer one has 16 times as many
pixels, and on test patches nothing is lost (docs/results.md). Scanners' 0.25 um give a level of 1, PatchCamelyon has
0.97."""
WHOLE = 1e-6
"""A level whose pixels are that close to a whole number of level-0 pixels is cut in blocks."""


@dataclass(frozen=True)
class Grid:
    """How a slide is cut."""

    width: int
    """Of a tile, level-0 pixels."""
    height: int
    columns: int
    rows: int
    level: int
    """The level that tiles are read from."""
    factor: float
    """Its level-0 pixels per pixel."""
    size: tuple[int, int]
    """Width and height of a tile as the networks' preparation gets it."""

    @property
    def is_whole(self) -> bool:
        """Whether tiles begin and end between pixels of the level, so that they can be cut out of a block."""
        factor = round(self.factor)
        return abs(self.factor - factor) <= WHOLE * factor and self.width % factor == 0 and self.height % factor == 0

    @property
    def block(self) -> int:
        """Tiles a direction that are read together."""
        return max(LEAST_BLOCK, math.isqrt(int(BLOCK_PIXELS * self.factor**2 / (self.width * self.height))))

    def corner(self, index: int) -> tuple[int, int]:
        """x and y of a tile's left upper corner in level-0 pixels; tiles are counted row by row."""
        row, column = divmod(index, self.columns)
        return column * self.width, row * self.height


def make_grid(slide: Slide, image: tuple[int, int], microns_per_pixel: float) -> Grid:
    """The grid of tiles of `image` (width, height) pixels at a scale. Raises InputError if not one fits."""
    scale = microns_per_pixel / slide.microns_per_pixel
    level = slide.level_for(scale, COARSER)
    step = round(slide.factors[level])  # whole pixels of the level
    width, height = (max(step, round(side * scale / step) * step) for side in image)
    columns, rows = slide.width // width, slide.height // height
    if not columns or not rows:
        raise InputError(
            f"{slide.path}: {slide.width} x {slide.height} pixels at {slide.microns_per_pixel:g} um hold no tile of "
            f"{image[0]} x {image[1]} pixels at {microns_per_pixel:g} um; is its scale right (--mpp)?"
        )
    return Grid(width, height, columns, rows, level, slide.factors[level], image)


def tissue_tiles(grid: Grid, tissue: Mask, scale: float, least: float) -> list[int]:
    """The tiles of which at least the part `least` is tissue, on a mask with `scale` level-0 pixels per pixel."""
    sums = cv2.integral(tissue)
    x = _ends(np.arange(grid.columns + 1) * grid.width / scale, tissue.shape[1])
    y = _ends(np.arange(grid.rows + 1) * grid.height / scale, tissue.shape[0])
    inside = sums[np.ix_(y, x)].astype(np.float64)
    covered = inside[1:, 1:] - inside[:-1, 1:] - inside[1:, :-1] + inside[:-1, :-1]
    area = np.diff(y)[:, np.newaxis] * np.diff(x)[np.newaxis]
    return [int(index) for index in np.flatnonzero((covered >= least * area) & (area > 0) & (covered > 0))]


def _ends(places: NDArray[np.floating], most: int) -> NDArray[np.int64]:
    return np.asarray(np.clip(np.rint(places), 0, most), np.int64)


def blocks(grid: Grid, tiles: Sequence[int]) -> list[list[int]]:
    """Tiles that are read together, block by block, row by row."""
    groups: dict[tuple[int, int], list[int]] = {}
    side = grid.block
    for tile in tiles:
        row, column = divmod(tile, grid.columns)
        groups.setdefault((row // side, column // side), []).append(tile)
    return [groups[key] for key in sorted(groups)]


def read_tiles(slide: Slide, grid: Grid, tiles: Sequence[int]) -> Iterator[Image]:
    """The pixels of tiles of one block; each is what `read_tile` gives for it alone."""
    if not grid.is_whole or len(tiles) == 1:
        yield from (read_tile(slide, grid, tile) for tile in tiles)
        return
    corners = [grid.corner(tile) for tile in tiles]
    left, top = (min(corner[axis] for corner in corners) for axis in (0, 1))
    right, bottom = (max(corner[axis] for corner in corners) for axis in (0, 1))
    factor = round(grid.factor)
    shape = (right - left + grid.width) // factor, (bottom - top + grid.height) // factor
    block = slide.read_level(left, top, grid.level, shape)
    for x, y in corners:
        column, row = (x - left) // factor, (y - top) // factor
        yield resized(
            block[row : row + grid.height // factor, column : column + grid.width // factor], grid.size
        )  # fmt: skip


def read_tile(slide: Slide, grid: Grid, tile: int) -> Image:
    """One tile's pixels."""
    x, y = grid.corner(tile)
    shape = round(grid.width / grid.factor), round(grid.height / grid.factor)
    return resized(slide.read_level(x, y, grid.level, shape), grid.size)
