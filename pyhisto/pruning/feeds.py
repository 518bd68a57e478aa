"""What is fed to a network of which layers are left out, and of what shape.

A layer that nobody knows makes blobs of unknown shapes. How many channels they have, the analysis says; their heights
and widths are tried until the weights behind them fit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pyhisto.errors import InputError
from pyhisto.graph import Graph, Node, Shape
from pyhisto.proof.runnable import feeds, is_compared

SIDES = (1, 7, 6, 14, 3, 4, 5, 8, 2, 10, 12, 13)
"""Heights and widths to try, after those that the layer reads, twice and half of them."""

READ_POSITIONS = {
    "BatchReindex": 1, "Embed": 0, "Filter": -1, "PSROIAlign": 1, "PSROIPooling": 1, "ROIAlign": 1, "ROIPooling": 1,
    "Upsample": 1,
}  # fmt: skip
"""Layer type -> its bottom that holds indices or positions: no place for made-up numbers, which no engine checks."""


def layers_to_leave_out(graph: Graph, left_out: set[int]) -> tuple[set[int], dict[str, Shape]]:
    """All layers to leave out (positions of nodes) if these are, and the shape of each blob that has to be fed then.

    With them go layers that could not be run: those that read a blob of unknown shape, and those that read positions
    from what is made up.
    """
    left_out = set(left_out)
    while True:
        found: dict[str, Shape] = {}
        further: set[int] = set()
        for name, blob in feeds(graph, left_out).items():
            readers = [(reader, bottom) for reader, bottom in blob.consumers if is_compared(reader)]
            if blob.shape is not None:
                found[name] = blob.shape
                readers = [(reader, bottom) for reader, bottom in readers if _reads_positions(reader, bottom)]
            further |= {graph.nodes.index(reader) for reader, _ in readers}
        if further <= left_out:
            return left_out, found
        left_out |= further


def assume_shapes(
    build: Callable[[Mapping[str, Shape]], Graph], stored: Mapping[str, Sequence[Shape]],
    channels: Callable[[int, int], int | None],
) -> Graph:  # fmt: skip
    """A network whose layers of unknown kind make blobs of shapes that the weights behind them allow.

    `build` builds it with given shapes, `stored` are the shapes of its weights, by layer; `channels` says how many
    channels the top of a node has, by their positions. A shape that cannot be found stays unknown.
    """
    assumed: dict[str, Shape] = {}
    graph = build(assumed)
    foreign = [position for position, node in enumerate(graph.nodes) if node.foreign and node.bottoms]
    for position in foreign:
        for top in range(len(graph.nodes[position].tops)):
            node, blob = graph.nodes[position], graph.nodes[position].tops[top]
            if blob.shape is not None:
                continue
            read = [bottom.shape for bottom in node.bottoms if bottom.shape is not None]
            for shape in _candidates(graph, read, channels(position, top)):
                try:
                    trial = build({**assumed, blob.name: shape})
                except InputError:
                    continue
                if _fits(trial, stored) and sum(bool(each.foreign) for each in trial.nodes if each.bottoms) == len(
                    foreign
                ):
                    assumed[blob.name], graph = shape, trial
                    break
    return graph


def _fits(graph: Graph, stored: Mapping[str, Sequence[Shape]]) -> bool:
    """Whether the weights that follow from the shapes are as large as those that are stored."""
    return not any(
        node.param_shapes and stored.get(node.name) and _elements(node.param_shapes) != _elements(stored[node.name])
        for node in graph.nodes
        if not node.foreign
    )


def reads_positions_of_input(node: Node) -> bool:
    """Whether a layer reads positions from an input of the network, which a proof makes up."""
    return any(_reads_positions(node, index) and not blob.producer.bottoms for index, blob in enumerate(node.bottoms))


def _reads_positions(reader: Node, bottom: int) -> bool:
    at = READ_POSITIONS.get(reader.type)
    return at is not None and at % len(reader.bottoms) == bottom


def _candidates(graph: Graph, read: list[Shape], channels: int | None) -> Iterator[Shape]:
    """Shapes for what a layer makes of blobs of the shapes `read`."""
    batch = next((each.shape[0] for each in graph.inputs if each.shape), 1)
    images = [shape for shape in read if len(shape) == 4]
    if channels is None:
        yield from images
        return
    for _, _, rows, columns in images:
        for height, width in ((rows, columns), (2 * rows, 2 * columns), (rows // 2, columns // 2)):
            if height and width:
                yield batch, channels, height, width
    for side in SIDES:
        yield batch, channels, side, side
    yield batch, channels


def _elements(shapes: Sequence[Shape]) -> list[Shape]:
    """Shapes without axes of 1, which old files have more of."""
    return [tuple(size for size in shape if size != 1) for shape in shapes]
