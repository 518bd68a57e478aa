"""A network on its way to a tool chain: a prototxt of today's format and the weights of its layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyhisto.arrays import Floats
from pyhisto.graph import Graph, Node
from pyhisto.proof.runnable import Runnable, runnable
from pyhisto.proto import Net, NetParameter, bare_weights, layer_blobs, parse_text, set_blob, to_text
from pyhisto.proto import Weights as WeightsMessage
from pyhisto.prototext import Document, Message


@dataclass(frozen=True)
class Form:
    """Text and weights; `source` is what an error names."""

    text: str
    weights: Net
    source: str

    @classmethod
    def of(cls, graph: Graph, document: Document, weights: Net) -> "Form":
        """The form of a network in its phase: Input layers in front, no losses, SEP layers passed over.

        Layers stand as their document writes them, but for those of Caffe's old formats, which are written anew.
        """
        old = bool(document.messages("layers"))
        network = runnable(graph, None if old else document)
        inputs = [layer for layer in network.net.layer if layer.type == "Input"]
        kept = {layer.name for layer in network.net.layer if layer.type != "Split"}
        stored = bare_weights(weights)
        for layer in [layer for layer in stored.layer if layer.name not in kept]:
            stored.layer.remove(layer)
        name = next((f'name: "{value}"\n' for value in document.values("name")), "")
        body = Document(network.body)
        body.remove("name")
        return cls(f"{name}{to_text(NetParameter(layer=inputs))}{body.text()}", stored, graph.source)

    def graph(self) -> Graph:
        """Its layers and blobs."""
        return Graph.build(parse_text(self.text, NetParameter, Path(self.source), lenient=True), source=self.source)

    def document(self) -> Document:
        """Its prototxt, to be edited: `layers_of` gives a node's message."""
        return Document(self.text, self.source)

    def runnable(self) -> Runnable:
        """As a proof runs it."""
        document = self.document()
        for layer in [each for each in document.fields if each.name == "layer"]:
            if isinstance(layer.value, Message) and layer.value.get("type") == "Input":
                document.fields.remove(layer)
        return Runnable(parse_text(self.text, NetParameter, Path(self.source), lenient=True), document.text())

    def with_blobs(self, changed: Mapping[str, list[Floats] | None]) -> Net:
        """The weights with these layers' blobs; None removes a layer."""
        result = WeightsMessage()
        present = layer_blobs(self.weights)
        for name, blobs in {**present, **changed}.items():
            if blobs is not None:
                layer = result.layer.add(name=name)
                for values in blobs:
                    set_blob(layer.blobs.add(), values)
        return result


def message_of(document: Document, node: Node) -> Message:
    """The message of a node's layer in the document that the graph was built of."""
    assert node.index is not None  # the form has no inputs but as layers
    return document.messages("layer")[node.index]


def remove_layers(document: Document, messages: list[Message]) -> None:
    """Take layers out of a document."""
    gone = set(map(id, messages))
    document.fields = [each for each in document.fields if id(each.value) not in gone]


def add_message(message: Message, text: str) -> None:
    """Append a field, given as text, to a message."""
    added = Document(f"\n  {text}").fields[0]
    message.fields.append(added)
