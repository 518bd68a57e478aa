"""All layer types that we know, Caffe's own and forks', by name."""

from pyhisto.graph.fork_types import FORK_TYPES
from pyhisto.graph.types import CAFFE_TYPES, LayerType

LAYER_TYPES: dict[str, LayerType] = {**CAFFE_TYPES, **FORK_TYPES}


def safe_in_place(layer_type: str) -> bool:
    """Whether a layer of this type computes right, forward and backward, if its top is its bottom.

    A Python layer is taken to know what it does.
    """
    return layer_type == "Python" or (layer_type in LAYER_TYPES and LAYER_TYPES[layer_type].safe_in_place)
