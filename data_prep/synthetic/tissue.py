"""Synthetic H&E tissue: stroma, and glands or sheets of cells.

It is drawn as two maps of stain concentration, hematoxylin (nuclei) and eosin (stroma, cytoplasm), and becomes light by
Beer and Lambert's law.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.tissue import Mask

WIDTH, HEIGHT = 700, 460

Plane: TypeAlias = NDArray[Any]
"""HEIGHT x WIDTH, floating point."""
Position: TypeAlias = tuple[float, float]
"""x and y, pixels."""

_TURN = np.linspace(0, 2 * math.pi, 20, endpoint=False)
_COS, _SIN = np.cos(_TURN), np.sin(_TURN)
_HARMONICS = np.arange(2, 5)


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


def _blank() -> Mask:
    return np.zeros((HEIGHT, WIDTH), np.uint8)


@dataclass(frozen=True, eq=False)
class Tissue:
    """One image's cells while they are drawn, each kind on a plane of its own."""

    patient: Patient
    scale: float
    """The magnification over 100."""
    rng: np.random.Generator
    nuclei: Mask = field(default_factory=_blank)
    cytoplasm: Mask = field(default_factory=_blank)
    lumen: Mask = field(default_factory=_blank)

    def places(self, tries: int, smallest: float, largest: float, gap: float) -> Iterator[tuple[Position, float]]:
        """Centres and radii of circles that do not touch, until they cover the patient's share of epithelium.

        Lengths are at 100X. Each is drawn from `rng` only when it is asked for.
        """
        target, covered = self.patient.cellularity * WIDTH * HEIGHT, 0.0
        placed: list[tuple[float, float, float]] = []
        for _ in range(tries):
            if covered > target:
                return
            radius = self.rng.uniform(smallest, largest) * self.scale
            x, y = self.rng.uniform(0, WIDTH), self.rng.uniform(0, HEIGHT)
            if any(math.hypot(x - other[0], y - other[1]) < radius + other[2] + gap * self.scale for other in placed):
                continue
            placed.append((x, y, radius * 1.1))
            covered += math.pi * radius**2
            yield (x, y), radius

    def outline(self, centre: Position, axes: tuple[float, float], angle: float, dents: float) -> NDArray[np.int32]:
        """A closed, dented ellipse as points in 1/16 pixels (OpenCV's shift of 4)."""
        waves = dents / _HARMONICS * self.rng.standard_normal(3)
        radius = 1 + waves @ np.cos(_HARMONICS[:, np.newaxis] * _TURN + self.rng.uniform(0, 2 * math.pi, (3, 1)))
        x, y = axes[0] * radius * _COS, axes[1] * radius * _SIN
        cos, sin = math.cos(angle), math.sin(angle)
        points: NDArray[np.float64] = np.array([centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos])
        return _fixed(points.T)

    def enclose(self, wall: NDArray[np.int32]) -> None:
        """Cytoplasm inside a wall, and nothing else yet."""
        for plane in (self.nuclei, self.lumen):
            cv2.fillPoly(plane, [wall], (0,), cv2.LINE_8, 4)
        fill(self.cytoplasm, wall, 255)

    def nucleus(self, centre: Position, radius: float, length: float, angle: float) -> None:
        """One nucleus: a body, a darker membrane, and in malignant tissue a nucleolus."""
        patient, rng = self.patient, self.rng
        radius *= math.exp(patient.size_variation * rng.normal())
        points = self.outline(centre, (radius * length, radius / math.sqrt(length)), angle, patient.irregularity)
        body = rng.normal(120, 8 + 150 * patient.irregularity)
        shade = float(np.clip(body, 70, 190))
        fill(self.nuclei, points, shade)
        cv2.polylines(self.nuclei, [points], True, (min(255.0, shade * 1.3),), 1, cv2.LINE_AA, 4)
        if patient.label == 1 and rng.random() < 0.5:
            spot = (
                round(16 * (centre[0] + rng.normal(0, radius / 4))),
                round(16 * (centre[1] + rng.normal(0, radius / 4))),
            )
            cv2.circle(self.nuclei, spot, round(16 * radius / 5), (min(255.0, shade * 1.6),), -1, cv2.LINE_AA, 4)


Epithelium: TypeAlias = Callable[[Tissue], None]
"""Draws cells."""


def paint(patient: Patient, scale: float, epithelium: Epithelium, rng: np.random.Generator) -> Image:
    """Stroma with an epithelium drawn into it, HEIGHT x WIDTH x 3; `scale` is the magnification over 100."""
    stroma = _fibres(rng, patient.stroma_angle + rng.normal(0, 15), scale)
    eosin: Plane = 0.42 + 0.13 * stroma
    eosin[stroma < -1.9] = 0.03  # clefts between the fibres
    tissue = Tissue(patient, scale, rng)
    _draw_spindles(tissue)
    epithelium(tissue)

    inside = cv2.GaussianBlur(tissue.cytoplasm.astype(np.float32) / 255, (0, 0), 1.2 * scale)
    empty = cv2.GaussianBlur(tissue.lumen.astype(np.float32) / 255, (0, 0), scale)
    grain = _smooth_noise(rng, 1.3 * scale)
    eosin = (eosin * (1 - inside) + inside * (0.30 + 0.05 * grain)) * (1 - 0.95 * empty)
    blue = cv2.GaussianBlur(tissue.nuclei, (0, 0), 0.7).astype(np.float32) / 170
    hematoxylin = inside * 0.16 * (1 - empty) + blue * (1 + 0.18 * grain)
    eosin *= np.clip(1 - 0.6 * tissue.nuclei.astype(np.float32) / 255, 0, 1)
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


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Points for OpenCV's drawing functions: 4 bits after the binary point."""
    return np.asarray(np.rint(points * 16), np.int32)


def fill(plane: Mask, points: NDArray[np.int32], shade: float) -> None:
    """Fill a closed line (see `Tissue.outline`)."""
    cv2.fillPoly(plane, [points], (shade,), cv2.LINE_AA, 4)


def _draw_spindles(tissue: Tissue) -> None:
    """The stroma's own thin nuclei, along its fibres."""
    rng, scale = tissue.rng, tissue.scale
    for _ in range(int(rng.integers(70, 110) / scale**2)):
        centre = (rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT))
        angle = math.radians(-tissue.patient.stroma_angle + rng.normal(0, 20))
        points = tissue.outline(centre, (6.0 * scale, 1.7 * scale), angle, 0.05)
        fill(tissue.nuclei, points, rng.uniform(90, 150))


def draw_glands(tissue: Tissue) -> None:
    """Glands that do not touch: a lumen, a wall of cytoplasm, and one or two rings of nuclei that stand on it."""
    rng = tissue.rng
    wall = 4.0 * tissue.patient.nuclear_radius * tissue.scale
    for centre, radius in tissue.places(600, 30, 62, gap=5):
        stretch, angle = rng.uniform(0.75, 1.0), rng.uniform(0, math.pi)
        outer = tissue.outline(centre, (radius, radius * stretch), angle, 0.10)
        # The lumen is the outline drawn in by the wall: every point moves the same distance to the centre.
        arms = outer / 16 - centre
        lengths = np.hypot(arms[:, 0], arms[:, 1])
        shrink = np.maximum(lengths - wall, 0.12 * lengths) / lengths
        inner = _fixed(arms * shrink[:, np.newaxis] + centre)
        tissue.enclose(outer)
        fill(tissue.lumen, inner, 255 if rng.random() < 0.85 else 90)
        for depth, small in ((0.26, 0.8), (0.62, 1.0)):
            _draw_ring(tissue, centre, arms * (1 - depth * (1 - shrink))[:, np.newaxis], small)


def _draw_ring(tissue: Tissue, centre: Position, arms: NDArray[np.float64], small: float) -> None:
    """Nuclei side by side along a closed line around `centre`, each pointing at it."""
    patient, rng = tissue.patient, tissue.rng
    line = np.vstack([arms, arms[:1]])
    steps = np.hypot(*np.diff(line, axis=0).T)
    walked = np.concatenate([[0.0], np.cumsum(steps)])
    radius = small * patient.nuclear_radius * tissue.scale
    for place in np.arange(0, walked[-1] - radius, 2 * radius / patient.crowding):
        x, y = (np.interp(place + rng.normal(0, 0.2 * radius), walked, line[:, axis]) for axis in (0, 1))
        spot = (centre[0] + float(x), centre[1] + float(y))
        tissue.nucleus(spot, radius, 1.15, math.atan2(y, x) + rng.normal(0, 0.2))


def draw_sheets(tissue: Tissue) -> None:
    """Sheets without order, strands between the fibres, single cells in the stroma; now and then a slit of a lumen."""
    patient, rng, scale = tissue.patient, tissue.rng, tissue.scale
    noise = _smooth_noise(rng, 26 * scale)
    sheet = (noise > np.quantile(noise, 1 - patient.cellularity)).astype(np.uint8) * 255
    np.maximum(tissue.cytoplasm, sheet, out=tissue.cytoplasm)
    tissue.nuclei[sheet > 0] = 0
    for _ in range(int(rng.integers(0, 3))):
        centre = (rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT))
        slit = tissue.outline(centre, (rng.uniform(8, 18) * scale, 5 * scale), rng.uniform(0, math.pi), 0.3)
        fill(tissue.lumen, slit, 255)
    radius = patient.nuclear_radius * scale
    step = 2 * radius / patient.crowding
    for row, top in enumerate(np.arange(-radius, HEIGHT + radius, step * 0.9)):
        for left in np.arange(-radius + row % 2 * step / 2, WIDTH + radius, step):
            x, y = left + rng.normal(0, 0.16 * step), top + rng.normal(0, 0.16 * step)
            column, line = min(max(int(x), 0), WIDTH - 1), min(max(int(y), 0), HEIGHT - 1)
            chance = 0.93 if sheet[line, column] else 0.10
            if tissue.lumen[line, column] == 0 and rng.random() < chance:
                tissue.nucleus((float(x), float(y)), radius, rng.uniform(1.0, 1.5), rng.uniform(0, math.pi))
