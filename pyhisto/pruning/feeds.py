"""The shapes of what is fed to a network of which layers are left out.

A layer that nobody knows makes blobs of unknown shapes. How many channels they have, the analysis says; their heights
and widths are tried until the weights behind them fit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pyhisto.errors import InputError
from pyhisto.graph import Blob, Graph, Node, Shape
from pyhisto.proof.runnable import feeds, is_compared, runnable

SIDES = (1, 7, 6, 14, 3, 4, 5, 8, 2, 10, 12, 13)
"""Heights and widths to try, after those that the layer reads, twice and half of them."""


READ_POSITIONS = {
    "BatchReindex": 1, "Embed": 0, "Filter": -1, "PSROIAlign": 1, "PSROIPooling": 1, "ROIAlign": 1, "ROIPooling": 1,
    "Upsample": 1,
}  # fmt: skip
"""Layer type -> its bottom that holds indices or positions: no place for made-up numbers, which no engine checks."""


def shapes_to_feed(
    graph: Graph, left_out: set[int], stored: Mapping[str, Sequence[Shape]], channels: Callable[[Blob], int | None]
) -> tuple[set[int], dict[str, Shape]]:
    """The layers to leave out (positions of nodes), and the shape of each blob that has to be fed then, by its name.

    Layers that could not be run then are left out, too: those that read a blob for which no shape is found, and those
    that read positions from what is made up. `stored` are
    the shapes of the weights, by layer; `channels` says how many channels a blob has.
    """
    left_out = set(left_out)
    while True:
        found: dict[str, Shape] = {}
        stuck: Blob | None = None
        for name, blob in feeds(graph, left_out).items():
            if any(_reads_positions(reader, bottom) for reader, bottom in blob.consumers if is_compared(reader)):
                stuck = blob
                break
            shape = blob.shape or next(
                (
                    each
                    for each in _candidates(graph, blob, channels(blob))
                    if _fits(graph, left_out, {**found, name: each}, blob, stored)
                ),
                None,
            )
            if shape is None:
                stuck = blob
                break
            found[name] = shape
        if stuck is None:
            return left_out, found
        readers = [(reader, bottom) for reader, bottom in stuck.consumers if is_compared(reader)]
        of_positions = [(reader, bottom) for reader, bottom in readers if _reads_positions(reader, bottom)]
        left_out |= {graph.nodes.index(reader) for reader, _ in of_positions or readers}


def _reads_positions(reader: Node, bottom: int) -> bool:
    at = READ_POSITIONS.get(reader.type)
    return at is not None and at % len(reader.bottoms) == bottom


def _candidates(graph: Graph, blob: Blob, channels: int | None) -> Iterator[Shape]:
    known = [bottom.shape for bottom in blob.producer.bottoms if bottom.shape is not None and len(bottom.shape) == 4]
    batch = next((each.shape[0] for each in graph.inputs if each.shape), 1)
    if channels is None:
        yield from known
        return
    for shape in known:
        for height, width in (shape[2:], (2 * shape[2], 2 * shape[3]), (shape[2] // 2, shape[3] // 2)):
            if height and width:
                yield batch, channels, height, width
    yield batch, channels
    for side in SIDES:
        yield batch, channels, side, side


def _fits(
    graph: Graph, left_out: set[int], fed: Mapping[str, Shape], blob: Blob, stored: Mapping[str, Sequence[Shape]]
) -> bool:
    """Whether the layers behind `blob`, as far as the next one of unknown shape, can be built and fit their weights."""
    here = graph.nodes.index(blob.producer)
    names = feeds(graph, left_out)
    unknown = [graph.nodes.index(each.producer) for name, each in names.items() if name not in fed and not each.shape]
    end = min((position for position in unknown if position > here), default=len(graph.nodes))
    rest = {index for index in range(end, len(graph.nodes)) if graph.nodes[index].bottoms}
    known = {name: each.shape for name, each in names.items() if each.shape is not None}
    try:
        network = runnable(graph, None, left_out | rest, {**known, **fed})
        built = Graph.build(network.net)
    except InputError:
        return False
    return all(
        node.param_shapes is None
        or node.name not in stored
        or _elements(node.param_shapes) == _elements(stored[node.name])
        for node in built.nodes
    )


def _elements(shapes: Sequence[Shape]) -> list[Shape]:
    """Shapes without axes of 1, which old files have more of."""
    return [tuple(size for size in shape if size != 1) for shape in shapes]
