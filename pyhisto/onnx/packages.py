"""The packages onnx and onnxruntime, imported only where they are needed: nothing else of the library needs them."""

import importlib
from typing import Any

from pyhisto.errors import InputError
from pyhisto.extras import what_to_install


def load(name: str) -> Any:
    """The module of that name. Raises InputError if it is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(what_to_install(error) or str(error)) from None
    except ImportError as error:
        raise InputError(f"{name} is installed, but cannot be imported: {error}") from None
