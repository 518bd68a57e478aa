"""Images that are there twice, exactly or nearly, in sets that must not share any.

Near means: seen as 32x32 grey thumbnails without their mean and contrast, two images correlate by NEAR or more, in any
of the eight orientations. A copy scaled, brightened, compressed again or turned correlates by more than 0.99;
neighbouring fields of one tumour stay below 0.9.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto.manifest import Row, resolve
from pyhisto.parallel import with_progress
from pyhisto.preprocessing.images import read_image

SIDE = 32
NEAR = 0.97
BLOCK = 1024


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of an image."""

    pixels: bytes
    """SHA-256 of the shape and the decoded pixels."""
    thumbnail: NDArray[np.float32]
    """SIDE x SIDE, mean 0, norm 1 (all 0 for an image of one grey)."""


@dataclass(frozen=True)
class Pair:
    """Two rows that show the same."""

    first: Row
    second: Row
    correlation: float
    exact: bool

    @property
    def crosses(self) -> str:
        """What the two do not share and should: `splits`, `classes`, `patients`, or nothing."""
        if self.first.split != self.second.split:
            return "splits"
        if self.first.label != self.second.label:
            return "classes"
        return "patients" if self.first.group != self.second.group else ""


def fingerprint(path: Path) -> Fingerprint:
    """Read an image for comparison."""
    image = read_image(path)
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    centred = grey.astype(np.float32) - grey.mean(dtype=np.float32)
    norm = float(np.linalg.norm(centred))
    digest = sha256(repr(image.shape).encode() + image.tobytes()).digest()
    return Fingerprint(digest, centred / np.float32(norm if norm > 0 else 1))


def find_duplicates(rows: Sequence[Row], root: Path, workers: int) -> list[Pair]:
    """Every pair of rows that show the same image, in the rows' order."""
    paths = [resolve(root, row.path) for row in rows]
    prints = list(with_progress("comparing", fingerprint, paths, workers))
    pairs = dict(_near(np.stack([entry.thumbnail for entry in prints])))
    by_pixels: dict[bytes, list[int]] = {}
    for index, entry in enumerate(prints):
        for earlier in by_pixels.setdefault(entry.pixels, []):
            pairs[earlier, index] = 1.0
        by_pixels[entry.pixels].append(index)
    return [
        Pair(rows[one], rows[other], value, prints[one].pixels == prints[other].pixels)
        for (one, other), value in sorted(pairs.items())
    ]


def _near(thumbnails: NDArray[np.float32]) -> Iterator[tuple[tuple[int, int], float]]:
    flat = thumbnails.reshape(len(thumbnails), -1)
    for start in range(0, len(flat), BLOCK):
        block = thumbnails[start : start + BLOCK]
        best = np.full((len(block), len(flat)), -1, np.float32)
        for turned in (block, block[:, :, ::-1]):
            for quarter in range(4):
                now = np.rot90(turned, quarter, (1, 2)).reshape(len(block), -1)
                np.maximum(best, now @ flat.T, out=best)
        for one, other in np.argwhere(best >= NEAR):
            if start + one < other:
                yield (int(start + one), int(other)), float(best[one, other])


def describe(pairs: Sequence[Pair]) -> list[str]:
    """One line for each pair that crosses splits, classes or patients, and one that counts the others."""
    lines = [
        f"{'exact' if pair.exact else 'near'} duplicate across {pair.crosses} ({pair.correlation:.3f}): "
        f"{pair.first.path} and {pair.second.path}"
        for pair in pairs
        if pair.crosses
    ]
    within = sum(not pair.crosses for pair in pairs)
    return [*lines, f"{within} duplicate pairs within one patient"] if within else lines
