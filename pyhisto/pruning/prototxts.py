"""A network as the prototxts that describe it, each with its graphs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

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


Stored: TypeAlias = Mapping[str, Sequence[Shape]]


def read_prototxts(
    model: Path, also: Iterable[Path], input_shapes: Mapping[str, Shape], stored: Stored | None = None
) -> list[Prototxt]:
    """Read a network's prototxts, `model` first. Raises InputError.

    `input_shapes` stand instead of what the files say. Shapes of inputs that a later file leaves open (a Data layer
    without its LMDB) are those of the first file's inputs. `stored` are the shapes of the weights, by layer.
    """
    stored = stored or {}
    files = [_read(model, input_shapes, {}, stored)]
    known = {blob.name: blob.shape for blob in files[0].graphs[0].inputs if blob.shape is not None}
    files += [_read(path, input_shapes, known, stored) for path in also]
    graphs = [graph for file in files for graph in file.graphs]
    inputs = {blob.name for graph in graphs for blob in graph.inputs}
    of_foreign = {blob.name for graph in graphs for node in graph.nodes if node.foreign for blob in node.tops}
    if foreign := sorted(input_shapes.keys() - inputs - of_foreign):
        raise InputError(
            f"{model}: has no input '{foreign[0]}', whose shape is given; it has {', '.join(sorted(inputs))}"
        )
    return files


def _read(path: Path, given: Mapping[str, Shape], known: Mapping[str, Shape], stored: Stored) -> Prototxt:
    document = Document.read(path)
    net = parse_text(document.text(), NetParameter, path, lenient=True)
    if not (net.layer or net.layers):
        raise InputError(f"{path}: holds no layer; is it a network's prototxt?")
    graphs: list[Graph] = []
    failure = None
    for phase in (TEST, TRAIN):
        try:
            graph = _build(net, phase, given, known, stored, path)
        except InputError as error:  # a file may describe one phase only
            failure = failure or error
            continue
        if not graphs or [node.index for node in graph.nodes] != [node.index for node in graphs[0].nodes]:
            graphs.append(graph)
    if not graphs:
        raise failure or InputError(f"{path}: describes no network")
    return Prototxt(path, document, graphs)


def _build(
    net: Net, phase: int, given: Mapping[str, Shape], known: Mapping[str, Shape], stored: Stored, path: Path
) -> Graph:
    graph = Graph.build(net, phase, data_root=Path(), stored=stored, source=path)
    shapes: dict[str, Shape] = {}
    for node in graph.nodes:
        if node.foreign and node.bottoms:
            shapes |= {blob.name: given[blob.name] for blob in node.tops if blob.name in given}
    for blob in graph.inputs:
        shape = given.get(blob.name) or (known.get(blob.name) if blob.shape is None else None)
        if shape is not None:
            # A Data layer knows its batch size without its LMDB: its labels have a shape already.
            others = (top.shape[:1] for top in blob.producer.tops if top.shape and top is not blob)
            shapes[blob.name] = next(others, shape[:1]) + shape[1:]
    if not shapes:
        return graph
    return Graph.build(net, phase, data_root=Path(), input_shapes=shapes, stored=stored, source=path)
