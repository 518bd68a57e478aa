"""A network as a proof runs it: fed from outside, without losses, and otherwise in the words of its own file."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyhisto.errors import InputError
from pyhisto.graph import Graph, Node, Shape
from pyhisto.layers.sep_layer import is_sep
from pyhisto.proto import LayerParameter, Net, NetParameter, to_text
from pyhisto.prototext import Document, Message

NOT_COMPARED = ("Accuracy", "Silence", "HDF5Output")

_OF_TRAINING = ("include", "exclude", "phase", "loss_weight", "blobs")
"""Fields of a layer that a network of one phase, run forward, does not need."""

_OF_INPUTS = ("layer", "layers", "input", "input_shape", "input_dim")


@dataclass(frozen=True)
class Runnable:
    """A network that engines can run."""

    net: Net
    """Its layers in today's format, an Input layer for each input in front."""
    body: str
    """The prototxt of what follows the inputs."""

    @property
    def inputs(self) -> dict[str, Shape]:
        """Input -> shape."""
        return {
            layer.top[0]: tuple(layer.input_param.shape[0].dim) for layer in self.net.layer if layer.type == "Input"
        }

    @property
    def outputs(self) -> tuple[str, ...]:
        """What nothing reads, and what a Softmax reads: scores tell more than probabilities near 0 and 1."""
        layers = self.net.layer
        read = {bottom for layer in layers for bottom in layer.bottom if bottom not in layer.top}
        scores = [layer.bottom[0] for layer in layers if layer.type == "Softmax" and layer.bottom[0] not in layer.top]
        return tuple(dict.fromkeys(scores + [top for layer in layers for top in layer.top if top not in read]))

    @property
    def text(self) -> str:
        """The prototxt that an engine reads."""
        head = NetParameter()
        for name, shape in self.inputs.items():
            head.input.append(name)
            head.input_shape.add(dim=shape)
        return to_text(head) + self.body

    def with_inputs(self, shapes: Mapping[str, Shape]) -> "Runnable":
        """The same network for inputs of other shapes."""
        net = NetParameter()
        net.CopyFrom(self.net)
        for layer in net.layer:
            if layer.type == "Input":
                layer.input_param.shape[0].dim[:] = shapes[layer.top[0]]
        return Runnable(net, self.body)


def runnable(graph: Graph, document: Document | None = None) -> Runnable:
    """A graph's network for the engines; `document` is the prototxt that the graph was built of.

    A SEP layer becomes a Split, which passes its bottom on as the SEP layer does; SENet's Axpy (a * x + y), which
    neither engine has, becomes a Scale and an Eltwise. All other layers stand as they do in the document, fields that
    nobody knows included; without one, as far as they are known. Raises InputError if an input's shape is unknown.
    """
    net = NetParameter(name="proof")
    words = _Words(document)
    body = [words.around]
    for node in graph.nodes:
        if node.type in NOT_COMPARED or "Loss" in node.type:
            continue
        if not node.bottoms and node.type not in ("Parameter", "DummyData"):
            _add_inputs(net, graph, node)
            continue
        layers = _stand_ins(node)
        net.layer.extend(layers or [_bare(node.layer)])
        body.append(to_text(NetParameter(layer=layers)) if layers else words.of(node))
    return Runnable(net, "".join(body))


def _add_inputs(net: Net, graph: Graph, node: Node) -> None:
    for blob in node.tops:
        if any(reader.type not in NOT_COMPARED and "Loss" not in reader.type for reader, _ in blob.consumers):
            if blob.shape is None:
                raise InputError(
                    f"{graph.source}: the shape of input '{blob.name}' is unknown ({blob.unknown}); "
                    "give it with --input-shape, or name a deploy prototxt as --model"
                )
            net.layer.add(name=blob.name, type="Input", top=[blob.name]).input_param.shape.add(dim=blob.shape)


def _bare(layer: LayerParameter) -> LayerParameter:
    bare = LayerParameter()
    bare.CopyFrom(layer)
    for field in _OF_TRAINING:
        bare.ClearField(field)
    return bare


def _stand_ins(node: Node) -> list[LayerParameter]:
    """The layers of Caffe's own that do what a layer does that the engines cannot run; none for the others."""
    layer = node.layer
    if is_sep(layer):
        return [LayerParameter(name=layer.name, type="Split", bottom=layer.bottom, top=layer.top)]
    if layer.type != "Axpy":
        return []
    (a, x, y), (top,) = layer.bottom, layer.top  # a is N x C, or N x C x 1 x 1
    flat, scaled = f"{layer.name}(a)", f"{layer.name}(a * x)"
    return [
        LayerParameter(
            name=flat, type="Reshape", bottom=[a], top=[flat], reshape_param={"shape": {"dim": [0, -1]}}
        ),
        LayerParameter(name=scaled, type="Scale", bottom=[x, flat], top=[scaled], scale_param={"axis": 0}),
        LayerParameter(name=layer.name, type="Eltwise", bottom=[scaled, y], top=[top]),
    ]  # fmt: skip


class _Words:
    """The layers of a graph as their document writes them."""

    def __init__(self, document: Document | None) -> None:
        self.field, self.layers, self.around = "layer", list[Message](), ""
        if document is None or any(layer.message("layer") for layer in document.messages("layers")):
            return  # the oldest format, whose layers are upgraded together
        copy = Document(document.text())
        self.field = "layer" if copy.messages("layer") else "layers"
        self.layers = copy.messages(self.field)
        others = [each for each in copy.fields if each.name not in _OF_INPUTS]
        self.around = "".join(f"{''.join(each.pieces())}\n" for each in others)

    def of(self, node: Node) -> str:
        """A layer as a field of a prototxt."""
        if node.index is None or not self.layers:
            return to_text(NetParameter(layer=[_bare(node.layer)]))
        message = self.layers[node.index]
        for field in _OF_TRAINING:
            message.remove(field)
        return f"{self.field} {''.join(message.pieces())}\n"
