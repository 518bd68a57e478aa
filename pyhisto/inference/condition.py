"""Whether an image is like those that a network was trained on: tissue, sharpness, colours."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from pyhisto.errors import InputError
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.tissue import coloured_pixels

LEAST_TISSUE = 0.1
"""Below this part of coloured pixels an image shows hardly any tissue."""
QUANTILE = 0.001
"""An image is flagged if it is further out than all but this part of the training images."""
RIDGE = 1.0
"""Added to the variances of the colours, in squared levels: a few images of one colour do not make a narrow rule."""


@dataclass(frozen=True)
class Condition:
    """What is measured of an image."""

    tissue: float
    """The part of its pixels that is coloured."""
    sharpness: float
    """Of what the network is shown: the deviation of its Laplacian over that of its grey levels, mean over patches."""
    colours: tuple[float, ...]
    """Of the coloured pixels (of all, if there are hardly any): mean and deviation of L, a, b in 0..255."""


@dataclass(frozen=True)
class Reference:
    """What the training images have, and how far an image may be from it."""

    images: int
    """How many were measured."""
    sharpness: float
    """The least."""
    colours: tuple[float, ...]
    """Their mean."""
    precision: tuple[tuple[float, ...], ...]
    """The inverse of the colours' covariance, 6 x 6."""
    distance: float
    """The largest (Mahalanobis) from the mean."""

    @property
    def lab(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Mean and deviation of L, a, b of the tissue in the training images."""
        return self.colours[:3], self.colours[3:]  # type: ignore[return-value]

    def colour_distance(self, condition: Condition) -> float:
        """How far an image's colours are from the training images'."""
        apart = np.subtract(condition.colours, self.colours)
        return float(np.sqrt(apart @ np.asarray(self.precision) @ apart))

    def flags(self, condition: Condition) -> list[str]:
        """What is unusual about an image, in words; nothing if nothing is."""
        found = []
        if condition.tissue < LEAST_TISSUE:
            found.append(f"hardly any tissue ({condition.tissue:.0%} of the image)")
        if condition.sharpness < self.sharpness:
            found.append(f"blurred (sharpness {condition.sharpness:.2f}, training images {self.sharpness:.2f} or more)")
        if (distance := self.colour_distance(condition)) > self.distance:
            found.append(f"colours far from the training images' (distance {distance:.1f}, those {self.distance:.1f})")
        return found

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any, where: str) -> "Reference":
        """Read back what `to_json` gave; `where` is what an InputError names."""
        try:
            colours = tuple(map(float, value["colours"]))
            precision = tuple(tuple(map(float, row)) for row in value["precision"])
            made = cls(
                int(value["images"]), float(value["sharpness"]), colours, precision, float(value["distance"])
            )  # fmt: skip
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{where}: reference needs images, sharpness, colours, precision, distance") from None
        if len(colours) != 6 or [len(row) for row in precision] != [6] * 6:
            raise InputError(f"{where}: reference's colours are 6 numbers, its precision 6 x 6")
        return made


def measure(image: Image, inputs: Sequence[Image]) -> Condition:
    """An image, and what the network is shown of it."""
    small = _at_most(image, 512)
    coloured = coloured_pixels(small)
    share = float(coloured.mean())
    lab = cv2.cvtColor(small, cv2.COLOR_BGR2LAB)
    mean, deviation = cv2.meanStdDev(lab, mask=coloured if share >= LEAST_TISSUE / 10 else None)
    colours = (*mean.ravel().tolist(), *deviation.ravel().tolist())
    return Condition(share, float(np.mean([_sharpness(pixels) for pixels in inputs])), colours)


def reference(conditions: Sequence[Condition]) -> Reference:
    """What is usual among the training images."""
    colours = np.array([condition.colours for condition in conditions])
    mean = colours.mean(axis=0)
    covariance = np.cov(colours, rowvar=False, ddof=0).reshape(6, 6) + RIDGE * np.eye(6)
    precision = np.linalg.inv(covariance)
    apart = colours - mean
    distances = np.sqrt(np.einsum("ni,ij,nj->n", apart, precision, apart))
    return Reference(
        len(conditions),
        float(np.quantile([condition.sharpness for condition in conditions], QUANTILE)),
        tuple(mean.tolist()),
        tuple(tuple(row) for row in precision.tolist()),
        float(np.quantile(distances, 1 - QUANTILE)),
    )


def _at_most(image: Image, longest: int) -> Image:
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _sharpness(pixels: Image) -> float:
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.float32)
    contrast = float(grey.std())
    return float(cv2.Laplacian(grey, cv2.CV_32F).std()) / contrast if contrast > 1 else 0.0
