"""Samples from whole slides: read in parts, never a slide at once, so that memory does not grow with the slide."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.slides.annotations import CLASSES, Region
from pyhisto.errors import InputError
from pyhisto.preprocessing.images import Image

WIDTH, HEIGHT = 768, 512
"""Of a sample, pixels (the paper's 512 x 768)."""
MAP_SIDE = 4096
"""Longest side of a slide's overview, pixels."""
MAP_ROWS = 32
"""Height of a sample on the maps of tissue and labels, pixels, at most."""
TILE = 2048
"""Side of the parts in which a slide is read, pixels."""
MIN_SATURATION = 20
"""Of 255; glass has less, whatever Otsu's method says about a slide that is all glass."""
MIN_COVER = 0.5
"""Part of a sample that must be of its class and tissue."""
TRIES = 20_000
"""Places tried per class."""
THOROUGH = 200_000
"""The same, if it is to be found out how many there are."""

SCALES = (0.05, 10.0)
"""Micrometres per pixel that a slide's level 0 can have. Light resolves no finer than 0.2, and nobody scans below an
objective of 1x, some 10. What image programs write by default lies outside: 72 to 1200 dots an inch are 353 to 21."""

COLOURS = ((80, 160, 80), (200, 140, 0), (0, 140, 255), (40, 40, 220))
"""Of the classes on the overview, B, G, R."""

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Place:
    """Where a sample is taken: the left upper corner in pixels of level 0."""

    label: int
    x: int
    y: int


class Slide:
    """A whole slide through OpenSlide."""

    def __init__(self, path: Path, *otherwise: float | None) -> None:
        """Open a slide.

        Its micrometres per pixel are what the file says, or, if it says nothing or nothing within SCALES, the first of
        `otherwise` within them. Raises InputError if there is none, and for a file that OpenSlide cannot read.
        """
        import openslide

        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{path}: no such file")
        try:
            self._file = openslide.OpenSlide(path)
        except (openslide.OpenSlideError, OSError) as error:
            raise InputError(f"{path}: OpenSlide cannot read it: {error or 'not a slide'}") from None
        self._error = openslide.OpenSlideError
        self.width, self.height = self._file.dimensions
        self.said: str | None = self._file.properties.get(openslide.PROPERTY_NAME_MPP_X)
        """What the file itself says of its micrometres per pixel, believed or not."""
        known = [scale for scale in (_number(self.said), *otherwise) if scale is not None and is_scale(scale)]
        if not known:
            self.close()
            says = f"says {self.said}" if self.said else "does not say its"
            raise InputError(
                f"{path}: {says} micrometres per pixel (believed: {SCALES[0]:g} to {SCALES[1]:g}); give --slide-mpp"
            )
        self.microns_per_pixel = known[0]

    @property
    def is_believed(self) -> bool:
        """Whether the scale is the one that the file says."""
        return self.microns_per_pixel == _number(self.said)

    def read(self, x: int, y: int, width: int, height: int, size: tuple[int, int]) -> Image:
        """The part of level 0 at (x, y), `width` x `height`, resized to `size` (width, height); outside is white.

        Memory: the part in the level that is just fine enough for `size`.
        """
        level = self._file.get_best_level_for_downsample(max(1.0, width / size[0]) * 1.01)
        factor = self._file.level_downsamples[level]
        shape = max(1, round(width / factor)), max(1, round(height / factor))
        try:
            region = np.asarray(self._file.read_region((x, y), level, shape))
        except self._error as error:
            raise InputError(f"{self.path}: damaged at ({x}, {y}): {error}") from None
        colours = cv2.cvtColor(region, cv2.COLOR_RGBA2BGR)
        if (alpha := region[:, :, 3:]).min() < 255:  # parts that were not scanned, or lie outside
            colours = ((colours * alpha.astype(np.uint16) + 255 * (255 - alpha.astype(np.uint16))) // 255).astype(
                np.uint8
            )
        shrinks = shape[0] > size[0] or shape[1] > size[1]
        resized = cv2.resize(colours, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return np.asarray(resized, np.uint8)

    def overview(self) -> tuple[Image, float]:
        """The slide, MAP_SIDE pixels long at most, read tile by tile; and the level-0 pixels per pixel of it."""
        scale = max(1.0, max(self.width, self.height) / MAP_SIDE)
        # A level of the pyramid that is a little coarser spares reading a much finer one.
        scale = min((factor for factor in self._file.level_downsamples if scale <= factor <= 2 * scale), default=scale)
        picture = np.full((math.ceil(self.height / scale), math.ceil(self.width / scale), 3), 255, np.uint8)
        level = self._file.get_best_level_for_downsample(scale * 1.01)
        step = max(1, int(TILE * self._file.level_downsamples[level] / scale))
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


def is_scale(microns_per_pixel: float) -> bool:
    """Whether a slide can have so many micrometres per pixel: see SCALES."""
    return SCALES[0] <= microns_per_pixel <= SCALES[1]


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def tissue_mask(picture: Image) -> Mask:
    """Where an overview shows tissue (1): saturated colours, by Otsu's threshold, smoothed."""
    saturation = cv2.medianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)[:, :, 1], 7)
    threshold, _ = cv2.threshold(saturation, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return (saturation > max(threshold, MIN_SATURATION)).astype(np.uint8)


def coarser(mask: Mask, factor: float) -> Mask:
    """A mask of 0 and 1 with `factor` of its pixels per pixel: 1 where at least half of them are."""
    height, width = (max(1, round(side / factor)) for side in mask.shape)
    return (cv2.resize(mask * np.uint8(255), (width, height), interpolation=cv2.INTER_AREA) >= 128).astype(np.uint8)


def label_map(shape: tuple[int, ...], scale: float, regions: Sequence[Region]) -> Mask:
    """The regions drawn in their order on a map whose pixels are `scale` level-0 pixels; 0 where there is none."""
    labels = np.zeros(shape, np.uint8)
    for region in regions:
        cv2.fillPoly(labels, [np.rint(region.points / scale).astype(np.int32)], (region.label,))
    return labels


def choose_places(
    labels: Mask,
    tissue: Mask,
    scale: float,
    window: tuple[float, float],
    wanted: Sequence[float],
    seed: int,
    name: str,
    overlap: float = 0,
    tries: int = TRIES,
) -> list[Place]:
    """Up to `wanted[c]` samples of each class c, in the order found, which the arguments alone decide.

    `labels` and `tissue` have `scale` level-0 pixels per pixel; `window` is a sample's width and height in such pixels.
    A sample's centre is tissue of its class, at least MIN_COVER of it is, and a Normal one touches no region. Two
    samples overlap in one direction at least by no more than the part `overlap` of their side. `tries` places are
    tried per class.
    """
    digest = hashlib.sha256(repr((seed, name)).encode()).digest()
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))
    width, height = max(1, round(window[0] / scale)), max(1, round(window[1] / scale))
    taken = np.zeros_like(labels)
    places = []
    aside = round(overlap * height / 2), round(overlap * width / 2)
    # The rare classes first: what they need is not to be taken by the common ones.
    areas = [int(np.count_nonzero((labels == label) & (tissue > 0))) for label in range(len(CLASSES))]
    for label in sorted(range(len(CLASSES)), key=lambda label: areas[label]):
        ours = ((labels == label) & (tissue > 0)).astype(np.uint8)
        centres = np.flatnonzero(ours)
        tried = rng.choice(centres, min(tries, len(centres)), replace=False) if len(centres) else centres
        found = 0
        for centre in tried.tolist():
            if found == wanted[label]:
                break
            top, left = centre // labels.shape[1] - height // 2, centre % labels.shape[1] - width // 2
            here = np.s_[top : top + height, left : left + width]
            core = np.s_[top + aside[0] : top + height - aside[0], left + aside[1] : left + width - aside[1]]
            if min(top, left) < 0 or ours[here].size < width * height or taken[core].any():
                continue
            if ours[here].mean() < MIN_COVER or (label == 0 and labels[here].any()):
                continue
            taken[core] = 1
            found += 1
            places.append(Place(label, round(left * scale), round(top * scale)))
    return places


def draw_overview(
    picture: Image, scale: float, regions: Sequence[Region], places: Sequence[Place], window: tuple[float, float]
) -> Image:
    """The overview, at most 1600 pixels long, regions outlined and samples framed in their classes' colours."""
    smaller = min(1.0, 1600 / max(picture.shape[:2]))
    sheet: Any = cv2.resize(picture, None, fx=smaller, fy=smaller, interpolation=cv2.INTER_AREA)
    per_pixel = scale / smaller
    for region in regions:
        outline = np.rint(region.points / per_pixel).astype(np.int32)
        cv2.polylines(sheet, [outline], True, COLOURS[region.label], 2, cv2.LINE_AA)
    for place in places:
        corner = round(place.x / per_pixel), round(place.y / per_pixel)
        opposite = round((place.x + window[0]) / per_pixel), round((place.y + window[1]) / per_pixel)
        cv2.rectangle(sheet, corner, opposite, COLOURS[place.label], 1, cv2.LINE_AA)
    for label, name in enumerate(CLASSES):
        cv2.putText(sheet, name, (8, 20 + 18 * label), cv2.FONT_HERSHEY_SIMPLEX, 0.5, COLOURS[label], 1, cv2.LINE_AA)
    return np.asarray(sheet, np.uint8)


def read_samples(slide: Slide, places: Sequence[Place], microns_per_pixel: float) -> Iterator[tuple[Place, Image]]:
    """The samples, HEIGHT x WIDTH at the given scale, one after the other."""
    window = sample_window(slide, microns_per_pixel)
    for place in places:
        yield place, slide.read(place.x, place.y, round(window[0]), round(window[1]), (WIDTH, HEIGHT))


def sample_window(slide: Slide, microns_per_pixel: float) -> tuple[float, float]:
    """A sample's width and height in level-0 pixels."""
    factor = microns_per_pixel / slide.microns_per_pixel
    return WIDTH * factor, HEIGHT * factor
