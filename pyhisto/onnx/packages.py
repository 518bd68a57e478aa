"""The packages onnx and onnxruntime, imported only where they are needed: nothing else of the library needs them."""

import importlib
from typing import Any

from pyhisto.errors import InputError


def load(name: str) -> Any:
    """The module of that name. Raises InputError if it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise InputError(f"{package} is missing ({error}); install it: pip install {package}") from None
