"""Numbered channels, and what is known of them: who makes them, which weights they lie along, which go together."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.graph import Blob, Node

Channels: TypeAlias = NDArray[np.int64]
"""The channel numbers along an axis."""

MAX_CHANNELS = 1 << 20
"""That layers may make in one network."""


class ChannelRecord:
    """What the rules of all layers say of a network's channels.

    A channel that a layer makes has the layer's name; channels of inputs, and of what nothing can be cut from, have
    none.
    """

    def __init__(self) -> None:
        self.producers: dict[str, Channels] = {}
        """Layer name -> the numbers of the channels that it makes."""
        self.params: dict[tuple[str, int], list[Channels | None]] = {}
        """(layer, index of the weight blob) -> for each axis the channels along it, None if there are none."""
        self.edges: list[tuple[Channels, Channels]] = []
        """Channels that go together, index by index."""
        self.frozen: list[tuple[Channels, str]] = []
        """Channels that stay, and why."""
        self.slices: list[Channels] = []
        """The parts that Slice layers make: each keeps at least one channel."""
        self.zero: dict[Blob, bool] = {}
        """Whether removed channels of a blob are zero in the network with masked weights."""
        self.count = 0
        self.producer_of: list[str] = []
        """Of each range of channels, in order, the layer that makes it."""
        self.ranges: list[int] = []
        """How long each of them is."""

    def produce(self, node: Node, count: int) -> Channels:
        """The channels that a layer makes; the same ones in every graph."""
        known = self.producers.get(node.name)
        if known is None:
            if sum(map(len, self.producers.values())) + count > MAX_CHANNELS:
                raise InputError(
                    f"layer '{node.name}' makes {count} channels: with those before it more than the pruner can follow"
                )
            known = self.producers[node.name] = self._number(count, node.name)
        elif len(known) != count:
            raise InputError(
                f"layer '{node.name}' makes {len(known)} channels in one prototxt and {count} in another; "
                "are they of one network?"
            )
        return known

    def keep_all(self, size: int, reason: str) -> Channels:
        """Channels of a blob that nothing can be cut from."""
        channels = self._number(size, "")
        self.freeze(channels, reason)
        return channels

    def tie(self, one: Channels | None, other: Channels | None, reason: str) -> None:
        """These channels, index by index, go together; if one side is unknown, the other stays."""
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

    def lie_along(self, node: Node, blob: int, axes: Sequence[Channels | None]) -> None:
        """These channels lie along the axes of a weight blob."""
        known = self.params.setdefault((node.name, blob), list(axes))
        differs = f"layer '{node.name}' differs between the prototxts"
        if len(known) != len(axes):  # a BN whose blobs have other axes in one of them
            for channels in (*known, *axes):
                self.freeze(channels, differs)
            return
        for mine, theirs in zip(axes, known, strict=True):
            if mine is not None or theirs is not None:
                self.tie(mine, theirs, differs)

    def _number(self, count: int, producer: str) -> Channels:
        channels = np.arange(self.count, self.count + count)
        self.count += count
        self.producer_of.append(producer)
        self.ranges.append(count)
        return channels
