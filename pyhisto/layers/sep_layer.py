"""What a SEP layer is in a prototxt: the Python layer of this module and class, with its settings as JSON.

`sep` is the layer itself, which only Caffe imports; everything else asks here.
"""

import json
from typing import Any, Literal, TypeAlias

SEPStage: TypeAlias = Literal["training", "statistics", "pruning"]
"""training: the activation factors pass. statistics: they pass and are summed. pruning: masked channels become zero."""

STAGES: tuple[SEPStage, ...] = ("training", "statistics", "pruning")

MODULE = "pyhisto.layers.sep"
CLASS = "SEPLayer"


def is_sep(layer: Any) -> bool:
    """Whether a LayerParameter is a SEP layer."""
    return bool(layer.type == "Python" and layer.python_param.module == MODULE)


def read_settings(text: str) -> dict[str, Any]:
    """The settings in a SEP layer's `param_str`. Raises ValueError if it is no JSON object."""
    try:
        settings = json.loads(text or "{}")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{text[:40]!r} is not a JSON object")
    return settings


def stage(layer: Any) -> SEPStage | None:
    """The stage of a SEP layer; None if it has none that is known."""
    try:
        found = read_settings(layer.python_param.param_str).get("stage", "training")
    except ValueError:
        return None
    return found if found in STAGES else None


def limit_samples(layer: Any, samples: int) -> None:
    """Let a SEP layer count its first `samples` samples only. Raises ValueError if its settings are no JSON object."""
    settings = read_settings(layer.python_param.param_str)
    layer.python_param.param_str = json.dumps({**settings, "samples": samples})


def python_param(stage: SEPStage) -> dict[str, str]:
    """The fields of the python_param of a SEP layer in this stage."""
    return {"module": MODULE, "layer": CLASS, "param_str": json.dumps({"stage": stage})}
