"""What running a network takes, and inputs at which it takes less."""

from collections.abc import Iterator
from pathlib import Path

from pyhisto.graph import LAYER_TYPES, Graph, Shape, convolution_window
from pyhisto.graph.types import count

PROOF_BYTES = 1 << 30
"""What a proof may take before it is made at a smaller input."""

MIN_SIDE = 16
"""A proof's input is not made smaller than that."""


def needed_bytes(graph: Graph) -> int:
    """About what Caffe takes to run a network forward: its blobs, and the unfolded bottoms of its convolutions."""
    numbers = 0
    for node in graph.nodes:
        kind = LAYER_TYPES.get(node.type)
        if kind is None or not kind.shares_memory:
            numbers += sum(count(blob.shape or ()) for blob in node.tops if blob.in_place_of is None)
        if node.type in ("Convolution", "Deconvolution") and node.bottoms[0].shape and node.tops[0].shape:
            bottom, top = node.bottoms[0].shape, node.tops[0].shape
            wide, positions = (bottom, top) if node.type == "Convolution" else (top, bottom)
            window = convolution_window(node.layer, bottom)
            if count(window.kernel) > 1:
                axis = window.channel_axis
                numbers += wide[axis] * count(window.kernel) * count(positions[axis + 1 :])
    return 4 * numbers


def available_bytes() -> int | None:
    """The memory that the system can give; None if it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def smaller_inputs(graph: Graph) -> Iterator[dict[str, Shape]]:
    """The shapes of a graph's inputs, of one image first, then with sides halved again and again."""
    shapes = {blob.name: blob.shape for blob in graph.inputs if blob.shape is not None and len(blob.shape) == 4}
    sides = [side for shape in shapes.values() for side in shape[2:]]
    divisor = 1
    while shapes and min(sides) // divisor >= MIN_SIDE:
        yield {name: (1, shape[1], *(side // divisor for side in shape[2:])) for name, shape in shapes.items()}
        divisor *= 2
