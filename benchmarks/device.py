"""For programs that measure on a card or the CPU, in any framework: what memory is used, and waiting for the card."""

import ctypes
import resource
from typing import Any


class Device:
    """The card whose CUDA context is this thread's, or the CPU."""

    def __init__(self, name: str) -> None:
        """`name`: gpu, when the framework has made its context; or cpu."""
        self._driver: Any = ctypes.CDLL("libcuda.so.1") if name == "gpu" else None

    def wait(self) -> None:
        """Until everything that was begun on the card is done."""
        if self._driver:
            self._call("cuCtxSynchronize")

    def used(self) -> float:
        """MB (of 2^20 bytes) in use on the card, by all programs; of the CPU, the most that this program ever had."""
        if not self._driver:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return (total.value - free.value) / 2**20

    def _call(self, function: str, *arguments: Any) -> None:
        if code := getattr(self._driver, function)(*arguments):
            raise SystemExit(f"{function} fails with error {code}")
