"""Running an ONNX model with ONNX Runtime, on the CPU."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.onnx.packages import load

Tensors: TypeAlias = Mapping[str, NDArray[np.float32]]
ERRORS_ONLY = 3


def runner(model: Any) -> Callable[[Tensors, Sequence[str]], dict[str, NDArray[np.float32]]]:
    """A function of inputs and the names of outputs to these outputs. Raises InputError without onnxruntime."""
    onnxruntime = load("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(inputs: Tensors, outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))

    return run
