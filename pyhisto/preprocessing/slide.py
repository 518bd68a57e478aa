"""Whole slides, read in parts, never at once, so that memory does not grow with the slide.

OpenSlide reads the scanners' formats. A TIFF of 8-bit RGB that is no scanner's own, tiled or in strips, tifffile reads:
what OpenSlide does not know, and what it does as well, to the same pixels in half the time.
"""

import math
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import tifffile

from pyhisto.errors import InputError
from pyhisto.preprocessing.images import MAX_PIXELS, Image

SLIDE_SUFFIXES = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide")
"""Of files that can be whole slides; a TIFF need not be one (`is_slide`)."""
MAP_SIDE = 4096
"""Longest side of a slide's overview, pixels."""
TILE = 2048
"""Side of the parts in which a slide is read, pixels."""
LEVEL_SLACK = 1.01
"""A pyramid's level may be that much coarser than what is wanted: 4.003 is a downsample of 4."""
MAX_SEGMENT = 1 << 26
"""Pixels; a TIFF with larger strips or tiles cannot be read in parts."""
KEPT_PIXELS = 1 << 24
"""Of decoded TIFF tiles, so that neighbouring regions do not decode them twice."""

SCALES = (0.05, 10.0)
"""Micrometres per pixel that a slide's level 0 can have. Light resolves no finer than 0.2, and nobody scans below an
objective of 1x, some 10. What image programs write by default lies outside: 72 to 1200 dots an inch are 353 to 21."""


class _File(Protocol):
    """A file of several levels, each coarser than the one before."""

    sizes: list[tuple[int, int]]
    """Width and height of every level."""
    factors: list[float]
    """Level-0 pixels per pixel of every level."""
    said: str | None
    """What the file says of its micrometres per pixel."""

    def read(self, x: int, y: int, level: int, shape: tuple[int, int]) -> Image:
        """`shape` (width, height) pixels of a level from (x, y) in pixels of level 0; outside is white."""

    def close(self) -> None:
        """Close the file."""


class Slide:
    """A whole slide."""

    def __init__(self, path: Path, *otherwise: float | None, option: str = "--slide-mpp") -> None:
        """Open a slide.

        Its micrometres per pixel are what the file says, or, if it says nothing or nothing within SCALES, the first of
        `otherwise` within them. Raises InputError if there is none (naming `option`), and for a file that neither
        OpenSlide nor tifffile can read.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{path}: no such file")
        self._file: _File = _open(self.path)
        self.width, self.height = self._file.sizes[0]
        self.said = self._file.said
        """What the file itself says of its micrometres per pixel, believed or not."""
        known = [scale for scale in (_number(self.said), *otherwise) if scale is not None and is_scale(scale)]
        if not known:
            self.close()
            says = f"says {self.said}" if self.said else "does not say its"
            raise InputError(
                f"{path}: {says} micrometres per pixel (believed: {SCALES[0]:g} to {SCALES[1]:g}); give {option}"
            )
        self.microns_per_pixel = known[0]

    @property
    def is_believed(self) -> bool:
        """Whether the scale is the one that the file says."""
        return self.microns_per_pixel == _number(self.said)

    @property
    def factors(self) -> list[float]:
        """Level-0 pixels per pixel of every level."""
        return self._file.factors

    def level_for(self, factor: float, slack: float = LEVEL_SLACK) -> int:
        """The coarsest level that is fine enough for `factor` level-0 pixels per pixel, or too coarse by `slack`."""
        fine = [level for level, own in enumerate(self.factors) if own <= max(1.0, factor) * slack]
        return fine[-1] if fine else 0

    def read(self, x: int, y: int, width: int, height: int, size: tuple[int, int]) -> Image:
        """The part of level 0 at (x, y), `width` x `height`, resized to `size` (width, height); outside is white.

        Memory: the part in the level that is just fine enough for `size`.
        """
        level = self.level_for(width / size[0])
        factor = self.factors[level]
        shape = max(1, round(width / factor)), max(1, round(height / factor))
        return resized(self.read_level(x, y, level, shape), size)

    def read_level(self, x: int, y: int, level: int, shape: tuple[int, int]) -> Image:
        """`shape` (width, height) pixels of a level, from (x, y) in pixels of level 0; outside is white."""
        try:
            return self._file.read(x, y, level, shape)
        except InputError:
            raise
        except Exception as error:  # every decoder has exceptions of its own
            raise InputError(f"{self.path}: damaged at ({x}, {y}): {error}") from None

    def overview(self) -> tuple[Image, float]:
        """The slide, MAP_SIDE pixels long at most, read tile by tile; and the level-0 pixels per pixel of it."""
        scale = max(1.0, max(self.width, self.height) / MAP_SIDE)
        # A level of the pyramid that is a little coarser spares reading a much finer one.
        scale = min((factor for factor in self.factors if scale <= factor <= 2 * scale), default=scale)
        picture = np.full((math.ceil(self.height / scale), math.ceil(self.width / scale), 3), 255, np.uint8)
        step = max(1, int(TILE * self.factors[self.level_for(scale)] / scale))
        for top in range(0, picture.shape[0], step):
            for left in range(0, picture.shape[1], step):
                height, width = picture[top : top + step, left : left + step].shape[:2]
                x, y = round(left * scale), round(top * scale)
                part = self.read(x, y, round(width * scale), round(height * scale), (width, height))
                picture[top : top + height, left : left + width] = part
        return picture, scale

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def resized(image: Image, size: tuple[int, int]) -> Image:
    """An image at another size (width, height)."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    shrinks = image.shape[1] > size[0] or image.shape[0] > size[1]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), np.uint8)


def is_scale(microns_per_pixel: float) -> bool:
    """Whether a slide can have so many micrometres per pixel: see SCALES."""
    return SCALES[0] <= microns_per_pixel <= SCALES[1]


def is_slide(path: Path) -> bool:
    """Whether a file is to be read in parts: a scanner's, or a TIFF with a pyramid or too large for an image."""
    suffix = path.suffix.lower()
    if suffix not in (".tif", ".tiff"):
        return suffix in SLIDE_SUFFIXES
    try:
        with tifffile.TiffFile(path) as file:
            first = file.series[0]
            return len(first.levels) > 1 or int(np.prod(first.shape[:2])) > MAX_PIXELS
    except Exception:  # a damaged TIFF is an image that does not decode, and is told so there
        return False


def _open(path: Path) -> _File:
    try:
        file = _OpenSlideFile(path)
    except InputError as error:
        try:
            return _TiffFile(path)
        except InputError as other:
            raise InputError(f"{path}: {error}; {other}") from None
    if file.is_plain_tiff:
        with suppress(InputError):
            faster = _TiffFile(path)
            if faster.sizes == file.sizes:
                faster.said = file.said or faster.said
                file.close()
                return faster
            faster.close()
    return file


class _OpenSlideFile:
    """Through OpenSlide."""

    def __init__(self, path: Path) -> None:
        import openslide

        try:
            self._file = openslide.OpenSlide(path)
        except (openslide.OpenSlideError, OSError) as error:
            raise InputError(f"OpenSlide cannot read it: {error or 'not a slide'}") from None
        self.sizes = list(self._file.level_dimensions)
        self.factors = list(self._file.level_downsamples)
        self.said = self._file.properties.get(openslide.PROPERTY_NAME_MPP_X)
        self.is_plain_tiff = self._file.properties.get(openslide.PROPERTY_NAME_VENDOR) == "generic-tiff"

    def read(self, x: int, y: int, level: int, shape: tuple[int, int]) -> Image:
        region = np.asarray(self._file.read_region((x, y), level, shape))
        colours = cv2.cvtColor(region, cv2.COLOR_RGBA2BGR)
        if (alpha := region[:, :, 3:]).min() < 255:  # parts that were not scanned, or lie outside
            paper = 255 * (255 - alpha.astype(np.uint16))
            return ((colours * alpha.astype(np.uint16) + paper) // 255).astype(np.uint8)
        return np.asarray(colours, np.uint8)

    def close(self) -> None:
        self._file.close()


class _TiffFile:
    """Through tifffile, strip by strip or tile by tile."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = tifffile.TiffFile(path)
            levels = self._file.series[0].levels
            self._pages: list[Any] = [level.pages[0] for level in levels]
        except Exception as error:
            raise InputError(f"tifffile cannot read it: {' '.join(str(error).split())}") from None
        for page in self._pages:
            height, width = page.tilelength or page.rowsperstrip, page.tilewidth or page.imagewidth
            if page.dtype != np.uint8 or page.samplesperpixel not in (3, 4) or page.planarconfig != 1:
                self._file.close()
                raise InputError("tifffile reads slides of 8-bit RGB alone")
            if min(height, page.imagelength) * width > MAX_SEGMENT:
                self._file.close()
                raise InputError(f"its strips have more than {MAX_SEGMENT} pixels; write it anew in tiles")
        self.sizes = [(int(page.imagewidth), int(page.imagelength)) for page in self._pages]
        self.factors = [self.sizes[0][0] / width for width, _ in self.sizes]
        self.said = _resolution(self._pages[0])
        self._kept: OrderedDict[tuple[int, int], Image] = OrderedDict()

    def read(self, x: int, y: int, level: int, shape: tuple[int, int]) -> Image:
        page, (width, height) = self._pages[level], self.sizes[level]
        left, top = round(x / self.factors[level]), round(y / self.factors[level])
        part = np.full((shape[1], shape[0], 3), 255, np.uint8)
        high, wide = int(page.tilelength or page.rowsperstrip), int(page.tilewidth or page.imagewidth)
        high = min(high, height)
        across = -(-width // wide)
        for row in range(max(0, top) // high, -(-min(height, top + shape[1]) // high)):
            for column in range(max(0, left) // wide, -(-min(width, left + shape[0]) // wide)):
                segment = self._segment(level, row * across + column)
                if segment is None:
                    continue
                above, start = row * high, column * wide
                end = min(above + segment.shape[0], top + shape[1], height)
                right = min(start + segment.shape[1], left + shape[0], width)
                first, begin = max(above, top), max(start, left)
                if first < end and begin < right:
                    cut = segment[first - above : end - above, begin - start : right - start]
                    part[first - top : end - top, begin - left : right - left] = cut
        return part

    def _segment(self, level: int, index: int) -> Image | None:
        """A decoded tile or strip; None if the file leaves it out."""
        if (level, index) in self._kept:
            self._kept.move_to_end((level, index))
            return self._kept[level, index]
        page = self._pages[level]
        count = page.databytecounts[index]
        if not count:
            return None
        self._file.filehandle.seek(page.dataoffsets[index])
        data = self._file.filehandle.read(count)
        if len(data) < count:
            raise ValueError("the file is cut short")
        decoded, _, _ = page.decode(data, index, jpegtables=page.jpegtables)
        if decoded is None:
            return None
        order = cv2.COLOR_RGB2BGR if decoded.shape[3] == 3 else cv2.COLOR_RGBA2BGR
        segment = np.asarray(cv2.cvtColor(decoded[0], order), np.uint8)
        self._kept[level, index] = segment
        while len(self._kept) > 1 and sum(kept.size for kept in self._kept.values()) > 3 * KEPT_PIXELS:
            self._kept.popitem(last=False)
        return segment

    def close(self) -> None:
        self._file.close()


def _resolution(page: Any) -> str | None:
    """Micrometres per pixel of a TIFF's resolution tags."""
    tag, unit = page.tags.get("XResolution"), page.tags.get("ResolutionUnit")
    if tag is None or unit is None or not tag.value[0]:
        return None
    length = {2: 25_400, 3: 10_000}.get(int(unit.value))
    return None if length is None else f"{length * tag.value[1] / tag.value[0]:.6g}"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
