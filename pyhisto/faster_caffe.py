"""Caffe's layers that compute faster on the CPU (docker/caffe/cpu): how pycaffe gets them, and whether it does.

`make setup` puts `use_with` into the environment's caffe.pth, so that a plain `import caffe` has them; the program
`caffe` has them from its wrapper. PYHISTO_STOCK_CAFFE=1 gives Berkeley's code in both.
"""

import os
import sys
from collections.abc import Sequence

LIBRARY = os.path.join(sys.prefix, "lib", "libpyhisto_cpu.so")
STOCK = "PYHISTO_STOCK_CAFFE"


def installed() -> bool:
    """Whether this environment's Caffe computes with the faster layers, unless told otherwise."""
    return os.path.isfile(LIBRARY) and os.environ.get(STOCK, "0") in ("", "0")


def layers() -> str:
    """Which code computes the layers on the CPU, for people and for the record of a run."""
    return os.path.basename(LIBRARY) if installed() else "Berkeley's"


def use_with(folder: str) -> None:
    """Load the library when pycaffe in `folder`, for which it was built, is imported; any other stays as it is."""
    if installed():
        sys.meta_path.insert(0, _Hook(folder))


class _Hook:
    """Finds no module. Asked for pycaffe's own library before that is loaded, it loads ours, with libcaffe, first."""

    def __init__(self, folder: str) -> None:
        self._package = os.path.realpath(os.path.join(folder, "caffe"))

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> None:
        if name == "caffe._caffe" and path and os.path.realpath(path[0]) == self._package:
            import ctypes

            ctypes.CDLL(LIBRARY)
