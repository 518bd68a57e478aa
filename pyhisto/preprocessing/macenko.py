"""Macenko's normalisation (ISBI 2009) by torchstain's numpy backend: stain vectors and strengths become a target's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pyhisto.errors import InputError
from pyhisto.preprocessing.images import Image

LIGHT, CLEAR = 240, 0.15
"""torchstain's own: intensity of the empty slide, and the optical density below which a pixel is no tissue."""
MIN_TISSUE = 500
"""Pixels. With less tissue (a white patch) the stain vectors mean nothing and the image stays as it is."""
MIN_RANGE = 16
"""Levels between the lightest and the darkest tissue. One colour has one direction, not two stains."""


@dataclass(frozen=True)
class Macenko:
    """The normalisation to a target's two stains."""

    vectors: tuple[tuple[float, float], ...]
    """Optical density of hematoxylin and eosin, one row each for R, G, B."""
    strength: tuple[float, float]
    """99th percentile of their concentrations."""
    source: str = ""
    """Where the target comes from, in words."""
    method: Literal["macenko"] = "macenko"

    def __call__(self, image: Image) -> Image:
        """Normalise one image."""
        if not _has_tissue(image):
            return image
        normalizer = _normalizer()
        normalizer.HERef, normalizer.maxCRef = np.array(self.vectors), np.array(self.strength)
        try:
            with threadpool_limits(1), np.errstate(all="ignore"):  # more threads would add in another order
                moved, _, _ = normalizer.normalize(image[:, :, ::-1], Io=LIGHT, beta=CLEAR, stains=False)
        except np.linalg.LinAlgError:
            return image
        return np.ascontiguousarray(moved[:, :, ::-1])

    def to_json(self) -> dict[str, Any]:
        """The method, its target and where that comes from."""
        return {
            "method": self.method,
            "vectors": [list(row) for row in self.vectors],
            "strength": list(self.strength),
            "source": self.source,
        }


def measure(image: Image) -> NDArray[np.float64] | None:
    """An image's stain vectors and strengths, 4 x 2 (R, G, B, strength); None where it has too little tissue."""
    if not _has_tissue(image):
        return None
    normalizer = _normalizer()
    try:
        with threadpool_limits(1), np.errstate(all="ignore"):
            normalizer.fit(image[:, :, ::-1], Io=LIGHT, beta=CLEAR)
    except np.linalg.LinAlgError:
        return None
    found = np.vstack([normalizer.HERef, normalizer.maxCRef])
    return found if np.isfinite(found).all() and (found[3] > 0).all() else None


def target(statistics: Sequence[NDArray[np.float64]], source: str) -> Macenko:
    """The normalisation to the mean of the images' `measure`."""
    mean = np.mean(statistics, axis=0)
    vectors = mean[:3] / np.linalg.norm(mean[:3], axis=0)
    return Macenko(tuple((float(h), float(e)) for h, e in vectors), (float(mean[3, 0]), float(mean[3, 1])), source)


def from_json(value: Any, where: str) -> Macenko:
    """Read back what `to_json` gave; `where` is what an InputError names."""
    try:
        numbers = np.array([*value["vectors"], value["strength"]], np.float64)
        source = str(value["source"])
    except (KeyError, TypeError, ValueError):
        numbers, source = np.empty(0), ""
    if numbers.shape != (4, 2) or not np.isfinite(numbers).all() or numbers[3].min() <= 0:
        raise InputError(f"{where}: stain needs source, vectors (3 x 2 numbers) and strength (2 numbers above 0)")
    vectors = tuple((float(h), float(e)) for h, e in numbers[:3])
    return Macenko(vectors, (float(numbers[3, 0]), float(numbers[3, 1])), source)


def _has_tissue(image: Image) -> bool:
    # torchstain counts a pixel whose every channel has a density of CLEAR or more: -log((level + 1) / LIGHT) >= CLEAR.
    darkest = LIGHT * float(np.exp(-CLEAR)) - 1
    tissue = image.max(axis=2) <= darkest
    return int(np.count_nonzero(tissue)) >= MIN_TISSUE and float(np.ptp(image[tissue], axis=0).max()) >= MIN_RANGE


def _normalizer() -> Any:
    from torchstain.numpy.normalizers.macenko import NumpyMacenkoNormalizer

    return NumpyMacenkoNormalizer()
