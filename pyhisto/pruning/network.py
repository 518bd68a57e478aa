"""A network as the prototxts that describe it, each with its graphs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.graph import Graph, Shape
from pyhisto.proto import TEST, TRAIN, Net, NetParameter, parse_text
from pyhisto.prototext import Document


@dataclass(frozen=True)
class Prototxt:
    """One file: its text, and the network that it describes in each phase (in one, where the phases do not differ)."""

    path: Path
    document: Document
    graphs: Sequence[Graph]

    @property
    def training(self) -> Graph | None:
        """The TRAIN graph of a file that trains: one with a loss."""
        graph = self.graphs[-1]
        return graph if any("Loss" in node.type for node in graph.nodes) else None


def read_prototxts(model: Path, also: Iterable[Path], input_shapes: Mapping[str, Shape]) -> list[Prototxt]:
    """Read a network's prototxts, `model` first. Raises InputError.

    Shapes of inputs that a later file leaves open (a Data layer without its LMDB) are those of the first file's inputs.
    """
    files = [_read(model, dict(input_shapes))]
    known = {blob.name: blob.shape for blob in files[0].graphs[0].inputs if blob.shape is not None}
    return files + [_read(path, {**known, **input_shapes}) for path in also]


def _read(path: Path, shapes: Mapping[str, Shape]) -> Prototxt:
    document = Document.read(path)
    net = parse_text(document.text(), NetParameter, path, lenient=True)
    if not (net.layer or net.layers):
        raise InputError(f"{path}: holds no layer; is it a network's prototxt?")
    graphs: list[Graph] = []
    failure = None
    for phase in (TEST, TRAIN):
        try:
            graph = _build(net, phase, shapes, path)
        except InputError as error:  # a file may describe one phase only
            failure = failure or error
            continue
        if not graphs or [node.index for node in graph.nodes] != [node.index for node in graphs[0].nodes]:
            graphs.append(graph)
    if not graphs:
        raise failure or InputError(f"{path}: describes no network")
    return Prototxt(path, document, graphs)


def _build(net: Net, phase: int, shapes: Mapping[str, Shape], path: Path) -> Graph:
    graph = Graph.build(net, phase, data_root=Path(), source=path)
    open_inputs = [blob for blob in graph.inputs if blob.shape is None]
    if not open_inputs:
        return graph
    given: dict[str, Shape] = {}
    for blob in open_inputs:
        if blob.name in shapes:
            # A Data layer knows its batch size without its LMDB: its labels have a shape already.
            batch = next((top.shape[:1] for top in blob.producer.tops if top.shape), shapes[blob.name][:1])
            given[blob.name] = batch + shapes[blob.name][1:]
    return Graph.build(net, phase, data_root=Path(), input_shapes=given, source=path) if given else graph
