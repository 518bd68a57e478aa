"""Which channels of a network have to be removed together.

A *channel* is one output of a layer that makes channels (a convolution, an inner product, ...); channels are numbered
through the whole network. Every blob is an array of such numbers along its axis 1: a concatenation concatenates the
arrays, an activation passes its on, a flattening repeats each number H x W times. What ties channels to one another (an
element-wise sum, the gate of an SE block, a grouped convolution, shared weights) is an edge; the connected components
are the *atoms*, which go or stay whole. Every axis of every weight blob is such an array too, so that a cut follows at
once: an index along it stays where its channel does.

Several prototxts of one network (deploy, train_val in both phases) are analysed as one: layers of the same name are the
same layer, and an atom has to be whole in all of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.graph import Blob, Graph, Node
from pyhisto.graph.graph import SEP_MODULE
from pyhisto.graph.types import canonical_axis, concat_axis, count, slice_axis
from pyhisto.layers.activation_statistics import MASK, SUM_HIGH, SUM_LOW

Channels: TypeAlias = NDArray[np.int64]
"""The channel numbers along an axis."""


@dataclass(frozen=True)
class Gate:
    """A Squeeze-Excitation pattern: global pooling, a layer down, a layer up, and the features times that."""

    name: str
    """Of the layer that applies the gate."""
    channels: Channels
    """Of the gated features."""
    down: str
    """The layer that makes the hidden units."""
    up: str
    hidden: Channels


@dataclass(frozen=True)
class Group:
    """Atoms that the same layers make, and the same slices take: they are cut alike and differ in their index only."""

    name: str
    atoms: NDArray[np.int64]
    frozen: str
    """Why none of them may go; empty where they may."""


@dataclass
class Dependencies:
    """The analysis of a network's prototxts."""

    producers: dict[str, Channels] = field(default_factory=dict)
    """Layer name -> the numbers of the channels that it makes."""
    params: dict[tuple[str, int], list[Channels | None]] = field(default_factory=dict)
    """(layer, index of the weight blob) -> for each axis the channels along it, None where no channel is."""
    blobs: list[dict[Blob, Channels]] = field(default_factory=list)
    """For each graph: blob -> the channels along its axis 1."""
    gates: dict[str, Gate] = field(default_factory=dict)
    atom: Channels = field(default_factory=lambda: np.zeros(0, np.int64))
    """Channel -> number of its atom."""
    groups: list[Group] = field(default_factory=list)
    block: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Atom -> number of its block: the atoms that one Concat first brings together, else those of one group."""

    @classmethod
    def analyse(cls, graphs: Sequence[Graph]) -> "Dependencies":
        """Analyse one network from all its graphs. Raises InputError where they are not of the same network."""
        analysis = _Analysis()
        for graph in graphs:
            analysis.visit(graph)
        return analysis.finish(graphs)

    def atom_count(self) -> int:
        """How many atoms there are."""
        return int(self.atom.max(initial=-1)) + 1

    def places(self, group: Group) -> list[str]:
        """Where a group is cut, as `layer (blob 0 axis 1)`, in the order of the network."""
        wanted = np.isin(self.atom, group.atoms)
        places = []
        for (layer, blob), axes in self.params.items():
            for axis, channels in enumerate(axes):
                if channels is not None and wanted[channels].any():
                    places.append(f"{layer} (blob {blob} axis {axis})")
        return places

    def describe(self) -> str:
        """The groups, for people: what each is made by, where it is cut, or why it may not be."""
        lines = []
        for group in self.groups:
            size = np.count_nonzero(np.isin(self.atom, group.atoms)) // max(1, len(group.atoms))
            unit = "channels" if size == 1 else f"bundles of {size} channels"
            lines.append(
                f"{group.name}: {len(group.atoms)} {unit}" + (f", kept: {group.frozen}" if group.frozen else "")
            )
            if not group.frozen:
                lines += [f"    {place}" for place in self.places(group)]
        return "\n".join(lines)


MAX_CHANNELS = 1 << 20
"""That layers may make in one network."""

MAX_INDICES = 1 << 24
"""Along axis 1 of all blobs and the axes of all weights of one network: what fits into memory many times over."""


class _Analysis:
    """Walks the graphs and gathers channels, edges and what is frozen."""

    def __init__(self) -> None:
        self.result = Dependencies()
        self.count = 0
        self.indices = 0
        self.producer_of: list[str] = []  # by range of channels, in order
        self.ranges: list[int] = []
        self.edges: list[tuple[Channels, Channels]] = []
        self.frozen: list[tuple[Channels, str]] = []
        self.slices: list[Channels] = []
        # Of the graph being visited:
        self.channels: dict[Blob, Channels | None] = {}
        self.zero: dict[Blob, bool] = {}

    # What the rules say

    def produce(self, node: Node, count: int) -> Channels:
        """The channels that a layer makes; the same ones in every graph."""
        known = self.result.producers.get(node.name)
        if known is None:
            if sum(map(len, self.result.producers.values())) + count > MAX_CHANNELS:
                raise InputError(
                    f"layer '{node.name}' makes {count} channels: with those before it more than the pruner can follow"
                )
            known = self.result.producers[node.name] = self._new(count, node.name)
        elif len(known) != count:
            raise InputError(
                f"layer '{node.name}' makes {len(known)} channels in one prototxt and {count} in another; "
                "are they of one network?"
            )
        return known

    def foreign(self, size: int, reason: str) -> Channels:
        """Channels of a blob that nothing can be cut from."""
        channels = self._new(size, "")
        self.freeze(channels, reason)
        return channels

    def tie(self, one: Channels | None, other: Channels | None, reason: str) -> None:
        """These channels, index by index, go together; where one side is unknown the other stays."""
        if one is None or other is None or len(one) != len(other):
            for side in (one, other):
                if side is not None:
                    self.freeze(side, reason)
        else:
            self.edges.append((one, other))

    def freeze(self, channels: Channels | None, reason: str) -> None:
        """These channels stay."""
        if channels is not None and len(channels):
            self.frozen.append((channels, reason))

    def param(self, node: Node, blob: int, axes: Sequence[Channels | None]) -> None:
        """The channels along a weight blob's axes."""
        known = self.result.params.setdefault((node.name, blob), list(axes))
        for mine, theirs in zip(axes, known, strict=True):
            if mine is not None or theirs is not None:
                self.tie(mine, theirs, f"layer '{node.name}' differs between the prototxts")

    def _new(self, count: int, producer: str) -> Channels:
        channels = np.arange(self.count, self.count + count)
        self.count += count
        self.producer_of.append(producer)
        self.ranges.append(count)
        return channels

    # The walk

    def visit(self, graph: Graph) -> None:
        """Take one graph in."""
        self.channels, self.zero = {}, {}
        with_params: set[str] = set()
        for node in graph.nodes:
            if node.param_shapes:
                if node.name in with_params:
                    raise InputError(f"{graph.source}: two layers with weights are called '{node.name}'; rename one")
                with_params.add(node.name)
            self.indices += sum(_size(blob) or 0 for blob in node.tops) + sum(map(sum, node.param_shapes or ()))
            if self.indices > MAX_INDICES:
                raise InputError(
                    f"{graph.source}: layer '{node.name}': its blobs are too long for the pruner to follow"
                )
            rule = RULES.get(node.type, _freezing)
            bottoms = [self.channels[blob] for blob in node.bottoms]
            tops = rule(self, node, bottoms)
            zero = (
                all(self.zero[blob] for blob in node.bottoms) and node.type not in MAKES_NONZERO and not _shifts(node)
            )
            for blob, channels in zip(node.tops, tops, strict=True):
                self.channels[blob] = channels
                self.zero[blob] = zero or node.type in MAKES_ZERO
        for blob in graph.outputs:
            self.freeze(self.channels[blob], f"network output '{blob.name}'")
        self._shared(graph)
        self.result.gates |= {gate.name: gate for gate in self._gates(graph)}
        self.result.blobs.append({blob: channels for blob, channels in self.channels.items() if channels is not None})

    def _shared(self, graph: Graph) -> None:
        """Weights under one name are cut alike."""
        for (node, index), (owner, owner_index) in graph.owners().items():
            mine = self.result.params.get((node.name, index))
            theirs = self.result.params.get((owner.name, owner_index))
            if (node, index) == (owner, owner_index) or (mine is None and theirs is None):
                continue
            reason = f"layers '{node.name}' and '{owner.name}' share weights of different forms"
            if mine is None or theirs is None or len(mine) != len(theirs):
                for channels in (mine or []) + (theirs or []):
                    self.freeze(channels, reason)
                continue
            for one, other in zip(mine, theirs, strict=True):
                if one is not None or other is not None:
                    self.tie(one, other, reason)

    def _gates(self, graph: Graph) -> Iterable[Gate]:
        for node in graph.nodes:
            if node.type == "Scale" and len(node.bottoms) == 2:
                features, gate = node.bottoms
            elif node.type == "Axpy":
                gate, features = node.bottoms[0], node.bottoms[1]
            else:
                continue
            up = _back(gate, {"Reshape", "Flatten", "Sigmoid", "Python", "Power", "ReLU", "Split"})
            if up is None or up.type not in ("Convolution", "InnerProduct"):
                continue
            down = _back(up.bottoms[0], {"ReLU", "PReLU", "BatchNorm", "Scale", "Dropout", "Split"})
            if down is None or down.type not in ("Convolution", "InnerProduct"):
                continue
            squeeze = _back(down.bottoms[0], {"Reshape", "Flatten", "Split"})
            if squeeze is None or squeeze.type != "Pooling":
                continue
            channels, squeezed = self.channels[features], self.channels[squeeze.bottoms[0]]
            if channels is not None and squeezed is not None and np.array_equal(channels, squeezed):
                yield Gate(node.name, channels, down.name, up.name, self.result.producers[down.name])

    # The end

    def finish(self, graphs: Sequence[Graph]) -> Dependencies:
        """Join what is tied; name the groups; find the blocks."""
        result = self.result
        ends = [np.concatenate([np.zeros(0, np.int64), *(edge[side] for edge in self.edges)]) for side in (0, 1)]
        # Atoms are numbered by their first channel, so that the order is the network's.
        result.atom = np.unique(_first_connected(self.count, *ends), return_inverse=True)[1]

        # Of inputs and of what unknown layers make there may be millions; only what layers make is looked at singly.
        producer = np.repeat(np.arange(len(self.ranges)), self.ranges)
        own = np.repeat(np.array([name != "" for name in self.producer_of], bool), self.ranges)
        makers: dict[int, set[int]] = {}
        for atom, maker in np.unique(np.stack([result.atom[own], producer[own]]), axis=1).T:
            makers.setdefault(int(atom), set()).add(int(maker))
        made = np.zeros(result.atom_count(), bool)
        made[list(makers)] = True

        def atoms_of(channels: Channels) -> list[int]:
            atoms = np.unique(result.atom[channels])
            return [int(atom) for atom in atoms[made[atoms]]]

        reasons: dict[int, str] = {}
        for channels, reason in self.frozen:
            for atom in atoms_of(channels):
                reasons.setdefault(atom, reason)
        # What one layer makes and a Slice takes apart is not one group: each part has to keep something.
        parts: dict[int, tuple[int, ...]] = {}
        for number, channels in enumerate(self.slices):
            for atom in atoms_of(channels):
                parts[atom] = (*parts.get(atom, ()), number)
        members: dict[tuple[tuple[int, ...], tuple[int, ...], str], list[int]] = {}
        for atom, layers in makers.items():
            signature = (tuple(sorted(layers)), parts.get(atom, ()), reasons.get(atom, ""))
            members.setdefault(signature, []).append(atom)
        for (made_by, _, reason), atoms in members.items():
            name = " + ".join(self.producer_of[layer] for layer in made_by)
            result.groups.append(Group(name, np.array(atoms), reason))
        result.block = self._blocks(graphs)
        return result

    def _blocks(self, graphs: Sequence[Graph]) -> NDArray[np.int64]:
        block = np.full(self.result.atom_count(), -1)
        number = 0
        for graph, blobs in zip(graphs, self.result.blobs, strict=True):
            for node in graph.nodes:
                if node.type == "Concat" and node.tops[0] in blobs:
                    atoms = np.unique(self.result.atom[blobs[node.tops[0]]])
                    block[atoms[block[atoms] < 0]] = number
                    number += 1
        for group in self.result.groups:
            free = group.atoms[block[group.atoms] < 0]
            block[free] = number
            number += 1
        return block


def _first_connected(count: int, ones: Channels, others: Channels) -> Channels:
    """For each of `count` channels the lowest that edges (ones[i], others[i]) connect it to, over any number of them.

    Each round hooks the roots of joined trees to the lower one and flattens the trees. (SciPy has this, but importing
    it takes as long as the whole pruning.)
    """
    first = np.arange(count)
    while len(unequal := np.flatnonzero(first[ones] != first[others])):
        ones, others = ones[unequal], others[unequal]
        one, other = first[ones], first[others]
        np.minimum.at(first, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(flatter := first[first], first):
            first = flatter
    return first


def _back(blob: Blob, through: set[str]) -> Node | None:
    """The layer before a blob, passing over layers of one bottom of these types."""
    node = blob.producer
    while node.type in through and len(node.bottoms) == 1:
        node = node.bottoms[0].producer
    return node if node.bottoms else None


# One rule a layer type: (analysis, node, channels of each bottom) -> channels of each top. None stands for a blob whose
# axis 1 is unknown, or that has none.

Tops: TypeAlias = list[Channels | None]
Rule: TypeAlias = Callable[[_Analysis, Node, list[Channels | None]], Tops]


def _named(node: Node) -> str:
    return f"layer '{node.name}' ({node.type})"


def _size(blob: Blob) -> int | None:
    """The size of axis 1; None where there is none or it is unknown."""
    return blob.shape[1] if blob.shape is not None and len(blob.shape) > 1 else None


def _source(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    return [
        None if (size := _size(blob)) is None else a.foreign(size, f"network input '{blob.name}'") for blob in node.tops
    ]


def _freezing(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    """Mixes channels, or nobody knows what it does: what it reads stays, what it makes is foreign."""
    for channels in bottoms:
        a.freeze(channels, f"read by {_named(node)}")
    if not node.bottoms:
        return _source(a, node, bottoms)
    return [None if (size := _size(blob)) is None else a.foreign(size, f"made by {_named(node)}") for blob in node.tops]


def _passing(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    return [bottoms[0]] * len(node.tops)


def _silence(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    return []


def _each_passing(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    """Filter, BatchReindex: samples are chosen by the last bottom; channels stay what they are."""
    return [bottoms[i] for i in range(len(node.tops))]


def _convolution(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    parameter = node.layer.convolution_param
    if parameter.axis != 1:
        return _freezing(a, node, bottoms)
    outputs, inputs, group = parameter.num_output, bottoms[0], parameter.group
    # The graph has checked this unless the shape of its bottom is unknown.
    if not group or not outputs or outputs % group or (inputs is not None and len(inputs) % group):
        raise InputError(f"{_named(node)}: its channels cannot be divided into {group} groups")
    out = a.produce(node, outputs)
    for other in bottoms[1:]:  # several bottoms share the weights
        a.tie(bottoms[0], other, f"read by {_named(node)}")
    weight_in, weight_out = _grouped(a, node, inputs, out, group)
    spatial = [None] * (len(node.param_shapes[0]) - 2 if node.param_shapes else 2)
    # A deconvolution's weights are the transpose; of a grouped one's two axes, the second is that of one group.
    if node.type == "Deconvolution":
        first, second = bottoms[0], weight_out
    else:
        first, second = out, weight_in
    a.param(node, 0, [first, second, *spatial])
    if parameter.bias_term:
        a.param(node, 1, [out])
    return [out] * len(node.tops)


def _grouped(
    a: _Analysis, node: Node, inputs: Channels | None, out: Channels, group: int
) -> tuple[Channels | None, Channels | None]:
    """The channels along the axis of a weight blob that a group's own inputs, or outputs, lie on.

    All groups of a convolution have one size. Where there are at least as many groups as inputs in each (depthwise,
    ResNeXt), whole groups go, inputs and outputs together; else every group loses the same positions.
    """
    if group == 1:
        return inputs, out
    outputs = out.reshape(group, -1)
    if inputs is None:
        a.freeze(out, f"groups of {_named(node)} with unknown inputs")
        return None, outputs[0]
    rows = inputs.reshape(group, -1)
    if whole_groups_go(node, len(inputs)):
        for matrix in (rows, outputs):
            a.tie(np.repeat(rows[:, 0], matrix.shape[1]), matrix.ravel(), "")
        return None, None
    for matrix in (rows, outputs):
        a.tie(np.tile(matrix[0], group), matrix.ravel(), "")
    return rows[0], outputs[0]


def whole_groups_go(node: Node, inputs: int) -> bool:
    """Whether a cut through this convolution lowers the number of its groups (else their size)."""
    group = node.layer.convolution_param.group
    return bool(group > 1 and group >= inputs // group)


def _inner_product(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    parameter, bottom = node.layer.inner_product_param, node.bottoms[0]
    if bottom.shape is not None and canonical_axis(parameter.axis, bottom.shape) != 1:
        return _freezing(a, node, bottoms)
    out = a.produce(node, parameter.num_output)
    inputs = bottoms[0]
    if inputs is not None:
        if bottom.shape is None:
            a.freeze(inputs, f"read by {_named(node)}, whose bottom's shape is unknown: {bottom.unknown}")
            inputs = None
        else:
            inputs = np.repeat(inputs, count(bottom.shape[2:]))
    a.param(node, 0, [inputs, out] if parameter.transpose else [out, inputs])
    if parameter.bias_term:
        a.param(node, 1, [out])
    return [out]


def _embed(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    out = a.produce(node, node.layer.embed_param.num_output)
    if node.tops[0].shape is None or len(node.tops[0].shape) != 2:  # the new axis is not axis 1
        a.freeze(out, f"made by {_named(node)}")
        return [None]
    a.param(node, 0, [None, out])
    if node.layer.embed_param.bias_term:
        a.param(node, 1, [out])
    return [out]


def _batch_norm(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    a.param(node, 0, [bottoms[0]])
    a.param(node, 1, [bottoms[0]])  # the third blob is a scalar
    return [bottoms[0]]


def _per_channel(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    """PReLU; SSD's Normalize, which sums over the channels and is cut only where what goes is zero before it."""
    if node.type == "Normalize" and not a.zero[node.bottoms[0]]:
        return _freezing(a, node, bottoms)
    parameter = node.layer.prelu_param if node.type == "PReLU" else node.layer.norm_param
    if not parameter.channel_shared:
        a.param(node, 0, [bottoms[0]])
    return [bottoms[0]]


def _scale(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    """Scale and Bias: by weights of their own, or by a second bottom (an SE block's gate), along any axes."""
    parameter = node.layer.scale_param if node.type == "Scale" else node.layer.bias_param
    shape = node.bottoms[0].shape
    axis = parameter.axis if shape is None else canonical_axis(parameter.axis, shape)
    blobs = 1 if node.type == "Bias" else 1 + parameter.bias_term
    if axis < 0:
        return _freezing(a, node, bottoms)
    if len(node.bottoms) == 2:
        gate = node.bottoms[1].shape
        if gate is None or shape is None:
            return _freezing(a, node, bottoms)
        covered = axis <= 1 < axis + len(gate)
        axes = _placed(bottoms[0] if covered else None, 1 - axis, len(gate))
        if covered:
            # A gate is followed along its axis 1 only: it has to begin at the features' axis 0.
            a.tie(bottoms[0], bottoms[1] if axis == 0 else None, f"gated by {_named(node)} along another axis")
        else:
            a.freeze(bottoms[1], f"read by {_named(node)}")
        first_own = 1
    else:
        extent = (
            (len(shape) - axis if shape is not None else 2 - axis) if parameter.num_axes < 0 else parameter.num_axes
        )
        axes = _placed(bottoms[0] if axis <= 1 < axis + extent else None, 1 - axis, extent)
        first_own = 0
    for blob in range(blobs - first_own):
        a.param(node, blob, axes)
    return [bottoms[0]]


def _placed(channels: Channels | None, position: int, size: int) -> list[Channels | None]:
    axes: list[Channels | None] = [None] * size
    if channels is not None:
        axes[position] = channels
    return axes


def _axpy(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    """SENet's a * x + y: bottoms a (N x C), x and y (N x C x H x W)."""
    for other in (bottoms[0], bottoms[2]):
        a.tie(bottoms[1], other, f"read by {_named(node)}")
    return [bottoms[1]]


def _eltwise(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    for other in bottoms[1:]:
        a.tie(bottoms[0], other, f"read by {_named(node)}")
    return [bottoms[0]]


def _concat(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    shape = node.bottoms[0].shape
    if any(channels is None for channels in bottoms) or shape is None:
        return _freezing(a, node, bottoms)
    if concat_axis(node.layer, shape) == 1:
        return [np.concatenate([channels for channels in bottoms if channels is not None])]
    return _eltwise(a, node, bottoms)


def _slice(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    shape = node.bottoms[0].shape
    if bottoms[0] is None or shape is None:
        return _freezing(a, node, bottoms)
    if slice_axis(node.layer, shape) != 1:
        return _passing(a, node, bottoms)
    ends = np.cumsum([_size(blob) for blob in node.tops])
    parts = np.split(bottoms[0], ends[:-1])
    a.slices += parts
    return list(parts)


def _tile(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    shape, parameter = node.bottoms[0].shape, node.layer.tile_param
    if shape is None or bottoms[0] is None:
        return _freezing(a, node, bottoms)
    if canonical_axis(parameter.axis, shape) != 1:
        return [bottoms[0]]
    return [np.tile(bottoms[0], parameter.tiles)]


def _reshape(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    """Reshape and Flatten pass where each index of the new axis 1 lies within one channel."""
    old, new = node.bottoms[0].shape, node.tops[0].shape
    if bottoms[0] is None or old is None or new is None or len(new) < 2 or old[0] != new[0]:
        return _freezing(a, node, bottoms)
    repeats, rest = divmod(new[1], old[1])
    if rest or repeats == 0 or count(old[2:]) % repeats:
        return _freezing(a, node, bottoms)
    return [np.repeat(bottoms[0], repeats)]


def _permute(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    if list(node.layer.permute_param.order[:2]) not in ([], [0], [0, 1]):
        return _freezing(a, node, bottoms)
    return [bottoms[0]]


def _crop(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    """Crops x to the size of a reference, whose channels do not matter where only H and W are cropped."""
    shape = node.bottoms[0].shape
    if shape is None or canonical_axis(node.layer.crop_param.axis, shape) < 2:
        return _freezing(a, node, bottoms)
    return [bottoms[0]]


def _lrn(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    """Across channels it looks at neighbours, which a cut would change."""
    parameter = node.layer.lrn_param
    return _freezing(a, node, bottoms) if parameter.norm_region == parameter.ACROSS_CHANNELS else [bottoms[0]]


def _mvn(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    return _freezing(a, node, bottoms) if node.layer.mvn_param.across_channels else [bottoms[0]]


def _reduction(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    shape = node.bottoms[0].shape
    if shape is None or canonical_axis(node.layer.reduction_param.axis, shape) < 2:
        return _freezing(a, node, bottoms)
    return [bottoms[0]]


def _im2col(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    size, channels = _size(node.tops[0]), bottoms[0]
    if size is None or channels is None or node.layer.convolution_param.axis != 1:
        return _freezing(a, node, bottoms)
    return [np.repeat(channels, size // len(channels))]


def _python(a: _Analysis, node: Node, bottoms: Tops) -> Tops:
    """Our SEP layer passes its channels, and its state goes with them; anybody else's layer is unknown."""
    if node.layer.python_param.module != SEP_MODULE:
        return _freezing(a, node, bottoms)
    for blob in (SUM_HIGH, SUM_LOW, MASK):
        a.param(node, blob, [bottoms[0]])
    return [bottoms[0]]


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Exp", "Log", "Pooling", "Power", "ReLU", "Sigmoid", "Split",
         "Swish", "TanH", "Threshold"), _passing,
    ),
    "Axpy": _axpy,
    "BatchNorm": _batch_norm,
    "BatchReindex": _each_passing,
    "Bias": _scale,
    "Concat": _concat,
    "Convolution": _convolution,
    "Crop": _crop,
    "Deconvolution": _convolution,
    "Eltwise": _eltwise,
    "Embed": _embed,
    "Filter": _each_passing,
    "Flatten": _reshape,
    "Im2col": _im2col,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "MVN": _mvn,
    "Normalize": _per_channel,
    "PReLU": _per_channel,
    "Permute": _permute,
    "Python": _python,
    "Reduction": _reduction,
    "Reshape": _reshape,
    "Scale": _scale,
    "Silence": _silence,
    "Slice": _slice,
    "Tile": _tile,
}  # fmt: skip
"""Every other type freezes what it reads and makes: losses, Softmax, recurrent layers, layers of other people."""

MAKES_ZERO = {"Convolution", "Deconvolution", "InnerProduct", "Embed"}
"""Their removed outputs are zero, in the network with masked weights, whatever they read."""

MAKES_NONZERO = {"Sigmoid", "Exp", "Log", "BNLL"}
"""What they make of zero is not zero."""


def _shifts(node: Node) -> bool:
    """Whether it makes of zero what is not zero, by its settings."""
    if node.type == "Clip":
        return not node.layer.clip_param.min <= 0 <= node.layer.clip_param.max
    return node.type == "Power" and node.layer.power_param.shift != 0
