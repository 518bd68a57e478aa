"""Reinhard's colour transfer (paper, ref. [30]): per channel of a Lab space, x' = (x - mean_s) std_t/std_s + mean_t."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.preprocessing.images import Image

ReinhardMethod: TypeAlias = Literal["reinhard", "reinhard-float"]
METHODS: tuple[ReinhardMethod, ...] = get_args(ReinhardMethod)

MIN_STD = 0.5
"""A Lab channel that varies less (a white or constant patch) has no contrast to transfer and stays as it is."""


@dataclass(frozen=True)
class Reinhard:
    """The transfer to a target's Lab statistics."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    method: ReinhardMethod = "reinhard"
    """`reinhard`: OpenCV's 8-bit Lab (0..255), the authors' way; `reinhard-float`: float Lab (L 0..100)."""
    source: str = ""
    """Where the statistics come from, in words."""

    def __call__(self, image: Image) -> Image:
        """Normalise one image."""
        lab = _to_lab(image, self.method)
        return self._moved(lab, *_statistics(lab))

    def of_source(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> "ReinhardOfSource":
        """The same transfer for parts of a larger picture, by its statistics, not by each part's own."""
        return ReinhardOfSource(self, mean, std)

    def _moved(self, lab: NDArray[Any], mean: NDArray[np.float64], std: NDArray[np.float64]) -> Image:
        gain = np.where(std < MIN_STD, 1.0, np.asarray(self.std) / np.maximum(std, MIN_STD))
        offset = np.where(std < MIN_STD, 0.0, np.asarray(self.mean) - gain * mean)
        if self.method == "reinhard":
            # 256 values a channel: the transfer is a table.
            levels = np.arange(256, dtype=np.float64)[:, np.newaxis]
            table = np.clip(np.rint(levels * gain + offset), 0, 255).astype(np.uint8)
            return _bgr(cv2.cvtColor(cv2.LUT(lab, table[np.newaxis]), cv2.COLOR_LAB2BGR))
        moved = lab * gain.astype(np.float32) + offset.astype(np.float32)
        back = cv2.cvtColor(moved, cv2.COLOR_LAB2BGR)
        return _bgr(np.clip(np.rint(back * 255), 0, 255).astype(np.uint8))

    def to_json(self) -> dict[str, Any]:
        """The method, its target and where that comes from."""
        return {"method": self.method, "mean": list(self.mean), "std": list(self.std), "source": self.source}


@dataclass(frozen=True)
class ReinhardOfSource:
    """A transfer whose source's statistics are given."""

    transfer: Reinhard
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @property
    def method(self) -> ReinhardMethod:
        """The transfer's."""
        return self.transfer.method

    @property
    def source(self) -> str:
        """Where the target comes from, in words."""
        return self.transfer.source

    def __call__(self, image: Image) -> Image:
        """Normalise a part."""
        return self.transfer._moved(_to_lab(image, self.method), self.mean, self.std)

    def to_json(self) -> dict[str, Any]:
        """The transfer's, and what it takes the source for."""
        return {**self.transfer.to_json(), "source_mean": self.mean.tolist(), "source_std": self.std.tolist()}


def pooled(parts: Sequence[Image], masks: Sequence[NDArray[np.uint8]], method: ReinhardMethod) -> NDArray[np.float64]:
    """Mean and standard deviation per Lab channel over the marked pixels of all parts together, 2 x 3."""
    count, total, squares = 0, np.zeros(3), np.zeros(3)
    for part, mask in zip(parts, masks, strict=True):
        pixels = _to_lab(part, method)[mask > 0].astype(np.float64)
        count, total, squares = count + len(pixels), total + pixels.sum(axis=0), squares + (pixels**2).sum(axis=0)
    mean = total / max(1, count)
    return np.array([mean, np.sqrt(np.maximum(squares / max(1, count) - mean**2, 0))])


def measure(image: Image, method: ReinhardMethod) -> NDArray[np.float64]:
    """An image's mean and standard deviation per Lab channel, 2 x 3."""
    return np.array(_statistics(_to_lab(image, method)))


def target(statistics: Sequence[NDArray[np.float64]], method: ReinhardMethod, source: str) -> Reinhard:
    """The transfer to the mean of the images' `measure`. Raises InputError where they do not vary enough."""
    mean, std = np.mean(statistics, axis=0)
    if (std < MIN_STD).any():
        raise InputError(f"{source}: white or of one colour, so no stain target; choose an image with tissue")
    return Reinhard(_triple(mean), _triple(std), method, source)


def from_json(value: Any, where: str) -> Reinhard:
    """Read back what `to_json` gave; `where` is what an InputError names."""
    try:
        mean, std = (_triple(np.asarray(value[key], np.float64)) for key in ("mean", "std"))
        source = str(value["source"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{where}: stain needs source, and mean and std of three numbers each") from None
    if not np.isfinite([mean, std]).all() or min(std) <= 0:
        raise InputError(f"{where}: the stain target's mean and std must be finite, and the std above 0")
    return Reinhard(mean, std, value["method"], source)


def _to_lab(image: Image, method: ReinhardMethod) -> NDArray[Any]:
    if method == "reinhard":
        return cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    return cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_BGR2LAB)


def _statistics(lab: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, std = cv2.meanStdDev(lab)
    return np.asarray(mean[:, 0], np.float64), np.asarray(std[:, 0], np.float64)


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    first, second, third = values.tolist()
    return float(first), float(second), float(third)


def _bgr(image: Any) -> Image:
    return np.asarray(image, np.uint8)
