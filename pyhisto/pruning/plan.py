"""The plan: which channels stay, and everything that is needed to cut any file of the network alike."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.files import read_json, write_text
from pyhisto.proto import CONTROL
from pyhisto.pruning.dependencies import Dependencies

FORMAT = 1


@dataclass(frozen=True)
class Parameter:
    """One weight blob that the solver trains, in the order of its state."""

    layer: str
    blob: int
    shape: tuple[int, ...]
    kept: tuple[tuple[int, ...] | None, ...]
    """For each axis the indices that stay; None for all of them."""


@dataclass(frozen=True)
class Plan:
    """A pruning, complete. `layers`: layer -> (channels before, indices that stay), for the layers that lose any."""

    settings: Mapping[str, Any]
    """Criterion, O, R, loop, X, k, scope, ...: as the command line gave them."""
    layers: Mapping[str, tuple[int, tuple[int, ...]]]
    parameters: tuple[Parameter, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    """File -> SHA-256 of what was pruned."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Role (model, weights) -> file that was written."""
    cost: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    proof: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        content = {"format": FORMAT, **asdict(self)}
        content["layers"] = {
            name: {"channels": channels, "kept": list(kept)} for name, (channels, kept) in self.layers.items()
        }
        write_text(path, json.dumps(content) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Read and check the file. Raises InputError if it is not a plan, or an impossible one."""
        content = read_json(path)
        try:
            if content["format"] != FORMAT:
                written = repr(content["format"])[:20]
                raise InputError(f"{path}: a plan of format {written}; this version reads format {FORMAT}")
            layers = {
                str(name): (layer["channels"], _indices(layer["kept"], layer["channels"]))
                for name, layer in content["layers"].items()
            }
            parameters = tuple(
                Parameter(
                    str(item["layer"]), int(item["blob"]), shape := tuple(map(int, item["shape"])),
                    tuple(
                        None if kept is None else _indices(kept, size)
                        for kept, size in zip(item["kept"], shape, strict=True)
                    ),
                )
                for item in content["parameters"]
            )  # fmt: skip
            if any(CONTROL.search(parameter.layer) for parameter in parameters):
                raise ValueError
            return cls(
                dict(content["settings"]), layers, parameters, dict(content["sources"]), dict(content["outputs"]),
                dict(content["cost"]), dict(content["proof"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise InputError(f"{path}: not a pruning plan; tools/prune.py writes plan.json") from None


def _indices(values: Any, size: Any) -> tuple[int, ...]:
    """Rising indices below `size`, at least one. Raises ValueError."""
    indices = tuple(values)
    if not isinstance(size, int) or not indices or not all(type(index) is int for index in indices):
        raise ValueError
    if indices[0] < 0 or indices[-1] >= size or any(a >= b for a, b in pairwise(indices)):
        raise ValueError
    return indices


def layers_kept(dependencies: Dependencies, removed: NDArray[np.bool_]) -> dict[str, tuple[int, tuple[int, ...]]]:
    """The plan's `layers` from a mask of removed atoms."""
    layers = {}
    for layer, channels in dependencies.producers.items():
        stays = ~removed[dependencies.atom[channels]]
        if not stays.all():
            layers[layer] = (len(channels), tuple(int(index) for index in np.flatnonzero(stays)))
    return layers
