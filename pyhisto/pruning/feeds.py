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
            if blob.shape is None:
                trial = _Trial(graph, left_out, found, blob, stored)
                shape = next(
                    (each for each in _candidates(graph, trial.read, channels(blob)) if trial.fits(name, each)), None
                )
            else:
                shape = blob.shape
            if shape is None:
                stuck = blob
                break
            found[name] = shape
        if stuck is None:
            return left_out, found
        readers = [(reader, bottom) for reader, bottom in stuck.consumers if is_compared(reader)]
        of_positions = [(reader, bottom) for reader, bottom in readers if _reads_positions(reader, bottom)]
        left_out |= {graph.nodes.index(reader) for reader, _ in of_positions or readers}


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
    yield batch, channels
    for side in SIDES:
        yield batch, channels, side, side


class _Trial:
    """The network as far as shapes are settled, and a blob whose shape is to be found."""

    def __init__(
        self, graph: Graph, left_out: set[int], settled: Mapping[str, Shape], blob: Blob,
        stored: Mapping[str, Sequence[Shape]],
    ) -> None:  # fmt: skip
        self.graph, self.left_out, self.stored = graph, left_out, stored
        names = feeds(graph, left_out)
        self.fed = {name: each.shape for name, each in names.items() if each.shape is not None} | dict(settled)
        here = graph.nodes.index(blob.producer)
        ahead = [graph.nodes.index(each.producer) for name, each in names.items() if name not in self.fed]
        self.end = min((position for position in ahead if position > here), default=len(graph.nodes))
        shapes = self._build(here, self.fed)
        self.read = [shape for each in blob.producer.bottoms if (shape := shapes.get(each)) is not None]
        """The shapes of what the blob's maker reads, as far as they are known."""

    def fits(self, name: str, shape: Shape) -> bool:
        """Whether the layers behind, up to the next blob of unknown shape, can be built, and fit their weights."""
        return bool(self._build(self.end, {**self.fed, name: shape}))

    def _build(self, end: int, fed: Mapping[str, Shape]) -> dict[Blob, Shape]:
        """The blobs' shapes, up to a layer; empty if a layer cannot be built, or does not fit its weights."""
        rest = {index for index in range(end, len(self.graph.nodes)) if self.graph.nodes[index].bottoms}
        try:
            network = runnable(self.graph, None, self.left_out | rest, fed)
            built = Graph.build(network.net)
        except InputError:
            return {}
        for node in built.nodes:
            stored = self.stored.get(node.name)
            if node.param_shapes and stored and _elements(node.param_shapes) != _elements(stored):
                return {}
        made = {blob.name: blob.shape for blob in built.blobs}
        return {blob: shape for name, blob in network.blobs.items() if (shape := made.get(name)) is not None}


def _elements(shapes: Sequence[Shape]) -> list[Shape]:
    """Shapes without axes of 1, which old files have more of."""
    return [tuple(size for size in shape if size != 1) for shape in shapes]
