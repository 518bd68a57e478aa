#!/usr/bin/env python3
"""A made slide: islands of synthetic tissue on glass, as a pyramid TIFF of any size, written a row of tiles at a time.

Levels of factor 1, 4 and 16, JPEG of quality 85 in tiles of 256 pixels, 0.25 um a pixel, as scanners write them. The
tissue is that of data_prep/synthetic, in a field of 2800 x 1840 pixels over and over.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from data_prep.synthetic import breakhis as synthetic
from pyhisto.cli import Parser, positive, run
from pyhisto.files import whole_file
from pyhisto.preprocessing.images import Image

FACTORS = (1, 4, 16)
TILE = 256
MICRONS_PER_PIXEL = 0.25
GLASS = 244
ISLANDS = ((0.28, 0.33, 0.22, 0.26), (0.70, 0.30, 0.20, 0.20), (0.45, 0.74, 0.30, 0.17), (0.85, 0.75, 0.08, 0.16))
"""Ellipses: centre and half axes, in parts of width and height."""


def main() -> None:
    """Parse and write."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=positive, default=40_000, help="pixels (default %(default)s)")
    parser.add_argument("--height", type=positive, default=30_000, help="default %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="the TIFF to write")
    arguments = parser.parse_args()
    write_slide(arguments.out, arguments.width, arguments.height)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.0f} MB")


def write_slide(path: Path, width: int, height: int) -> Path:
    """Write the slide, whole or not at all; the same bytes each time."""
    field = tissue_field()
    with whole_file(path) as partial, tifffile.TiffWriter(partial, bigtiff=True) as writer:
        for factor in FACTORS:
            size = height // factor, width // factor
            small = cv2.resize(field, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
            per_centimetre = 10_000 / (MICRONS_PER_PIXEL * factor)
            writer.write(
                tiles(np.asarray(small[..., ::-1], np.uint8), *size), shape=(*size, 3), dtype=np.uint8, metadata=None,
                subfiletype=int(factor > 1), resolution=(per_centimetre, per_centimetre), resolutionunit="CENTIMETER",
                photometric="rgb", tile=(TILE, TILE), compression="jpeg", compressionargs={"level": 85},
            )  # fmt: skip
    return path


def tissue_field() -> Image:
    """1840 x 2800 pixels of both classes' tissue, B, G, R: 16 images at 200X, which are of about 0.25 um a pixel."""
    samples = synthetic.make_samples(synthetic.make_patients(8, 0), 2, 200)
    images = [synthetic.draw(sample, 0) for sample in samples]
    return np.vstack([np.hstack(images[row : row + 4]) for row in range(0, 16, 4)])


def tiles(field: Image, height: int, width: int) -> Iterator[Image]:
    """The tiles of a level, row by row; `field` is repeated where there is tissue."""
    repeats = -(-width // field.shape[1])
    wide = np.tile(field, (1, repeats, 1))[:, :width]
    x = (np.arange(width) + 0.5) / width
    for top in range(0, height, TILE):
        rows = np.arange(top, top + TILE)
        inside = covered(x, (rows + 0.5) / height)[..., np.newaxis]
        strip = np.where(inside, wide[rows % len(field)], np.uint8(GLASS))
        strip = np.pad(strip, ((0, 0), (0, -width % TILE), (0, 0)), constant_values=GLASS)
        yield from (strip[:, left : left + TILE] for left in range(0, width, TILE))


def covered(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Where the islands are, on a grid of places in parts of width and height: y x x."""
    inside = [
        ((x - left) / across)[np.newaxis] ** 2 + ((y - top) / down)[:, np.newaxis] ** 2 < 1
        for left, top, across, down in ISLANDS
    ]
    return np.asarray(np.logical_or.reduce(inside))


if __name__ == "__main__":
    run(main)
