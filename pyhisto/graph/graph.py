"""A network as layers and blobs: phases resolved, old formats upgraded, in-place undone, shapes inferred.

What Caffe refuses when it builds the same network (src/caffe/net.cpp, util/insert_splits.cpp) is an InputError here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyhisto.errors import InputError
from pyhisto.graph.fork_types import DEPTHWISE, FORK_TYPES
from pyhisto.graph.layer_types import LAYER_TYPES
from pyhisto.graph.sources import SOURCES, Known
from pyhisto.graph.types import MAX_AXES, MAX_COUNT, Counts, Shape, ShapeError, count, dims
from pyhisto.graph.upgrade import upgrade
from pyhisto.layers.activation_statistics import blob_shapes
from pyhisto.layers.sep_layer import is_sep
from pyhisto.proto import TEST, LayerParameter, Net


class NetworkError(InputError):
    """A network that Caffe would refuse; `index` is the position in the file of the layer at fault (None: none)."""

    def __init__(self, message: str, index: int | None) -> None:
        super().__init__(message)
        self.index = index


@dataclass(eq=False)
class Blob:
    """What one layer makes and others read. A layer that works in place makes a blob of its own, of the same name."""

    name: str
    producer: "Node"
    top: int
    """Which of the producer's tops it is."""
    in_place_of: "Blob | None" = None
    """The blob whose memory it overwrites."""
    consumers: list[tuple["Node", int]] = field(default_factory=list)
    """The layers that read it, each with the index of its bottom; a layer that reads it twice stands there twice."""
    shape: Shape | None = None
    """None if it cannot be known; `unknown` says why."""
    unknown: str = ""

    def __repr__(self) -> str:
        return f"Blob({self.name!r}, {self.shape})"


@dataclass(eq=False)
class Node:
    """A layer, as it is in the chosen phase."""

    layer: Any
    """Its LayerParameter, in today's format."""
    index: int | None
    """Its position in the file's `layer` (or `layers`); None for an Input layer that the file only implies."""
    bottoms: list[Blob] = field(default_factory=list)
    tops: list[Blob] = field(default_factory=list)
    param_shapes: tuple[Shape, ...] | None = ()
    """The shapes of its weight blobs as Caffe would create them, else as they are stored; None if neither is known."""
    foreign: str = ""
    """Why nobody knows what it does: its type, or that it does not fit its type's public definition. Empty: known."""

    @property
    def name(self) -> str:
        """The layer's name, which Caffe matches weights by. May be empty, and two layers may share it."""
        return str(self.layer.name)

    @property
    def type(self) -> str:
        """The layer's type in today's names, such as `Convolution`."""
        return str(self.layer.type)

    def __repr__(self) -> str:
        return f"Node({self.name!r}, {self.type})"


@dataclass(eq=False)
class Graph:
    """A network in one phase. Nodes are in the file's order, which is an order of execution."""

    source: str
    phase: int
    nodes: list[Node]

    @property
    def blobs(self) -> list[Blob]:
        """All blobs, in the order in which they are made."""
        return [blob for node in self.nodes for blob in node.tops]

    @property
    def inputs(self) -> list[Blob]:
        """The blobs that come from outside: made by layers without bottoms, Parameter layers excepted."""
        return [blob for node in self.nodes if not node.bottoms and node.type != "Parameter" for blob in node.tops]

    @property
    def outputs(self) -> list[Blob]:
        """The blobs that leave the network: nobody reads them, or a loss_weight makes them a training target too."""
        return [
            blob
            for node in self.nodes
            for blob in node.tops
            if not blob.consumers or any(node.layer.loss_weight[blob.top : blob.top + 1])
        ]

    def node(self, name: str) -> Node:
        """The first layer of that name, into which Caffe copies weights. Raises InputError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise InputError(f"{self.source}: has no layer '{name}' in this phase")

    def blob(self, name: str) -> Blob:
        """The last blob of that name: what pycaffe's `net.blobs[name]` holds after a forward pass."""
        for blob in reversed(self.blobs):
            if blob.name == name:
                return blob
        raise InputError(f"{self.source}: has no blob '{name}' in this phase")

    def owners(self) -> dict[tuple[Node, int], tuple[Node, int]]:
        """For every weight blob (node, index of the blob), the one that owns its memory: itself, or, where
        `param { name }` shares it, the first of that name."""
        first: dict[str, tuple[Node, int]] = {}
        owners = {}
        for node in self.nodes:
            for index in range(max(len(node.param_shapes or ()), len(node.layer.param))):
                name = node.layer.param[index].name if index < len(node.layer.param) else ""
                owners[node, index] = first.setdefault(name, (node, index)) if name else (node, index)
        return owners

    @classmethod
    def build(
        cls,
        net: Net,
        phase: int = TEST,
        *,
        stages: Iterable[str] = (),
        level: int | None = None,
        input_shapes: Mapping[str, Shape] | None = None,
        data_root: Path | None = None,
        stored: Mapping[str, Sequence[Shape]] | None = None,
        source: object = "network",
    ) -> "Graph":
        """The graph of a NetParameter in a phase (proto.TRAIN or TEST), with these stages and this level.

        `input_shapes` gives (or overrides) shapes of blobs that layers without bottoms make, or layers that nobody
        knows. With `data_root`, data layers' sources are looked up from there as Caffe looks them up from its working
        folder; without it no file is touched. A shape that stays unknown is None, with the reason. `stored` are the
        shapes of a caffemodel's blobs, by layer, for layers whose weights' shapes do not follow from the prototxt.
        `source` is what an error names (a file).

        A layer of a fork's type that does not fit the type's public definition is foreign, as is one of an unknown
        type. Raises InputError if Caffe would refuse the network, naming the layer.
        """
        layers = layers_in_phase(net, phase, stages=stages, level=level, source=source)
        graph = cls(str(source), phase, _connect(layers, source))
        shapes = _InputShapes(input_shapes or {}, data_root)
        for node in graph.nodes:
            try:
                _infer(node, shapes, stored or {})
            except ShapeError as error:
                raise NetworkError(f"{source}: layer '{node.name}' ({node.type}): {error}", node.index) from None
        shapes.check_used(graph)
        _check_shared(graph)
        return graph


def layers_in_phase(
    net: Net, phase: int, *, stages: Iterable[str] = (), level: int | None = None, source: object = "network"
) -> list[tuple[Any, int | None]]:
    """The layers that Caffe keeps in a phase (net.cpp, FilterNet), in today's format, with their positions in the file.

    Raises InputError as `upgrade` does, and if a layer has both include and exclude rules.
    """
    upgraded, origins = upgrade(net, source)
    state = _State(phase, {*stages, *upgraded.state.stage}, upgraded.state.level if level is None else level)
    layers = []
    for layer, origin in zip(upgraded.layer, origins, strict=True):
        if layer.include and layer.exclude:
            complaint = "has both include and exclude rules; use one kind"
            raise NetworkError(f"{source}: layer '{layer.name}': {complaint}", origin)
        if state.includes(layer):
            layers.append((layer, origin))
    return layers


@dataclass(frozen=True)
class _State:
    """Caffe's NetState, which include and exclude rules are held against."""

    phase: int
    stages: set[str]
    level: int

    def includes(self, layer: Any) -> bool:
        if layer.include:
            return any(map(self._meets, layer.include))
        return not any(map(self._meets, layer.exclude))

    def _meets(self, rule: Any) -> bool:
        return (
            (not rule.HasField("phase") or rule.phase == self.phase)
            and (not rule.HasField("min_level") or self.level >= rule.min_level)
            and (not rule.HasField("max_level") or self.level <= rule.max_level)
            and self.stages.issuperset(rule.stage)
            and self.stages.isdisjoint(rule.not_stage)
        )


def _connect(layers: list[tuple[Any, int | None]], source: object) -> list[Node]:
    """Nodes joined by blobs, with Caffe's rules of who may make and read which name."""

    def refuse(node: Node, complaint: str) -> NetworkError:
        return NetworkError(f"{source}: layer '{node.name}': {complaint}", node.index)

    nodes = []
    last: dict[str, Blob] = {}
    for layer, origin in layers:
        node = Node(layer, origin)
        nodes.append(node)
        for index, name in enumerate(layer.bottom):
            if name not in last:
                raise refuse(node, f"nothing before it makes its bottom '{name}'")
            node.bottoms.append(last[name])
            last[name].consumers.append((node, index))
        for index, name in enumerate(layer.top):
            node.tops.append(Blob(name, node, index))
            last[name] = node.tops[-1]

    # Only now is it known who else reads a blob: Caffe puts a Split behind a blob that is read twice, and then a layer
    # that writes over one of the copies makes the blob's name a second time, which Caffe refuses.
    made: set[str] = set()
    for node in nodes:
        for blob in node.tops:
            under = node.bottoms[blob.top] if blob.top < len(node.bottoms) else None
            if under is not None and under.name == blob.name:
                if _uses(under) > 1:
                    raise refuse(node, f"works in place on '{blob.name}', which others read too; rename its top")
                blob.in_place_of = under
            elif blob.name in made:
                raise refuse(node, f"its top '{blob.name}' is made by an earlier layer too")
            made.add(blob.name)
    return nodes


def _uses(blob: Blob) -> int:
    loss = blob.producer.layer.loss_weight[blob.top : blob.top + 1]
    return len(blob.consumers) + any(loss)


class _InputShapes:
    """The shapes that the caller gave, and those that data layers find by themselves."""

    def __init__(self, given: Mapping[str, Shape], root: Path | None) -> None:
        self.given = {name: tuple(shape) for name, shape in given.items()}
        self.root = root

    def of(self, node: Node) -> list[Known]:
        """A shape, or the reason why there is none, for each top of a layer without bottoms."""
        read: list[Known]
        if node.type in SOURCES:
            read = SOURCES[node.type][0](node.layer, len(node.tops), self.root)
        elif node.type in LAYER_TYPES:
            read = list(LAYER_TYPES[node.type].shapes(node.layer, [], len(node.tops)))
        else:
            read = [_unknown_type(node)] * len(node.tops)
        return [self.given.get(blob.name, shape) for blob, shape in zip(node.tops, read, strict=True)]

    def check_used(self, graph: Graph) -> None:
        """A shape for a blob that is no input is a mistake."""
        for name in self.given:
            makers = [node for node in graph.nodes if not node.bottoms or node.foreign]
            if not any(blob.name == name for node in makers for blob in node.tops):
                raise InputError(f"{graph.source}: no layer without bottoms makes '{name}', whose shape is given")


def _unknown_type(node: Node) -> str:
    if node.type == "Python":
        parameters = node.layer.python_param
        return f"layer '{node.name}' is the Python layer {parameters.module}.{parameters.layer}"
    return f"layer '{node.name}' is of the unknown type '{node.type}'"


def _infer(node: Node, inputs: _InputShapes, stored: Mapping[str, Sequence[Shape]]) -> None:
    """Fill in the shapes of a node's tops and weights."""
    kind = LAYER_TYPES.get(node.type)
    if kind is None and node.type not in SOURCES and not is_sep(node.layer):
        node.foreign = _unknown_type(node)
    try:
        known = _checked_shapes(node, inputs)
        shapes, found = node.param_shapes, stored.get(node.name)
        if node.type in FORK_TYPES and shapes is not None and found is not None:
            if not _same_shapes(found, shapes):
                raise ShapeError("its weights are others")
            if node.type == "BN":  # 1 x C x 1 x 1 in some forks, 1 x C in others
                node.param_shapes = tuple(found)
    except ShapeError as error:
        if node.type not in FORK_TYPES:
            raise
        node.foreign = f"layer '{node.name}' ({node.type}) does not fit the public definition of its type: {error}"
        node.param_shapes = None
        known = [node.foreign] * len(node.tops)
    if node.foreign:
        known = [inputs.given.get(blob.name, shape) for blob, shape in zip(node.tops, known, strict=True)]
    for blob, shape in zip(node.tops, known, strict=True):
        if isinstance(shape, str):
            blob.unknown = shape
        else:
            blob.shape = shape
    if node.param_shapes is None and _plausible(stored.get(node.name, ())):
        node.param_shapes = tuple(_without_old_axes(node.type, stored.get(node.name, ())))
        if node.type in DEPTHWISE and node.param_shapes:
            node.layer = _grouped_by_channel(node.layer, node.param_shapes[0][0])


def _checked_shapes(node: Node, inputs: _InputShapes) -> list[Known]:
    """The shapes of a node's tops; those of its weights are filled in."""
    _check_counts(node)
    kind = LAYER_TYPES.get(node.type)
    if kind is not None and kind.auto_top and not node.tops:
        node.tops.append(Blob("(automatic)", node, 0))  # Caffe gives a loss without a top a nameless one
    loss_weights = len(node.layer.loss_weight) or int(kind is not None and kind.auto_top)  # a loss has one of 1
    if loss_weights not in (0, len(node.tops)):
        raise ShapeError(f"has {loss_weights} loss_weights for {len(node.tops)} tops")
    if node.layer.propagate_down and len(node.layer.propagate_down) != len(node.bottoms):
        raise ShapeError(f"has {len(node.layer.propagate_down)} propagate_down for {len(node.bottoms)} bottoms")

    known = _known_shapes(node, inputs)
    for blob, shape in zip(node.tops, known, strict=True):
        if not isinstance(shape, str):
            _check_size(shape, f"its top '{blob.name}'")
    if node.param_shapes is not None:
        for index, shape in enumerate(node.param_shapes):
            _check_size(shape, f"its weight blob {index}")
        if len(node.layer.param) > len(node.param_shapes) and (kind is not None or node.type in SOURCES):
            raise ShapeError(f"has {len(node.layer.param)} param fields for {len(node.param_shapes)} weight blobs")
    return known


def _same_shapes(some: Sequence[Shape], others: Sequence[Shape]) -> bool:
    """Whether they are the same, but for axes of 1: old files have them in front, forks differ in those behind."""

    def bare(shape: Shape) -> Shape:
        longer = [axis for axis, size in enumerate(shape) if size != 1]
        return shape[longer[0] : longer[-1] + 1] if longer else ()

    return len(some) == len(others) and all(bare(one) == bare(other) for one, other in zip(some, others, strict=True))


_WEIGHT_AXES = {"BN": (4, 4, 4, 4), "InnerProduct": (2, 1), "Convolution": (4, 1), "Deconvolution": (4, 1)}
"""How many axes the weight blobs of a type have, for images; those of the types not named here have one."""


def _without_old_axes(layer_type: str, shapes: Sequence[Shape]) -> list[Shape]:
    """Stored shapes of a type that we know, without the leading axes of 1 that old files have."""
    if layer_type not in LAYER_TYPES:
        return list(shapes)
    axes = _WEIGHT_AXES.get("Convolution" if layer_type in DEPTHWISE else layer_type, (1,) * len(shapes))
    return [
        shape[len(shape) - most :] if len(shape) > most and set(shape[: len(shape) - most]) == {1} else shape
        for shape, most in zip(shapes, axes, strict=False)
    ]


def _known_shapes(node: Node, inputs: _InputShapes) -> list[Known]:
    if not node.bottoms:
        if node.type in LAYER_TYPES:
            node.param_shapes = tuple(LAYER_TYPES[node.type].params(node.layer, []))
        elif node.type not in SOURCES:
            node.param_shapes = None
        return inputs.of(node)
    bottoms = [blob.shape for blob in node.bottoms if blob.shape is not None]
    unknown = next((blob.unknown for blob in node.bottoms if blob.shape is None), "")
    if is_sep(node.layer) and not unknown:  # the one Python layer whose shapes are known
        node.param_shapes = tuple(blob_shapes(bottoms[0][1]))
        return [bottoms[0]] * len(node.tops)
    kind = LAYER_TYPES.get(node.type)
    if kind is None or unknown:
        node.param_shapes = None
        return [unknown if kind is not None else _unknown_type(node)] * len(node.tops)
    if node.type in DEPTHWISE:
        node.layer = _grouped_by_channel(node.layer, bottoms[0][1] if len(bottoms[0]) > 1 else 1)
    shapes = kind.shapes(node.layer, bottoms, len(node.tops))
    node.param_shapes = tuple(kind.params(node.layer, bottoms))
    return list(shapes)


def _grouped_by_channel(layer: Any, channels: int) -> Any:
    """A depthwise convolution with as many groups as it has input channels, as a plain convolution would have it."""
    grouped = LayerParameter()
    grouped.CopyFrom(layer)
    grouped.convolution_param.group = channels
    return grouped


def _plausible(shapes: Sequence[Shape]) -> bool:
    """Whether weights may have these shapes: what a damaged file says is left to those who read the numbers."""
    return bool(shapes) and all(
        len(shape) <= MAX_AXES and min(shape, default=1) > 0 and count(shape) <= MAX_COUNT for shape in shapes
    )


def _check_counts(node: Node) -> None:
    bottoms: Counts
    tops: Counts
    if node.type in SOURCES:
        bottoms, tops, in_place = (0, 0), SOURCES[node.type][1], True
    elif node.type in LAYER_TYPES:
        kind = LAYER_TYPES[node.type]
        bottoms, tops, in_place = kind.bottoms, kind.tops, kind.in_place
        if kind.auto_top:
            tops = (0, tops[1])
    elif is_sep(node.layer):
        bottoms, tops, in_place = (1, 1), (1, 1), True
    else:
        return
    for what, blobs, (low, high) in (("bottom", node.bottoms, bottoms), ("top", node.tops, tops)):
        if len(blobs) < low or (high is not None and len(blobs) > high):
            wanted = f"{low} or more" if high is None else str(low) if low == high else f"{low} to {high}"
            raise ShapeError(f"has {len(blobs)} {what}s where {wanted} are needed")
    if not in_place and any(blob.in_place_of is not None for blob in node.tops):
        raise ShapeError("cannot work in place; give its top another name")


def _check_size(shape: Shape, what: str) -> None:
    if len(shape) > MAX_AXES or min(shape, default=1) < 1 or count(shape) > MAX_COUNT:
        raise ShapeError(f"{what} would be {dims(shape[: MAX_AXES + 1])}, which Caffe cannot hold")


def _check_shared(graph: Graph) -> None:
    """Weights under one name have to agree in shape, or, where the sharer is PERMISSIVE, in size."""
    for (node, index), (owner, owner_index) in graph.owners().items():
        if (node, index) == (owner, owner_index) or node.param_shapes is None or owner.param_shapes is None:
            continue
        mine, theirs = node.param_shapes[index], owner.param_shapes[owner_index]
        permissive = node.layer.param[index].share_mode == node.layer.param[index].PERMISSIVE
        if mine != theirs and not (permissive and count(mine) == count(theirs)):
            raise NetworkError(
                f"{graph.source}: layer '{node.name}': shares '{node.layer.param[index].name}' with layer "
                f"'{owner.name}', but their shapes are {dims(mine)} and {dims(theirs)}",
                node.index,
            )
