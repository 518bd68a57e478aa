"""Synthetic images of the four pathologies of BACH, and of BISQUE's two, in these sets' folders and names.

Normal tissue has few glands of small nuclei in much stroma, benign tissue many of larger ones; in situ carcinoma is a
malignant epithelium that fills ducts and stays in them, invasive carcinoma the same cells in sheets and strands without
a border. BISQUE's images come from another laboratory: fainter, bluer stains, another camera.

`difficulty`, from 0 to 1, takes the differences away as it does in `synthetic`: nuclei of all classes become alike,
glands become as many in normal tissue as in benign, and half that part of a patient's images show the architecture of
the class beside theirs in the tree.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.synthetic.breakhis import make_patients, stream
from data_prep.synthetic.tissue import (
    HEIGHT,
    WIDTH,
    Epithelium,
    Patient,
    Position,
    Tissue,
    draw_glands,
    draw_sheets,
    fill,
    paint,
)
from pyhisto.hierarchy.tree import LEAVES
from pyhisto.preprocessing.images import Image

SIZE = (400, 300)
"""Width and height: BACH's proportions."""

LETTERS = {"Normal": "n", "Benign": "b", "InSitu": "is", "Invasive": "iv"}
CELLULARITY = {"Normal": (0.06, 0.20), "Benign": (0.30, 0.48), "InSitu": (0.30, 0.50), "Invasive": (0.45, 0.70)}
"""Range of a patient's share of epithelium."""

SMALL = 0.8
"""A nucleus of normal tissue is so large, in those of benign tissue."""

MAGNIFICATION = 1.25
"""Of 100X."""


@dataclass(frozen=True)
class Photo:
    """One image to draw."""

    path: Path
    """Under the tree's root."""
    pathology: str
    patient: Patient
    difficulty: float


def make_photos(patients: int, images: int, extension: int, difficulty: float, seed: int) -> Iterator[Photo]:
    """`images` photos of each of `patients` patients of each of the four classes, under Photos/ as BACH has them; and
    of `extension` patients of each of BISQUE's two classes, under bisque/."""
    drawn = iter(make_patients(2 * (2 * patients + extension), seed, difficulty))
    benign, malignant = zip(*zip(drawn, drawn, strict=True), strict=True)  # they come in turn
    pools = {0: iter(benign), 1: iter(malignant)}
    for number, kind in enumerate(LEAVES):
        for index in range(patients):
            own = _grown(next(pools[number // 2]), kind, f"{LETTERS[kind]}-{index + 1:02d}", difficulty, seed)
            for image in range(images):
                name = f"{LETTERS[kind]}{index * images + image + 1:03d}.tif"
                yield Photo(Path("Photos", kind, name), kind, own, difficulty)
    for label, (folder, kinds) in enumerate((("benign", ("Benign",)), ("malignant", ("InSitu", "Invasive")))):
        for index in range(extension):
            kind, slide = kinds[index % len(kinds)], f"ytma{index + 1:02d}{'bm'[label]}_010101"
            own = _elsewhere(_grown(next(pools[label]), kind, slide, difficulty, seed))
            for image in range(images):
                path = Path("bisque", folder, f"{slide}_{folder}{image + 1}_ccd.tif")
                yield Photo(path, kind, own, difficulty)


def draw(photo: Photo, seed: int) -> Image:
    """The image, SIZE, a function of (seed, photo) alone."""
    other = {"Normal": "Benign", "Benign": "Normal", "InSitu": "Invasive", "Invasive": "InSitu"}
    atypical = stream(seed, "atypical", str(photo.path)).random() < photo.difficulty / 2
    kind = other[photo.pathology] if atypical else photo.pathology
    patient = photo.patient
    if atypical:
        patient = replace(patient, cellularity=_cellularity(kind, patient.name, photo.difficulty, seed))
    image = paint(patient, MAGNIFICATION, EPITHELIA[kind], stream(seed, "image", str(photo.path)))
    width = HEIGHT * SIZE[0] // SIZE[1]
    left = (WIDTH - width) // 2
    return np.asarray(cv2.resize(image[:, left : left + width], SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def draw_ducts(tissue: Tissue) -> None:
    """Ducts that do not touch, full of malignant cells, with an intact ring around; now and then dead in the middle."""
    rng = tissue.rng
    for centre, radius in tissue.places(400, 40, 80, gap=8):
        wall = tissue.outline(centre, (radius, radius * rng.uniform(0.7, 1.0)), rng.uniform(0, math.pi), 0.12)
        tissue.enclose(wall)
        dead = radius * rng.uniform(0.25, 0.45) if rng.random() < 0.35 else 0.0
        if dead:
            fill(tissue.lumen, tissue.outline(centre, (dead, dead * 0.8), rng.uniform(0, math.pi), 0.2), 150)
        _fill_duct(tissue, centre, (wall / 16).astype(np.float32), dead)
        cv2.polylines(tissue.nuclei, [wall], True, (110,), round(1.5 * tissue.scale), cv2.LINE_AA, 4)


EPITHELIA: dict[str, Epithelium] = {
    "Normal": draw_glands,
    "Benign": draw_glands,
    "InSitu": draw_ducts,
    "Invasive": draw_sheets,
}


def _fill_duct(tissue: Tissue, centre: Position, wall: NDArray[np.float32], dead: float) -> None:
    """Nuclei on a shaken grid inside a wall (points in pixels), but not where the cells are dead."""
    patient, rng = tissue.patient, tissue.rng
    radius = patient.nuclear_radius * tissue.scale
    step = 2 * radius / patient.crowding
    low, high = wall.min(axis=0), wall.max(axis=0)
    for top in np.arange(low[1], high[1], step * 0.9):
        for left in np.arange(low[0], high[0], step):
            x, y = left + rng.normal(0, 0.16 * step), top + rng.normal(0, 0.16 * step)
            inside = cv2.pointPolygonTest(wall[:, np.newaxis], (float(x), float(y)), True) > 0.7 * radius
            if inside and math.hypot(x - centre[0], y - centre[1]) > dead and rng.random() < 0.93:
                turn = rng.uniform(0, math.pi)
                tissue.nucleus((float(x), float(y)), radius, rng.uniform(1.0, 1.5), turn)


def _grown(patient: Patient, kind: str, name: str, difficulty: float, seed: int) -> Patient:
    """The patient with a name, and with the cellularity and the nuclei of a pathology."""
    size = SMALL + difficulty * (1 - SMALL) if kind == "Normal" else 1.0
    return replace(
        patient, name=name, subtype=kind, nuclear_radius=size * patient.nuclear_radius,
        cellularity=_cellularity(kind, name, difficulty, seed),
    )  # fmt: skip


def _cellularity(kind: str, name: str, difficulty: float, seed: int) -> float:
    """The share of epithelium in a patient's tissue of a pathology."""
    own = float(stream(seed, "cellularity", name, kind).uniform(*CELLULARITY[kind]))
    if kind in ("Normal", "Benign"):
        own += difficulty * (float(np.mean([CELLULARITY["Normal"], CELLULARITY["Benign"]])) - own)
    return own


def _elsewhere(patient: Patient) -> Patient:
    """The patient's tissue in another laboratory's stains and light."""
    tint = np.array([1.15, 0.95, 0.9])
    return replace(
        patient,
        hematoxylin=0.75 * patient.hematoxylin * tint,
        eosin=0.75 * patient.eosin * tint,
        light=np.minimum(patient.light * [1.02, 0.96, 0.93], 250),
    )
