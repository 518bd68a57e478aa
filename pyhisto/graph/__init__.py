"""A network as layers and blobs (`graph`).

`types` and `fork_types` are the layer types, `sources` those that read data, `upgrade` makes old formats new.
"""

from pyhisto.graph.graph import Blob, Graph, NetworkError, Node, layers_in_phase
from pyhisto.graph.layer_types import LAYER_TYPES, safe_in_place
from pyhisto.graph.types import Shape, convolution_window, pooling_window
from pyhisto.graph.upgrade import upgrade
from pyhisto.graph.weights import check_weights, stored_shapes

__all__ = [
    "LAYER_TYPES",
    "Blob",
    "Graph",
    "NetworkError",
    "Node",
    "Shape",
    "check_weights",
    "convolution_window",
    "layers_in_phase",
    "pooling_window",
    "safe_in_place",
    "stored_shapes",
    "upgrade",
]
