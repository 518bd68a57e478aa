"""Samples from whole slides: read in parts, never a slide at once, so that memory does not grow with the slide."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from data_prep.slides.annotations import CLASSES, Region
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.slide import Slide
from pyhisto.preprocessing.tissue import Mask

WIDTH, HEIGHT = 768, 512
"""Of a sample, pixels (the paper's 512 x 768)."""
MAP_ROWS = 32
"""Height of a sample on the maps of tissue and labels, pixels, at most."""
MIN_COVER = 0.5
"""Part of a sample that must be of its class and tissue."""
TRIES = 20_000
"""Places tried per class."""
THOROUGH = 200_000
"""The same, if it is to be found out how many there are."""

COLOURS = ((80, 160, 80), (200, 140, 0), (0, 140, 255), (40, 40, 220))
"""Of the classes on the overview, B, G, R."""


@dataclass(frozen=True)
class Place:
    """Where a sample is taken: the left upper corner in pixels of level 0."""

    label: int
    x: int
    y: int


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
