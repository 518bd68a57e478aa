"""Which channels of a network have to be removed together.

A *channel* is one output of a layer that makes channels (a convolution, an inner product, ...); channels are numbered
through the whole network. Every blob is an array of such numbers along its axis 1: a concatenation concatenates the
arrays, an activation passes its on, a flattening repeats each number H x W times. What ties channels to one another (an
element-wise sum, the gate of an SE block, a grouped convolution, shared weights) is an edge; the connected components
are the *atoms*, which go or stay whole. Every axis of every weight blob is such an array too, so that a cut follows at
once: an index along it stays if its channel does.

Several prototxts of one network (deploy, train_val in both phases) are analysed as one: layers of the same name are the
same layer, and an atom has to be whole in all of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.graph import Blob, Graph, Node
from pyhisto.pruning.channel_rules import follow, size_of
from pyhisto.pruning.channels import ChannelRecord, Channels


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
    """Why none of them may go; empty if they may."""


@dataclass
class Dependencies:
    """The analysis of a network's prototxts."""

    producers: dict[str, Channels] = field(default_factory=dict)
    """Layer name -> the numbers of the channels that it makes."""
    params: dict[tuple[str, int], list[Channels | None]] = field(default_factory=dict)
    """(layer, index of the weight blob) -> for each axis the channels along it, None if no channel is."""
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
        """Analyse one network from all its graphs. Raises InputError if they are not of the same network."""
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


MAX_INDICES = 1 << 24
"""Along axis 1 of all blobs and the axes of all weights of one network: what fits into memory many times over."""


class _Analysis:
    """Walks the graphs and gathers channels, edges and what is frozen."""

    def __init__(self) -> None:
        self.record = ChannelRecord()
        self.result = Dependencies(self.record.producers, self.record.params)
        self.indices = 0
        self.channels: dict[Blob, Channels | None] = {}
        """Of the graph being visited."""

    # The walk

    def visit(self, graph: Graph) -> None:
        """Take one graph in."""
        self.channels = {}
        with_params: set[str] = set()
        for node in graph.nodes:
            if node.param_shapes:
                if node.name in with_params:
                    raise InputError(f"{graph.source}: two layers with weights are called '{node.name}'; rename one")
                with_params.add(node.name)
            self.indices += sum(size_of(blob) or 0 for blob in node.tops) + sum(map(sum, node.param_shapes or ()))
            if self.indices > MAX_INDICES:
                raise InputError(
                    f"{graph.source}: layer '{node.name}': its blobs are too long for the pruner to follow"
                )
            tops = follow(self.record, node, [self.channels[blob] for blob in node.bottoms])
            self.channels.update(zip(node.tops, tops, strict=True))
        for blob in graph.outputs:
            self.record.freeze(self.channels[blob], f"network output '{blob.name}'")
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
                    self.record.freeze(channels, reason)
                continue
            for one, other in zip(mine, theirs, strict=True):
                if one is not None or other is not None:
                    self.record.tie(one, other, reason)

    def _gates(self, graph: Graph) -> Iterable[Gate]:
        for node in graph.nodes:
            if node.type == "Scale" and len(node.bottoms) == 2:
                features, gate = node.bottoms
            elif node.type == "Axpy" and not node.foreign:
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
        ends = [np.concatenate([np.zeros(0, np.int64), *(edge[side] for edge in self.record.edges)]) for side in (0, 1)]
        # Atoms are numbered by their first channel, so that the order is the network's.
        result.atom = np.unique(_first_connected(self.record.count, *ends), return_inverse=True)[1]

        # Of inputs and of what unknown layers make there may be millions; only what layers make is looked at singly.
        producer = np.repeat(np.arange(len(self.record.ranges)), self.record.ranges)
        own = np.repeat(np.array([name != "" for name in self.record.producer_of], bool), self.record.ranges)
        makers: dict[int, set[int]] = {}
        for atom, maker in np.unique(np.stack([result.atom[own], producer[own]]), axis=1).T:
            makers.setdefault(int(atom), set()).add(int(maker))
        made = np.zeros(result.atom_count(), bool)
        made[list(makers)] = True

        def atoms_of(channels: Channels) -> list[int]:
            atoms = np.unique(result.atom[channels])
            return [int(atom) for atom in atoms[made[atoms]]]

        reasons: dict[int, str] = {}
        for channels, reason in self.record.frozen:
            for atom in atoms_of(channels):
                reasons.setdefault(atom, reason)
        # What one layer makes and a Slice takes apart is not one group: each part has to keep something.
        parts: dict[int, tuple[int, ...]] = {}
        for number, channels in enumerate(self.record.slices):
            for atom in atoms_of(channels):
                parts[atom] = (*parts.get(atom, ()), number)
        members: dict[tuple[tuple[int, ...], tuple[int, ...], str], list[int]] = {}
        for atom, layers in makers.items():
            signature = (tuple(sorted(layers)), parts.get(atom, ()), reasons.get(atom, ""))
            members.setdefault(signature, []).append(atom)
        for (made_by, _, reason), atoms in members.items():
            name = " + ".join(self.record.producer_of[layer] for layer in made_by)
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
