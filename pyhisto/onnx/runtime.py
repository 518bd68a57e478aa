"""Running an ONNX model with ONNX Runtime, on the CPU."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.onnx.packages import load

Tensors: TypeAlias = Mapping[str, NDArray[np.float32]]
FATAL_ONLY = 4
"""Log level: what goes wrong is an exception too, and said once."""


def runner(model: Any) -> Callable[[Tensors, Sequence[str]], dict[str, NDArray[np.float32]]]:
    """A function of inputs and the names of outputs to these outputs.

    Raises InputError if the package onnxruntime is missing or refuses the model.
    """
    onnxruntime = load("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no class in common
        raise _refused(model, error) from None

    def run(inputs: Tensors, outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        try:
            return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))
        except Exception as error:
            raise _refused(model, error) from None

    return run


def _refused(model: Any, error: Exception) -> InputError:
    return InputError(f"{model.graph.name}: ONNX Runtime cannot run it: {' '.join(str(error).split())}")
