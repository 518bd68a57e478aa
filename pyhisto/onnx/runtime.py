"""Running an ONNX model with ONNX Runtime, on the CPU."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Tensors
from pyhisto.errors import InputError
from pyhisto.files import reading
from pyhisto.onnx.packages import load

Runner: TypeAlias = Callable[[Tensors, Sequence[str]], dict[str, NDArray[np.float32]]]
"""Inputs, and the names of outputs, to these outputs."""
FATAL_ONLY = 4
"""Log level: what goes wrong is an exception too, and said once."""


def runner(model: Any, callers: int = 1) -> Runner:
    """A model's runner, which `callers` threads call at once; each then computes on its share of the cores.

    Raises InputError if the package onnxruntime is missing or refuses the model.
    """
    return _runner(model.SerializeToString(), model.graph.name, callers)


def file_runner(path: Path, callers: int = 1) -> Runner:
    """The same of an ONNX file; for this the package onnx is not needed."""
    with reading(path):
        return _runner(path.read_bytes(), str(path), callers)


def _runner(model: bytes, name: str, callers: int) -> Runner:
    onnxruntime = load("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    if callers > 1:
        options.intra_op_num_threads = max(1, (os.cpu_count() or 1) // callers)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no class in common
        raise _refused(name, error) from None

    def run(inputs: Tensors, outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        try:
            return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))
        except Exception as error:
            raise _refused(name, error) from None

    return run


def _refused(name: str, error: Exception) -> InputError:
    return InputError(f"{name}: ONNX Runtime cannot run it: {' '.join(str(error).split())}")
