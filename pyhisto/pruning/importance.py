"""Channel importance measured by SEP layers (eq. 5), and the file that carries it from measurement to pruning."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.files import read_json, write_text
from pyhisto.proto import CONTROL


@dataclass(frozen=True)
class Importance:
    """SEP block (the layer that applies its gate) -> mean activation factor of each of its C channels."""

    blocks: Mapping[str, NDArray[np.float64]]
    samples: int
    """Over how many samples the mean is."""
    weights_sha256: str
    """Of the caffemodel that they were measured with."""

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        content = {
            "samples": self.samples,
            "weights_sha256": self.weights_sha256,
            "blocks": {name: [float(factor) for factor in factors] for name, factors in self.blocks.items()},
        }
        write_text(path, json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Importance":
        """Read the file. Raises InputError if it is not one."""
        content = read_json(path)
        try:
            blocks = {str(name): np.array(factors, np.float64) for name, factors in content["blocks"].items()}
            if not all(
                factors.ndim == 1 and len(factors) and np.isfinite(factors).all() and not CONTROL.search(name)
                for name, factors in blocks.items()
            ):
                raise ValueError
            return cls(blocks, int(content["samples"]), str(content["weights_sha256"]))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise InputError(
                f"{path}: not a channel importance file; make one with tools/channel_importance.py"
            ) from None
