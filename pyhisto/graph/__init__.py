"""A network as layers and blobs (`graph`), the layer types (`types`), old formats (`upgrade`), data (`sources`)."""

from pyhisto.graph.graph import Blob, Graph, NetworkError, Node, layers_in_phase
from pyhisto.graph.types import LAYER_TYPES, Shape, convolution_window, pooling_window, safe_in_place
from pyhisto.graph.upgrade import upgrade
from pyhisto.graph.weights import check_weights

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
    "upgrade",
]
