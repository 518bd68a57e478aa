"""Weights, FLOPs and activation memory of a network, per layer and in total, counted as Table 7 of Zhu et al. counts.

Weights: every number that a caffemodel holds for the layers (weights, biases, Scale, BatchNorm's three blobs); weights
that layers share count once. FLOPs: 2 x the multiply-accumulates of convolutions, deconvolutions, inner products and
the matrix products inside recurrent layers, for one item of the batch. Activation memory: the bytes that the layers'
tops take in float32 for one item; a top that lies in its bottom's memory takes none.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from pyhisto.errors import InputError
from pyhisto.graph import LAYER_TYPES, Graph, Node, Shape
from pyhisto.graph.types import count, dims


@dataclass(frozen=True)
class Cost:
    """What a layer, or a network, costs."""

    weights: int = 0
    flops: int = 0
    activation_bytes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Cost)))


@dataclass(frozen=True)
class LayerCost:
    """One layer's cost; `shape` is that of its first top with its whole batch, None for a layer without tops."""

    name: str
    type: str
    shape: Shape | None
    cost: Cost
    not_counted: str = ""
    """Why its cost is not known: a layer of a type that nobody knows, or one behind it."""


def layer_costs(graph: Graph, partial: bool = False) -> list[LayerCost]:
    """The cost of every layer of a network, in order.

    Of a layer of an unknown type, and of what follows from it, only weights count, if they are known. Raises InputError
    if an input's shape is not known, unless what can be counted without it (`partial`) is enough.
    """
    for top in graph.inputs:
        if top.shape is None and not partial:
            raise InputError(
                f"{graph.source}: layer '{top.producer.name}': its top's shape is not known ({top.unknown}); "
                "give a deploy prototxt"
            )
    batch = _batch(graph)
    owned: dict[Node, int] = dict.fromkeys(graph.nodes, 0)
    for blob, owner in graph.owners().items():
        if blob == owner and blob[1] < len(owner[0].param_shapes or ()):
            owned[owner[0]] += count((owner[0].param_shapes or ())[blob[1]])
    return [_layer_cost(graph, node, owned[node], batch) for node in graph.nodes]


def total_cost(costs: list[LayerCost]) -> Cost:
    """The sum over the layers."""
    return sum((layer.cost for layer in costs), Cost())


def as_json(costs: list[LayerCost]) -> dict[str, Any]:
    """`{"total": {"weights": n, "flops": n, "activation_bytes": n}, "not_counted": [name, ...], "layers": [...]}`."""
    layers = [
        {"name": layer.name, "type": layer.type, "shape": layer.shape and list(layer.shape), **asdict(layer.cost)}
        for layer in costs
    ]
    unknown = [layer.name for layer in costs if layer.not_counted]
    return {"total": asdict(total_cost(costs)), "not_counted": unknown, "layers": layers}


def as_table(costs: list[LayerCost]) -> Iterator[str]:
    """The lines of a table for people: the layers that cost something, and the total."""
    heading = ("layer", "type", "top", "weights", "FLOPs", "activations")
    rows = [
        (layer.name, layer.type, dims(layer.shape or ()), *_amounts(layer.cost))
        for layer in costs
        if layer.cost != Cost()
    ]
    total = total_cost(costs)
    rows.append(("total", "", "", *_amounts(total)))
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    rule = tuple("-" * width for width in widths)
    for row in (heading, rule, *rows[:-1], rule, rows[-1]):
        left = (cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True))
        right = (cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True))
        yield "  ".join((*left, *right)).rstrip()
    yield f"{total.weights / 1e6:.3f} M weights, {total.flops / 1e6:.1f} M FLOPs, {total.activation_bytes / 1e6:.1f} MB"
    yield from not_counted(costs)


def not_counted(costs: list[LayerCost]) -> Iterator[str]:
    """A line for each reason why the cost of layers is not known."""
    reasons = Counter(layer.not_counted for layer in costs if layer.not_counted)
    for reason, layers in reasons.items():
        yield f"Not counted: {layers} layer{'s' * (layers > 1)}, as {reason}"


def _amounts(cost: Cost) -> tuple[str, str, str]:
    return f"{cost.weights:,}", f"{cost.flops:,}", f"{cost.activation_bytes:,}"


def _batch(graph: Graph) -> int:
    """How many items a batch holds: the first axis of the first input."""
    for blob in graph.inputs:
        if blob.shape:
            return max(blob.shape[0], 1)
    return 1


def _per_item(shape: Shape, batch: int) -> int:
    """The elements of a blob for one item of the batch; a blob that does not grow with the batch counts whole."""
    return count(shape) // batch if shape and shape[0] % batch == 0 else count(shape)


def _layer_cost(graph: Graph, node: Node, weights: int, batch: int) -> LayerCost:
    unknown = [blob.unknown for blob in (*node.tops, *node.bottoms) if blob.shape is None]
    if unknown or node.param_shapes is None:
        reason = unknown[0] if unknown else node.foreign
        return LayerCost(node.name, node.type, None, Cost(weights), reason)
    kind = LAYER_TYPES.get(node.type)
    in_own_memory = [blob for blob in node.tops if blob.in_place_of is None and not (kind and kind.shares_memory)]
    activations = 4 * sum(_per_item(blob.shape or (), batch) for blob in in_own_memory)
    shape = node.tops[0].shape if node.tops else None
    return LayerCost(node.name, node.type, shape, Cost(weights, 2 * _multiplications(node, batch), activations))


def _multiplications(node: Node, batch: int) -> int:
    """Multiply-accumulates for one item of the batch."""
    tops = [blob.shape for blob in node.tops if blob.shape is not None]
    bottoms = [blob.shape for blob in node.bottoms if blob.shape is not None]
    params = node.param_shapes or ()
    match node.type:
        case (
            "Convolution" | "ConvolutionDepthwise" | "DepthwiseConv" | "DepthwiseConvolution"
        ):  # each output number is a sum over its group's channels and the kernel
            return sum(_per_item(top, batch) for top in tops) * count(params[0][1:])
        case "Deconvolution":  # each input number is spread over its group's outputs and the kernel
            return sum(_per_item(bottom, batch) for bottom in bottoms) * count(params[0][1:])
        case "InnerProduct":
            inputs = count(params[0]) // tops[0][-1]
            return _per_item(tops[0], batch) * inputs
        case "LSTM" | "RNN":  # every matrix multiplies once a time step, that of a static input once a sequence
            matrices = [count(shape) for shape in params if len(shape) == 2]
            static = matrices.pop(1) if len(matrices) > (2 if node.type == "LSTM" else 3) else 0
            return _per_item(bottoms[0][:2], batch) * sum(matrices) + _per_item(bottoms[0][1:2], batch) * static
    return 0
