"""What turns an image into network input: one recipe for LMDBs and for predictions, so that they agree to the bit.

A prediction's input is the pixels that Caffe's Data layer reads from the LMDB's record of the same image: where records
are JPEG it is encoded as they are, and decoded.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.files import read_json, write_text
from pyhisto.lmdb_folder import RECIPE, Provenance
from pyhisto.preprocessing import stain as stains
from pyhisto.preprocessing.encoding import ENCODINGS, Encoding, as_read
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.patches import (
    CENTRE,
    COLUMNS,
    CROPS,
    FRAME,
    IDS,
    MAX_RANDOM_PATCHES,
    RANDOM_PATCHES,
    ROWS,
    grid_patches,
    placed_patches,
    random_places,
    shorter_side,
    square_crops,
    window_places,
)
from pyhisto.preprocessing.stain import Stain

Cut: TypeAlias = Literal["global", "local", "window", "random", "centre", "crops"]
BRANCHES: tuple[Cut, ...] = ("global", "local")
"""The paper's hybrid: the whole image, and 15 patches."""
CUTS: tuple[Cut, ...] = get_args(Cut)
"""How an image can be cut into network inputs: as the paper's two branches do; as ref. [11] does, by a sliding window
or at random; or as Kone & Boulmane do, the central square, or three squares side by side."""

Interpolation: TypeAlias = Literal["linear", "area"]
INTERPOLATIONS: dict[Interpolation, int] = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}
"""`linear` is what Caffe's convert_imageset does; `area` averages when it shrinks, which small inputs need."""

MAX_SIZE = 4096
MAX_PATCH = 128
"""Largest patch that is cut out of the FRAME of the branches window and random."""


@dataclass(frozen=True)
class Preprocessing:
    """From an image (H x W x 3, uint8, BGR) to what the network gets."""

    branch: Cut
    """How an image is cut; in the file, and on the command line, it is called the branch."""
    size: int = 224
    """Side of the network's input, pixels."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted per channel, B, G, R, from values 0..255; no scaling."""
    stain: Stain | None = None
    interpolation: Interpolation = "linear"
    provenance: Provenance = field(default_factory=Provenance)
    """What it comes from: kept in the file, not used here."""
    random_patches: int = RANDOM_PATCHES
    """How many patches of an image the branch random cuts."""
    record: Encoding = "raw"
    """How the records of the training LMDB are encoded."""

    @classmethod
    def load(cls, path: Path) -> "Preprocessing":
        """Read a preprocessing.json, or the one in a folder."""
        path = Path(path)
        path = path / RECIPE if path.is_dir() else path
        return cls._from_json(read_json(path), str(path))

    @classmethod
    def _from_json(cls, value: Any, where: str) -> "Preprocessing":
        if not isinstance(value, dict):
            raise InputError(f"{where}: not a JSON object; is it a preprocessing.json?")
        branch, size, mean = value.get("branch"), value.get("size"), value.get("mean")
        interpolation, said = value.get("interpolation"), value.get("provenance", {})
        patches = value.get("random_patches", RANDOM_PATCHES)
        if branch not in CUTS:
            raise InputError(f"{where}: branch is {branch!r}, not one of {', '.join(CUTS)}")
        if interpolation not in tuple(INTERPOLATIONS):
            raise InputError(f"{where}: interpolation is {interpolation!r}, not one of {', '.join(INTERPOLATIONS)}")
        if value.get("channel_order") != "BGR":
            raise InputError(f"{where}: channel_order is {value.get('channel_order')!r}, not 'BGR'")
        if type(size) is not int or not 1 <= size <= MAX_SIZE:
            raise InputError(f"{where}: size is {size!r}, not a whole number from 1 to {MAX_SIZE}")
        if branch in ("window", "random") and size > MAX_PATCH:
            raise InputError(f"{where}: size is {size}; patches of branch {branch} have {MAX_PATCH} pixels at most")
        if type(patches) is not int or not 1 <= patches <= MAX_RANDOM_PATCHES:
            raise InputError(
                f"{where}: random_patches is {patches!r}, not a whole number from 1 to {MAX_RANDOM_PATCHES}"
            )
        provenance = Provenance.from_json(said, where)
        record = value.get("record", said.get("record", "raw"))  # older files say it there
        if record not in ENCODINGS:
            raise InputError(f"{where}: record is {record!r}, not one of {', '.join(ENCODINGS)}")
        if not isinstance(mean, list) or [_is_number(level) for level in mean] != [True] * 3:
            raise InputError(f"{where}: mean is not three numbers (B, G, R)")
        stain = None if value.get("stain") is None else stains.from_json(value["stain"], where)
        blue, green, red = map(float, mean)
        return cls(branch, size, (blue, green, red), stain, interpolation, provenance, patches, record)

    def save(self, path: Path) -> None:
        """Write a preprocessing.json (into a folder: under that name), whole or not at all."""
        path = Path(path)
        write_text(path / RECIPE if path.is_dir() else path, json.dumps(self.to_json(), indent=2) + "\n")

    def to_json(self) -> dict[str, Any]:
        """What `load` reads."""
        return {
            "branch": self.branch,
            "channel_order": "BGR",
            "size": self.size,
            "mean": list(self.mean),
            "interpolation": self.interpolation,
            "record": self.record,
            "stain": None if self.stain is None else self.stain.to_json(),
            **({"random_patches": self.random_patches} if self.branch == "random" else {}),
            "provenance": self.provenance.to_json(),
        }

    def inputs(self, image: Image) -> list[tuple[str, Image]]:
        """The (patch id, size x size x 3 uint8 BGR) pairs of an image, `patches_per_image` of them (global: id "").

        They are what the records of this image would be read as.
        """
        return self.inputs_of_normalised(self.normalise(image))

    def inputs_of_normalised(self, image: Image) -> list[tuple[str, Image]]:
        """`inputs` without its first step, for an image that has gone through `normalise`."""
        return [(patch, as_read(pixels, self.record)) for patch, pixels in self.cut(image)]

    def normalise(self, image: Image) -> Image:
        """The first step of `inputs`: stain normalisation at the image's own size."""
        return image if self.stain is None else self.stain(image)

    def cut(self, image: Image) -> list[tuple[str, Image]]:
        """The second step of `inputs`, after what training augments: resize and cut into patches, not yet encoded."""
        if self.branch == "global":
            return [("", self._resize(image, self.size, self.size))]
        if self.branch in ("centre", "crops"):
            squares = square_crops(self._resize(image, *shorter_side(image, self.size)), self.size)
            return squares if self.branch == "crops" else [square for square in squares if square[0] == CENTRE]
        if self.branch == "local":
            return grid_patches(self._resize(image, COLUMNS * self.size, ROWS * self.size), self.size)
        framed = self._resize(image, *FRAME)
        places = (
            window_places(self.size)
            if self.branch == "window"
            else random_places(framed, self.size, self.random_patches)
        )
        return placed_patches(framed, self.size, places)

    @property
    def patches_per_image(self) -> int:
        """How many network inputs one image gives."""
        fixed = {"global": 1, "local": len(IDS), "random": self.random_patches, "centre": 1, "crops": len(CROPS)}
        return fixed[self.branch] if self.branch in fixed else len(window_places(self.size))

    def blob(self, inputs: Sequence[Image]) -> NDArray[np.float32]:
        """Network inputs as Caffe's Data layer makes them: N x 3 x size x size, mean subtracted."""
        made = np.empty((len(inputs), 3, *inputs[0].shape[:2]), np.float32)
        for planes, image in zip(made, inputs, strict=True):
            for channel, level in enumerate(self.mean):
                np.subtract(image[:, :, channel], np.float32(level), out=planes[channel], dtype=np.float32)
        return made

    def _resize(self, image: Image, width: int, height: int) -> Image:
        if image.shape[:2] == (height, width):
            return image
        return np.asarray(
            cv2.resize(image, (width, height), interpolation=INTERPOLATIONS[self.interpolation]), np.uint8
        )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
