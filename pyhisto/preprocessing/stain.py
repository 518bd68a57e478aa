"""Stain normalisation: an image's colours moved to those of a target, which is kept as a few stored numbers."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.preprocessing import macenko, reinhard
from pyhisto.preprocessing.images import Image

StainMethod: TypeAlias = Literal["reinhard", "reinhard-float", "macenko"]
METHODS: tuple[StainMethod, ...] = get_args(StainMethod)

Statistics: TypeAlias = NDArray[np.float64]


class Stain(Protocol):
    """A normalisation with its target."""

    @property
    def method(self) -> StainMethod:
        """Its name."""

    @property
    def source(self) -> str:
        """Where the target comes from, in words."""

    def __call__(self, image: Image) -> Image:
        """The image in the target's colours, same shape and type. White and constant images stay as they are."""

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes this normalisation from."""


def measure(image: Image, method: StainMethod) -> Statistics | None:
    """What a method takes from a target image; None where there is nothing to take."""
    return macenko.measure(image) if method == "macenko" else reinhard.measure(image, method)


def target(statistics: Sequence[Statistics | None], method: StainMethod, source: str) -> Stain:
    """The normalisation whose target is the mean of the images' `measure`; `source` says in words where they come from.

    Raises InputError where no image has anything to take.
    """
    taken = [values for values in statistics if values is not None]
    if not taken:
        raise InputError(f"{source}: no tissue to take the stain target from; choose another image")
    return macenko.target(taken, source) if method == "macenko" else reinhard.target(taken, method, source)


def from_json(value: Any, where: str) -> Stain:
    """Read back what a normalisation's `to_json` gave; `where` is what an InputError names."""
    method = value.get("method") if isinstance(value, dict) else None
    if method not in METHODS:
        raise InputError(f"{where}: stain method is {method!r}, not one of {', '.join(METHODS)}")
    return macenko.from_json(value, where) if method == "macenko" else reinhard.from_json(value, where)
