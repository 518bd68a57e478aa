"""A network as a proof runs it: fed from outside, without losses, and otherwise in the words of its own file."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pyhisto.errors import InputError
from pyhisto.graph import Blob, Graph, Node, Shape
from pyhisto.graph.fork_types import BOX_LAYERS
from pyhisto.layers.sep_layer import is_sep
from pyhisto.proof.stand_ins import OUT_OF_PLACE, stand_ins
from pyhisto.proto import LayerParameter, Net, NetParameter, to_text
from pyhisto.prototext import Document, Message, quote

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
    blobs: Mapping[str, Blob] = field(default_factory=dict)
    """Name -> the last blob of the graph that has it."""

    @property
    def inputs(self) -> dict[str, Shape]:
        """Input -> shape."""
        return {
            layer.top[0]: tuple(layer.input_param.shape[0].dim) for layer in self.net.layer if layer.type == "Input"
        }

    @property
    def outputs(self) -> tuple[str, ...]:
        """What nothing reads, and what a Softmax reads: scores tell more than probabilities near 0 and 1.

        Of a layer that makes boxes, what it reads, and not what it makes: it sorts and selects, so that rounding swaps
        rows, or drops one.
        """
        layers = self.net.layer
        read = {bottom for layer in layers for bottom in layer.bottom if bottom not in layer.top}
        scores = [layer.bottom[0] for layer in layers if layer.type == "Softmax" and layer.bottom[0] not in layer.top]
        boxes = [layer for layer in layers if layer.type in BOX_LAYERS]
        chosen = {top for layer in boxes for top in layer.top}
        made = {top for layer in layers if layer.type != "Input" for top in layer.top}
        of_boxes = [bottom for layer in boxes for bottom in layer.bottom if bottom in made]
        last = [top for layer in layers if layer.type != "Input" for top in layer.top if top not in read | chosen]
        return tuple(dict.fromkeys([*scores, *of_boxes, *last]))

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
        return Runnable(net, self.body, self.blobs)


def runnable(
    graph: Graph,
    document: Document | None = None,
    left_out: Collection[int] = (),
    fed: Mapping[str, Shape] | None = None,
    as_written: bool = False,
) -> Runnable:
    """A graph's network for the engines; `document` is the prototxt that the graph was built of.

    A SEP layer becomes a Split, which passes its bottom on as the SEP layer does; forks' layers that can be said in
    Caffe's own are said so (`stand_ins`), unless they are to stay `as_written`. All other layers stand as they do in
    the document, fields that nobody knows included; without one, as far as they are known.

    Layers whose positions among the graph's nodes are `left_out` are not run: what they read leaves the network, and
    what they make is an input of the network, of the shape in `fed` (by the name that `feeds` gives it) or its own.
    Raises InputError if an input's shape is unknown.
    """
    net, blobs = NetParameter(name="proof"), dict[str, Blob]()
    words = _Words(document)
    body = [words.around]
    names = {blob: name for name, blob in feeds(graph, left_out).items()}
    fed = fed or {}
    for position, node in enumerate(graph.nodes):
        if not is_compared(node) or position in left_out:
            for blob in node.tops if position in left_out else ():
                if blob in names:
                    blobs[names[blob]] = blob
                    _add_input(net, graph, names[blob], fed.get(names[blob], blob.shape), blob.unknown)
            continue
        if not node.bottoms and node.type not in ("Parameter", "DummyData"):
            for blob in node.tops:
                if _is_read(blob, graph, left_out):
                    blobs[blob.name] = blob
                    _add_input(net, graph, blob.name, blob.shape, blob.unknown)
            continue
        for blob in node.tops:  # what works in place on a blob of another name takes that name
            if blob.in_place_of is not None and node.type in OUT_OF_PLACE:
                names[blob] = f"{blob.name}, after {node.name}"
            elif blob.in_place_of in names:
                names[blob] = names[blob.in_place_of]
        bottoms, tops = ([names.get(blob, blob.name) for blob in blobs] for blobs in (node.bottoms, node.tops))
        blobs.update(zip(tops, node.tops, strict=True))
        layer = _bare(node.layer)
        layer.bottom[:] = bottoms
        layer.top[:] = tops[: len(layer.top)]  # not a loss's nameless one
        others = stand_ins(node, layer) if is_sep(layer) or not as_written else []
        net.layer.extend(others or [layer])
        body.append(to_text(NetParameter(layer=others)) if others else words.of(node, layer))
    return Runnable(net, "".join(body), blobs)


def is_compared(node: Node) -> bool:
    """Whether a proof runs a layer: not losses, and what only reports or writes."""
    return node.type not in NOT_COMPARED and "Loss" not in node.type


def feeds(graph: Graph, left_out: Collection[int]) -> dict[str, Blob]:
    """What has to be fed if layers are left out: what they make and others read, by the names that inputs have then."""
    found: dict[str, Blob] = {}
    for position in sorted(left_out):
        node = graph.nodes[position]
        for blob in node.tops:
            if _is_read(blob, graph, left_out):
                name = blob.name if blob.in_place_of is None else f"{blob.name}, after {node.name}"
                found[name] = blob
    return found


def _is_read(blob: Blob, graph: Graph, left_out: Collection[int]) -> bool:
    skipped = {graph.nodes[position] for position in left_out}
    return any(is_compared(reader) and reader not in skipped for reader, _ in blob.consumers)


def _add_input(net: Net, graph: Graph, name: str, shape: Shape | None, reason: str) -> None:
    if shape is None:
        raise InputError(
            f"{graph.source}: the shape of input '{name}' is unknown ({reason}); "
            "give it with --input-shape, or name a deploy prototxt as --model"
        )
    net.layer.add(name=name, type="Input", top=[name]).input_param.shape.add(dim=shape)


def _bare(layer: LayerParameter) -> LayerParameter:
    bare = LayerParameter()
    bare.CopyFrom(layer)
    for name in _OF_TRAINING:
        bare.ClearField(name)
    return bare


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

    def of(self, node: Node, layer: LayerParameter) -> str:
        """A layer as a field of a prototxt, with the blobs that `layer` names."""
        if node.index is None or not self.layers:
            return to_text(NetParameter(layer=[layer]))
        message = self.layers[node.index]
        for name in _OF_TRAINING:
            message.remove(name)
        for name in ("bottom", "top"):
            if message.values(name) != list(getattr(layer, name)):
                message.replace_values(name, [quote(blob) for blob in getattr(layer, name)])
        return f"{self.field} {''.join(message.pieces())}\n"
