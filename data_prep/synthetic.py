"""Synthetic H&E images in BreaKHis's shape, for a demonstration and for tests: no patient, no download, no licence.

Tissue is drawn as two maps of stain concentration, hematoxylin (nuclei) and eosin (stroma, cytoplasm), and becomes
light by Beer and Lambert's law, each patient with a stain of its own. The classes differ in what a pathologist looks
at: benign tissue is glands, lined by small, regular nuclei around an open lumen; malignant tissue is sheets and strands
of large, crowded nuclei of uneven size and shape, with hardly a lumen left.

`difficulty`, from 0 to 1, takes that away: the nuclei of both classes go that part of the way to what lies between
them, and half that part of a patient's images show the other class's architecture. At 1 the classes are the same.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto.preprocessing.images import Image

WIDTH, HEIGHT = 700, 460
TYPES = {
    0: (("A", "adenosis"), ("F", "fibroadenoma"), ("PT", "phyllodes_tumor"), ("TA", "tubular_adenoma")),
    1: (
        ("DC", "ductal_carcinoma"),
        ("LC", "lobular_carcinoma"),
        ("MC", "mucinous_carcinoma"),
        ("PC", "papillary_carcinoma"),
    ),
}
FOLDS = 5
TEST_FRACTION = 0.3
"""Of the patients, as in the official folds."""

HEMATOXYLIN = np.array([0.29, 0.70, 0.65])
EOSIN = np.array([0.40, 0.90, 0.13])
"""Optical density of the two stains in B, G, R; between the vectors of Ruifrok (2001) and of Macenko (2009)."""

Plane: TypeAlias = NDArray[Any]
"""HEIGHT x WIDTH, floating point."""


@dataclass(frozen=True)
class Patient:
    """One patient's tissue and stain; lengths in pixels at 100X."""

    name: str
    label: int
    subtype: str
    folder: str
    difficulty: float
    nuclear_radius: float
    size_variation: float
    """Standard deviation of the logarithm of the radius: pleomorphism."""
    irregularity: float
    """Depth of the dents in a nucleus's outline, as a fraction of its radius."""
    crowding: float
    """Nuclear diameters per distance between neighbours."""
    cellularity: float
    """Fraction of the image that is epithelium."""
    stroma_angle: float
    hematoxylin: NDArray[np.float64]
    eosin: NDArray[np.float64]
    light: NDArray[np.float64]
    """Colour of the empty slide, B, G, R."""


Mask: TypeAlias = NDArray[np.uint8]
"""HEIGHT x WIDTH."""
Epithelium: TypeAlias = Callable[[Mask, Mask, Mask, np.random.Generator, Patient, float], None]
"""Draws cells on the planes of nuclei, cytoplasm and lumen, given a patient and a scale."""


@dataclass(frozen=True)
class Sample:
    """One image to draw, and the name of its file under the tree."""

    patient: Patient
    number: int
    magnification: int

    @property
    def file_name(self) -> str:
        """As BreaKHis names it."""
        letter = "BM"[self.patient.label]
        return f"SOB_{letter}_{self.patient.subtype}-{self.patient.name}-{self.magnification}-{self.number:03d}.png"

    @property
    def path(self) -> Path:
        """As BreaKHis places it, from BreaKHis_v1 on."""
        patient, letter = self.patient, "BM"[self.patient.label]
        kind = Path("histology_slides/breast") / ("benign", "malignant")[patient.label] / "SOB" / patient.folder
        return kind / f"SOB_{letter}_{patient.subtype}_{patient.name}" / f"{self.magnification}X" / self.file_name


NUCLEI = {  # ranges of a patient's value, benign and malignant
    "nuclear_radius": ((4.6, 5.6), (7.2, 9.0)),
    "size_variation": ((0.08, 0.14), (0.24, 0.34)),
    "irregularity": ((0.02, 0.05), (0.12, 0.20)),
    "crowding": ((0.75, 0.85), (0.70, 0.82)),
    "cellularity": ((0.30, 0.45), (0.55, 0.75)),
}


def make_patients(count: int, seed: int, difficulty: float = 0.0) -> list[Patient]:
    """`count` patients, benign and malignant in turn, the same for the same seed."""
    return [_make_patient(index, seed, difficulty) for index in range(count)]


def _make_patient(index: int, seed: int, difficulty: float) -> Patient:
    rng = stream(seed, "patient", index)
    label, subtype = index % 2, TYPES[index % 2][index // 2 % 4]

    def stain(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        turned = vector + rng.normal(0, 0.05, 3)
        strength: float = rng.uniform(0.75, 1.25)
        return np.maximum(turned, 0.02) / float(np.linalg.norm(turned)) * strength

    nuclei = {}
    for name, ranges in NUCLEI.items():
        own = rng.uniform(*ranges[label])
        nuclei[name] = own + difficulty * (float(np.mean(ranges)) - own)
    return Patient(
        name=f"16-{10001 + index}",
        label=label,
        subtype=subtype[0],
        folder=subtype[1],
        difficulty=difficulty,
        **nuclei,
        stroma_angle=rng.uniform(0, 180),
        hematoxylin=stain(HEMATOXYLIN),
        eosin=stain(EOSIN),
        light=np.array([rng.uniform(225, 245), rng.uniform(230, 245), rng.uniform(230, 248)]),
    )


def make_samples(patients: Sequence[Patient], images: int, magnification: int) -> list[Sample]:
    """`images` images of each patient."""
    return [Sample(patient, number, magnification) for patient in patients for number in range(1, images + 1)]


def fold_lines(samples: Sequence[Sample], fold: int, seed: int) -> Iterator[str]:
    """One fold in the official form, `file|magnification|fold|role`: 30% of each class's patients are its test."""
    test: set[str] = set()
    for label in TYPES:
        names = sorted({sample.patient.name for sample in samples if sample.patient.label == label})
        order = stream(seed, "fold", fold, label).permutation(len(names))
        test.update(names[index] for index in order[: max(1, round(TEST_FRACTION * len(names)))])
    for sample in samples:
        role = "test" if sample.patient.name in test else "train"
        yield f"{sample.file_name}|{sample.magnification}|{fold}|{role}"


def draw(sample: Sample, seed: int) -> Image:
    """The image, HEIGHT x WIDTH x 3, a function of (seed, sample) alone."""
    atypical = stream(seed, "atypical", sample.file_name).random() < sample.patient.difficulty / 2
    epithelium = draw_sheets if (sample.patient.label == 1) != atypical else draw_glands
    rng = stream(seed, "image", sample.file_name)
    return paint(sample.patient, sample.magnification / 100, epithelium, rng)


def paint(patient: Patient, scale: float, epithelium: Epithelium, rng: np.random.Generator) -> Image:
    """Stroma with an epithelium drawn into it, HEIGHT x WIDTH x 3; `scale` is the magnification over 100."""
    stroma = _fibres(rng, patient.stroma_angle + rng.normal(0, 15), scale)
    eosin: Plane = 0.42 + 0.13 * stroma
    eosin[stroma < -1.9] = 0.03  # clefts between the fibres
    nuclei = np.zeros((HEIGHT, WIDTH), np.uint8)
    cytoplasm = np.zeros((HEIGHT, WIDTH), np.uint8)
    lumen = np.zeros((HEIGHT, WIDTH), np.uint8)

    _draw_spindles(nuclei, rng, patient, scale)
    epithelium(nuclei, cytoplasm, lumen, rng, patient, scale)

    inside = cv2.GaussianBlur(cytoplasm.astype(np.float32) / 255, (0, 0), 1.2 * scale)
    empty = cv2.GaussianBlur(lumen.astype(np.float32) / 255, (0, 0), scale)
    grain = _smooth_noise(rng, 1.3 * scale)
    eosin = (eosin * (1 - inside) + inside * (0.30 + 0.05 * grain)) * (1 - 0.95 * empty)
    hematoxylin = inside * 0.16 * (1 - empty) + cv2.GaussianBlur(nuclei, (0, 0), 0.7).astype(np.float32) / 170 * (
        1 + 0.18 * grain
    )
    eosin *= np.clip(1 - 0.6 * nuclei.astype(np.float32) / 255, 0, 1)
    return _develop(hematoxylin, eosin, patient, rng)


def _develop(hematoxylin: Plane, eosin: Plane, patient: Patient, rng: np.random.Generator) -> Image:
    """Beer and Lambert: light * exp(-(what the stains absorb)); then an uneven lamp and the camera's noise."""
    strength = rng.uniform(0.92, 1.08)
    across, down = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
    lamp = 1 - 0.04 * ((across - rng.normal(0, 0.3)) ** 2 + (down - rng.normal(0, 0.3)) ** 2)
    hematoxylin, eosin = np.maximum(hematoxylin, 0) * (1.25 * strength), np.maximum(eosin, 0) * strength
    channels = []
    for blue, pink, light in zip(patient.hematoxylin, patient.eosin, patient.light, strict=True):
        density = hematoxylin * np.float32(blue) + eosin * np.float32(pink)
        noise = 1.5 * rng.standard_normal(density.shape, np.float32)
        channels.append(np.clip(np.rint(light * lamp * np.exp(-density) + noise), 0, 255).astype(np.uint8))
    return np.dstack(channels)


def _smooth_noise(rng: np.random.Generator, sigma: float) -> Plane:
    """Gaussian noise of unit variance, correlated over about `sigma` pixels."""
    factor = max(1, int(sigma / 3))  # coarse noise is made small and enlarged
    shape = (HEIGHT // factor + 2, WIDTH // factor + 2)
    noise = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), max(sigma / factor, 0.1))
    noise = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


def _fibres(rng: np.random.Generator, angle: float, scale: float) -> Plane:
    """Collagen: noise drawn out along a direction (degrees), then bent by a slow displacement; unit variance."""
    side = int(math.hypot(WIDTH, HEIGHT)) + 80
    streaks = cv2.GaussianBlur(rng.standard_normal((side, side), np.float32), (0, 0), 22 * scale, sigmaY=1.6 * scale)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1)
    streaks = cv2.warpAffine(streaks, turn, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    across = columns + (side - WIDTH) / 2 + 14 * _smooth_noise(rng, 45 * scale)
    down = rows + (side - HEIGHT) / 2 + 14 * _smooth_noise(rng, 45 * scale)
    bent = cv2.remap(streaks, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR, borderMode=4)
    bent = (bent - bent.mean()) / bent.std()
    return np.asarray(0.8 * bent + 0.6 * _smooth_noise(rng, 30 * scale), np.float32)


_TURN = np.linspace(0, 2 * math.pi, 20, endpoint=False)
_COS, _SIN = np.cos(_TURN), np.sin(_TURN)
_HARMONICS = np.arange(2, 5)


def outline(
    rng: np.random.Generator, centre: tuple[float, float], axes: tuple[float, float], angle: float, dents: float
) -> NDArray[np.int32]:
    """A closed, dented ellipse as points in 1/16 pixels (OpenCV's shift of 4)."""
    waves = dents / _HARMONICS * rng.standard_normal(3)
    radius = 1 + waves @ np.cos(_HARMONICS[:, np.newaxis] * _TURN + rng.uniform(0, 2 * math.pi, (3, 1)))
    x, y = axes[0] * radius * _COS, axes[1] * radius * _SIN
    cos, sin = math.cos(angle), math.sin(angle)
    points: NDArray[np.float64] = np.array([centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos])
    return _fixed(points.T)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Points for OpenCV's drawing functions: 4 bits after the binary point."""
    return np.asarray(np.rint(points * 16), np.int32)


def draw_nucleus(
    plane: NDArray[np.uint8],
    rng: np.random.Generator,
    patient: Patient,
    centre: tuple[float, float],
    radius: float,
    length: float,
    angle: float,
) -> None:
    """One nucleus: a body, a darker membrane, and in malignant tissue a nucleolus."""
    radius *= math.exp(patient.size_variation * rng.normal())
    points = outline(rng, centre, (radius * length, radius / math.sqrt(length)), angle, patient.irregularity)
    body = rng.normal(120, 8 + 150 * patient.irregularity)
    shade = float(np.clip(body, 70, 190))
    cv2.fillPoly(plane, [points], (shade,), cv2.LINE_AA, 4)
    cv2.polylines(plane, [points], True, (min(255.0, shade * 1.3),), 1, cv2.LINE_AA, 4)
    if patient.label == 1 and rng.random() < 0.5:
        spot = (
            round(16 * (centre[0] + rng.normal(0, radius / 4))),
            round(16 * (centre[1] + rng.normal(0, radius / 4))),
        )
        cv2.circle(plane, spot, round(16 * radius / 5), (min(255.0, shade * 1.6),), -1, cv2.LINE_AA, 4)


def _draw_spindles(plane: NDArray[np.uint8], rng: np.random.Generator, patient: Patient, scale: float) -> None:
    """The stroma's own thin nuclei, along its fibres."""
    for _ in range(int(rng.integers(70, 110) / scale**2)):
        centre = (rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT))
        angle = math.radians(-patient.stroma_angle + rng.normal(0, 20))
        points = outline(rng, centre, (6.0 * scale, 1.7 * scale), angle, 0.05)
        cv2.fillPoly(plane, [points], (float(rng.uniform(90, 150)),), cv2.LINE_AA, 4)


def draw_glands(
    nuclei: NDArray[np.uint8],
    cytoplasm: NDArray[np.uint8],
    lumen: NDArray[np.uint8],
    rng: np.random.Generator,
    patient: Patient,
    scale: float,
) -> None:
    """Glands that do not touch: a lumen, a wall of cytoplasm, and one or two rings of nuclei that stand on it."""
    target, covered = patient.cellularity * WIDTH * HEIGHT, 0.0
    placed: list[tuple[float, float, float]] = []
    wall = 4.0 * patient.nuclear_radius * scale
    for _ in range(600):
        if covered > target:
            break
        radius = rng.uniform(30, 62) * scale
        x, y = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
        if any(math.hypot(x - other[0], y - other[1]) < radius + other[2] + 5 * scale for other in placed):
            continue
        placed.append((x, y, radius * 1.1))
        covered += math.pi * radius**2
        stretch, angle = rng.uniform(0.75, 1.0), rng.uniform(0, math.pi)
        outer = outline(rng, (x, y), (radius, radius * stretch), angle, 0.10)
        # The lumen is the outline drawn in by the wall: every point moves the same distance to the centre.
        arms = outer / 16 - (x, y)
        lengths = np.hypot(arms[:, 0], arms[:, 1])
        shrink = np.maximum(lengths - wall, 0.12 * lengths) / lengths
        inner = _fixed(arms * shrink[:, np.newaxis] + (x, y))
        for plane in (nuclei, lumen):
            cv2.fillPoly(plane, [outer], (0,), cv2.LINE_8, 4)
        cv2.fillPoly(cytoplasm, [outer], (255,), cv2.LINE_AA, 4)
        cv2.fillPoly(lumen, [inner], (255 if rng.random() < 0.85 else 90,), cv2.LINE_AA, 4)
        for depth, small in ((0.26, 0.8), (0.62, 1.0)):
            _draw_ring(nuclei, rng, patient, (x, y), arms * (1 - depth * (1 - shrink))[:, np.newaxis], small, scale)


def _draw_ring(
    nuclei: NDArray[np.uint8],
    rng: np.random.Generator,
    patient: Patient,
    centre: tuple[float, float],
    arms: NDArray[np.float64],
    small: float,
    scale: float,
) -> None:
    """Nuclei side by side along a closed line around `centre`, each pointing at it."""
    line = np.vstack([arms, arms[:1]])
    steps = np.hypot(*np.diff(line, axis=0).T)
    walked = np.concatenate([[0.0], np.cumsum(steps)])
    radius = small * patient.nuclear_radius * scale
    for place in np.arange(0, walked[-1] - radius, 2 * radius / patient.crowding):
        x, y = (np.interp(place + rng.normal(0, 0.2 * radius), walked, line[:, axis]) for axis in (0, 1))
        spot = (centre[0] + float(x), centre[1] + float(y))
        draw_nucleus(nuclei, rng, patient, spot, radius, 1.15, math.atan2(y, x) + rng.normal(0, 0.2))


def draw_sheets(
    nuclei: NDArray[np.uint8],
    cytoplasm: NDArray[np.uint8],
    lumen: NDArray[np.uint8],
    rng: np.random.Generator,
    patient: Patient,
    scale: float,
) -> None:
    """Sheets without order, strands between the fibres, single cells in the stroma; now and then a slit of a lumen."""
    field = _smooth_noise(rng, 26 * scale)
    sheet = (field > np.quantile(field, 1 - patient.cellularity)).astype(np.uint8) * 255
    np.maximum(cytoplasm, sheet, out=cytoplasm)
    nuclei[sheet > 0] = 0
    for _ in range(int(rng.integers(0, 3))):
        centre = (rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT))
        slit = outline(rng, centre, (rng.uniform(8, 18) * scale, 5 * scale), rng.uniform(0, math.pi), 0.3)
        cv2.fillPoly(lumen, [slit], (255,), cv2.LINE_AA, 4)
    radius = patient.nuclear_radius * scale
    step = 2 * radius / patient.crowding
    for row, top in enumerate(np.arange(-radius, HEIGHT + radius, step * 0.9)):
        for left in np.arange(-radius + row % 2 * step / 2, WIDTH + radius, step):
            x, y = left + rng.normal(0, 0.16 * step), top + rng.normal(0, 0.16 * step)
            column, line = min(max(int(x), 0), WIDTH - 1), min(max(int(y), 0), HEIGHT - 1)
            chance = 0.93 if sheet[line, column] else 0.10
            if lumen[line, column] == 0 and rng.random() < chance:
                draw_nucleus(
                    nuclei, rng, patient, (float(x), float(y)), radius, rng.uniform(1.0, 1.5), rng.uniform(0, math.pi)
                )


def stream(seed: int, *what: object) -> np.random.Generator:
    """A stream of its own for everything that has a name."""
    digest = hashlib.sha256(repr((seed, *what)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))
