"""What a network costs without some of its atoms, as `cost` counts it, told from the analysis alone.

A rewrite of a large network takes a tenth of a second, and a search for a ratio asks for dozens of costs. The numbers
of a weight blob are the product of what stays along its axes, and a layer's multiplications go with those of its first
blob: each of these numbers is used once at every position, and the positions stay.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.cost import layer_costs, total_cost
from pyhisto.graph import Graph
from pyhisto.graph.types import count
from pyhisto.pruning.channels import Channels
from pyhisto.pruning.dependencies import Dependencies

Quantity: TypeAlias = Literal["flops", "weights"]


class Budget:
    """The costs of a network's prunings."""

    def __init__(self, graph: Graph, dependencies: Dependencies) -> None:
        costs = layer_costs(graph, partial=True)
        self._atom = dependencies.atom
        self.whole: Mapping[Quantity, int] = {"flops": (total := total_cost(costs)).flops, "weights": total.weights}
        """Of the network as it is."""
        self._blobs: list[tuple[list[Channels], int, int, int]] = []
        """Of each weight blob that a cut can change: the channels along its axes; its numbers, how many of them
        `weights` counts, and the FLOPs that go with them."""
        owners = graph.owners()
        flops = {node: cost.cost.flops for node, cost in zip(graph.nodes, costs, strict=True)}
        for node in graph.nodes:
            for index, shape in enumerate(node.param_shapes or ()):
                axes = [axis for axis in dependencies.params.get((node.name, index), []) if axis is not None]
                own = count(shape) if owners[node, index] == (node, index) else 0  # shared weights count once
                if axes and (own or flops[node]):
                    self._blobs.append((axes, count(shape), own, flops[node] if index == 0 else 0))

    def cost(self, removed: NDArray[np.bool_]) -> Mapping[Quantity, int]:
        """What is left without these atoms."""
        stays = ~removed[self._atom]
        left = dict(self.whole)
        for axes, numbers, own, flops in self._blobs:
            kept = numbers
            for channels in axes:
                kept = kept * int(np.count_nonzero(stays[channels])) // len(channels)
            if kept != numbers:
                left["weights"] -= own - own * kept // numbers
                left["flops"] -= flops - flops * kept // numbers
        return left

    def share(self, removed: NDArray[np.bool_], quantity: Quantity) -> float:
        """What is left of a quantity, from 0 to 1."""
        return self.cost(removed)[quantity] / max(1, self.whole[quantity])
