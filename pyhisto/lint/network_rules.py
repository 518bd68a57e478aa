"""The traps in networks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from pyhisto.errors import InputError
from pyhisto.graph import Graph, NetworkError, Node, layers_in_phase, safe_in_place
from pyhisto.graph.types import dims
from pyhisto.lenient import unknown_fields
from pyhisto.lint.data import DataSource, read_source
from pyhisto.lint.rules import RuleBook, Trap
from pyhisto.proto import TEST, TRAIN, BlobProto, Net, NetParameter, blob_shape, read_binary
from pyhisto.prototext import Document, Message

PHASES = {TRAIN: "TRAIN", TEST: "TEST"}
CLASS_LOSSES = frozenset({"SoftmaxWithLoss", "MultinomialLogisticLoss", "InfogainLoss", "HingeLoss"})
"""The losses whose second bottom holds class labels."""

Placed: TypeAlias = tuple[Any, int | None]
"""A layer in today's format and its position in the file."""


@dataclass(frozen=True)
class NetworkFile:
    """A network's file as the rules look at it. `root` is the folder that Caffe is started in."""

    path: Path
    net: Net
    document: Document
    root: Path
    sources: dict[str, DataSource | None] = field(default_factory=dict)

    @cached_property
    def messages(self) -> list[Message]:
        """The layers' text, in order."""
        return self.document.messages("layer") or self.document.messages("layers")

    def text(self, index: int | None) -> Message:
        """The text of the layer at a position, or the whole file."""
        return self.document if index is None else self.messages[index]

    @cached_property
    def phases(self) -> dict[int, list[Placed]]:
        """The layers of each phase that the file is meant for: those in which something provides data."""
        phases = {phase: layers_in_phase(self.net, phase, source=self.path) for phase in PHASES}
        return {phase: layers for phase, layers in phases.items() if any(not layer.bottom for layer, _ in layers)}

    @property
    def layers(self) -> Iterator[tuple[int, Any, Message]]:
        """(phase, layer, its text) for every layer of every phase."""
        for phase, layers in self.phases.items():
            for layer, index in layers:
                yield phase, layer, self.text(index)

    @cached_property
    def graphs(self) -> dict[int, Graph | InputError]:
        """The graph of each phase, or why Caffe would refuse it."""
        graphs: dict[int, Graph | InputError] = {}
        for phase in self.phases:
            try:
                graphs[phase] = Graph.build(self.net, phase, data_root=self.root, source=self.path)
            except InputError as error:
                graphs[phase] = error
        return graphs

    def trains(self, phase: int) -> bool:
        """Whether there is a loss to train by."""
        return any(layer.type.endswith("Loss") or any(layer.loss_weight) for layer, _ in self.phases.get(phase, []))

    def source(self, layer: Any) -> DataSource | None:
        """The records behind a data layer, read once."""
        key = f"{layer.type} {layer.data_param.source} {layer.image_data_param.source} {layer.transform_param}"
        if key not in self.sources:
            self.sources[key] = read_source(layer, self.root)
        return self.sources[key]


book: RuleBook[NetworkFile] = RuleBook()


@book.rule("unknown-field", "error", "src/caffe/util/upgrade_proto.cpp (ReadNetParamsFromTextFileOrDie)")
def unknown_field(network: NetworkFile) -> Iterator[Trap]:
    """A field that BVLC's Caffe does not have: it stops when it reads the file. It is misspelled, or a fork's, whose
    Caffe is then needed. (Layers of types that BVLC's Caffe does not have are not looked into.)"""
    for unknown in unknown_fields(network.document, NetParameter.DESCRIPTOR):
        yield unknown.line, f"{unknown.path} is no field of BVLC's Caffe"


@book.rule("in-place", "error", "BVLC/caffe issue 2015; NVIDIA/caffe issue 230; src/caffe/layers/pooling_layer.cpp")
def in_place(network: NetworkFile) -> Iterator[Trap]:
    """A layer whose top has its bottom's name writes over its own input. Caffe accepts that for every layer, but only
    element-wise layers work so: a pooling, convolution, LRN or Eltwise layer still needs its input, forward or
    backward, and computes wrong numbers without a word. Give the top a name of its own."""
    for _, layer, text in network.layers:
        shared = [top for bottom, top in zip(layer.bottom, layer.top, strict=False) if bottom == top]
        if shared and not safe_in_place(layer.type):
            yield text.line_of("top"), f"layer '{layer.name}' ({layer.type}) writes over its own bottom '{shared[0]}'"


@book.rule("unknown-bottom", "error", "src/caffe/util/insert_splits.cpp (Unknown bottom blob)")
def unknown_bottom(network: NetworkFile) -> Iterator[Trap]:
    """A bottom that no earlier layer of the phase makes: Caffe stops. Layers run in the file's order, so a layer has to
    stand below those it reads, and a layer that one phase leaves out cannot be read in it."""
    for phase, layers in network.phases.items():
        made: set[str] = set()
        for layer, index in layers:
            for bottom in layer.bottom:
                if bottom not in made:
                    line = network.text(index).line_of("bottom")
                    yield line, f"in phase {PHASES[phase]} nothing makes the bottom '{bottom}' of layer '{layer.name}'"
            made.update(layer.top)


@book.rule("duplicate-name", "error", "BVLC/caffe issue 7043; src/caffe/net.cpp (CopyTrainedLayersFrom)")
def duplicate_name(network: NetworkFile) -> Iterator[Trap]:
    """Two layers of one name in the same phase. Caffe copies weights by name, all into the first of them: the second
    starts from its fillers, and the first ends with the second's weights. Twins in different phases are fine."""
    for phase, layers in network.phases.items():
        counts = Counter(layer.name for layer, _ in layers)
        for layer, index in layers:
            if counts[layer.name] > 1:
                line = network.text(index).line_of("name")
                yield line, f"{counts[layer.name]} layers are named '{layer.name}' in phase {PHASES[phase]}"


@book.rule("refused", "error", "src/caffe/net.cpp (Init) and the layer's own LayerSetUp and Reshape")
def refused(network: NetworkFile) -> Iterator[Trap]:
    """Caffe would stop while it builds the network: shapes that do not fit, a number of bottoms or tops that the layer
    does not take, a blob made twice."""
    if any(unknown_bottom(network)):  # then that is why
        return
    for error in network.graphs.values():
        if isinstance(error, InputError):
            index = error.index if isinstance(error, NetworkError) else None
            yield network.text(index).line, str(error).removeprefix(f"{network.path}: ")


@book.rule("batch-norm-param", "error", "BVLC/caffe pull requests 4704, 4785, 5184; src/caffe/util/upgrade_proto.cpp")
def batch_norm_param(network: NetworkFile) -> Iterator[Trap]:
    """BatchNorm's three blobs are statistics, not weights: they are counted, not learned. An lr_mult other than 0 (the
    default is 1) stops Caffe 1.0; three param fields are silently cleared by some versions; with one or two, versions
    that do not mask the statistics decay some of them and not the others, and the mean and variance come out wrong.
    Write no param at all, or three with lr_mult 0 and decay_mult 0."""
    for layer, text in zip(network.net.layer, network.messages, strict=False):  # as written, before Caffe's upgrade
        if layer.type == "BatchNorm" and any(spec.lr_mult != 0 for spec in layer.param):
            yield text.line_of("param"), f"an lr_mult of BatchNorm layer '{layer.name}' is not 0"
        elif layer.type == "BatchNorm" and len(layer.param) not in (0, 3):
            found = f"{len(layer.param)} param fields instead of 0 or 3"
            yield text.line_of("param"), f"BatchNorm layer '{layer.name}' has {found}"


@book.rule(
    "global-stats", "warning", "BVLC/caffe issues 3347, 5045; src/caffe/layers/batch_norm_layer.cpp (LayerSetUp)"
)
def global_stats(network: NetworkFile) -> Iterator[Trap]:
    """use_global_stats: true normalises by the stored statistics and never updates them; false normalises by the batch.
    True in training leaves statistics of 0 (deliberate only when a trained network's are kept); false in testing makes
    an image's result depend on the others in its batch. Leave the field out: Caffe takes false in TRAIN and true in
    TEST."""
    for phase, layer, text in network.layers:
        if layer.type != "BatchNorm" or not layer.batch_norm_param.HasField("use_global_stats"):
            continue
        frozen = layer.batch_norm_param.use_global_stats
        line = (text.message("batch_norm_param") or text).line_of("use_global_stats")
        if phase == TRAIN and frozen and network.trains(TRAIN):
            yield line, f"BatchNorm layer '{layer.name}' never updates its statistics in training"
        if phase == TEST and not frozen:
            yield line, f"BatchNorm layer '{layer.name}' ignores its statistics in testing"


@book.rule("mean", "error", "src/caffe/data_transformer.cpp (constructor and Transform)")
def mean(network: NetworkFile) -> Iterator[Trap]:
    """What is subtracted from the images has to be the same in training and testing, of the images' own size and
    channels, and the mean that the data were prepared with (preprocessing.json). Caffe stops at a mean file of another
    size; a wrong mean value it takes without a word."""
    for _, layer, text in network.layers:
        transform, source = layer.transform_param, network.source(layer)
        where = text.message("transform_param") or text
        if transform.mean_file and transform.mean_value:
            yield where.line_of("mean_value"), f"layer '{layer.name}' has both a mean_file and a mean_value"
        if source is None:
            continue
        channels = source.image[0] if source.image else 0
        if channels and len(transform.mean_value) not in (0, 1, channels):
            message = f"layer '{layer.name}' has {len(transform.mean_value)} mean_values for {channels} channels"
            yield where.line_of("mean_value"), message
        if transform.mean_file and source.image:
            yield from _mean_file(network, layer, where, source)
        else:
            yield from _mean_values(layer, where, source)
    yield from _phases_differ(network, ("mean_value", "mean_file", "scale"))


def _mean_file(network: NetworkFile, layer: Any, where: Message, source: DataSource) -> Iterator[Trap]:
    file = network.root / layer.transform_param.mean_file
    if not file.is_file():
        return
    try:
        shape = blob_shape(read_binary(file, BlobProto))[-3:]
    except InputError:
        yield where.line_of("mean_file"), f"the mean file of layer '{layer.name}' is no mean image"
        return
    if source.image and shape != source.image:
        message = f"the mean file of layer '{layer.name}' is {dims(shape)}, its images are {dims(source.image)}"
        yield where.line_of("mean_file"), message


def _mean_values(layer: Any, where: Message, source: DataSource) -> Iterator[Trap]:
    prepared = source.mean
    if prepared is None:
        return
    written = list(layer.transform_param.mean_value) or [0.0]
    if len(written) == 1:
        written *= len(prepared)
    if len(written) != len(prepared) or any(abs(a - b) > 0.01 for a, b in zip(written, prepared, strict=True)):
        levels = ", ".join(f"{level:.2f}" for level in prepared)
        yield (
            where.line_of("mean_value"),
            f"layer '{layer.name}' does not subtract the mean of '{source.name}': {levels}",
        )


@book.rule("crop", "error", "src/caffe/data_transformer.cpp (InferBlobShape)")
def crop(network: NetworkFile) -> Iterator[Trap]:
    """A crop larger than the images stops Caffe; crops of different size in TRAIN and TEST make an inner product
    layer's weights unfit for the other phase."""
    for _, layer, text in network.layers:
        source, size = network.source(layer), layer.transform_param.crop_size
        if source is not None and source.image and size > min(source.image[1:]):
            where = text.message("transform_param") or text
            images = dims(source.image[1:])
            yield where.line_of("crop_size"), f"layer '{layer.name}' crops {size}x{size} out of images of {images}"
    yield from _phases_differ(network, ("crop_size",))


def _phases_differ(network: NetworkFile, settings: tuple[str, ...]) -> Iterator[Trap]:
    """The transform settings of the first data layers of both phases, held against each other."""
    first: list[tuple[Any, Message]] = []
    for layers in network.phases.values():
        first += [(layer, network.text(index)) for layer, index in layers if layer.type in ("Data", "ImageData")][:1]
    if len(first) != len(PHASES):
        return
    (train, _), (test, text) = first
    for setting in settings:
        values = [getattr(layer.transform_param, setting) for layer in (train, test)]
        if values[0] != values[1]:
            where = text.message("transform_param") or text
            yield where.line_of(setting), f"{setting} differs between TRAIN and TEST"


@book.rule("labels", "error", "BVLC/caffe issues 2672, 4670; src/caffe/layers/softmax_loss_layer.cpp (Forward_cpu)")
def labels(network: NetworkFile) -> Iterator[Trap]:
    """A label that is not below the number of the classifier's outputs makes the loss read past the scores' end: wrong
    losses, or a crash. Labels count from 0. A classifier of one output has a softmax loss of 0 for ever, and outputs
    that no label names are left over from another task."""
    for graph in network.graphs.values():
        if isinstance(graph, InputError):
            continue
        for node in graph.nodes:
            if node.type in CLASS_LOSSES:
                yield from _classifier(network, node)


def _classifier(network: NetworkFile, node: Node) -> Iterator[Trap]:
    text = network.text(node.index)
    classifier = node.bottoms[0].producer
    shape = node.bottoms[0].shape
    axis = node.layer.softmax_param.axis if node.type == "SoftmaxWithLoss" else 1
    if shape is not None and len(shape) > 1:
        classes = shape[axis]
    elif classifier.type == "InnerProduct":
        classes = classifier.layer.inner_product_param.num_output
    else:
        return
    if node.type == "SoftmaxWithLoss" and classes == 1:
        yield text.line, f"layer '{node.name}': the softmax of a single output is always 1, its loss always 0"
    data = node.bottoms[1].producer
    source = network.source(data.layer) if node.bottoms[1].top == 1 else None
    if source is None or not source.labels:
        return
    outputs = f"the {classes} outputs of '{classifier.name}'"
    if min(source.labels) < 0 or max(source.labels) >= classes:
        span = f"{min(source.labels)} to {max(source.labels)}"
        yield text.line, f"layer '{node.name}': labels {span} in '{source.name}' do not fit {outputs}"
    elif source.complete and max(source.labels) + 1 < classes:
        highest = f"no label in '{source.name}' is above {max(source.labels)}"
        yield text.line, f"layer '{node.name}': {highest}, for {outputs}"


@book.rule("softmax-twice", "error", "src/caffe/layers/softmax_loss_layer.cpp (LayerSetUp makes a Softmax of its own)")
def softmax_twice(network: NetworkFile) -> Iterator[Trap]:
    """SoftmaxWithLoss applies a softmax itself. Fed by a Softmax layer it applies two: gradients almost vanish, and the
    loss stays near its start. Feed it the classifier's scores."""
    for graph in network.graphs.values():
        if isinstance(graph, InputError):
            continue
        for node in graph.nodes:
            if node.type == "SoftmaxWithLoss" and node.bottoms[0].producer.type == "Softmax":
                message = f"layer '{node.name}' applies a second softmax to layer '{node.bottoms[0].producer.name}'"
                yield network.text(node.index).line_of("bottom"), message


@book.rule("filler", "warning", "include/caffe/filler.hpp (GetFiller); src/caffe/proto/caffe.proto (FillerParameter)")
def filler(network: NetworkFile) -> Iterator[Trap]:
    """The default weight filler is the constant 0: a layer trained from there gives all its channels the same gradient,
    and passes none on. Harmless only if weights are copied in. Write a weight_filler, such as msra or xavier."""
    if not network.trains(TRAIN):
        return
    owners = {
        "Convolution": "convolution_param",
        "Deconvolution": "convolution_param",
        "InnerProduct": "inner_product_param",
    }
    for phase, layer, text in network.layers:
        if phase != TRAIN or layer.type not in owners or (layer.param and layer.param[0].lr_mult == 0):
            continue
        weights = getattr(layer, owners[layer.type]).weight_filler
        if weights.type == "constant" and weights.value == 0:
            yield text.line, f"the weights of layer '{layer.name}' start as 0"
