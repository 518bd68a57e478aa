"""Collects the nodes and constants of an ONNX graph, and gives each tensor a name that no other has."""

from collections.abc import Iterable
from itertools import count
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.onnx.packages import load

Operand: TypeAlias = str | NDArray[Any]
"""A tensor by its name, or a constant."""


def integers(*values: int) -> NDArray[np.int64]:
    """A constant that ONNX counts or measures with: axes, sizes, a shape."""
    return np.array(values, np.int64)


def floats(values: object) -> NDArray[np.float32]:
    """A constant to reckon with."""
    return np.asarray(values, np.float32)


class Writer:
    """An ONNX graph in the making. `scope` is the Caffe layer whose nodes are being made."""

    def __init__(self, reserved: Iterable[str]) -> None:
        """`reserved` are the names that only `name` may give to tensors."""
        self.helper, self.numpy_helper = load("onnx.helper"), load("onnx.numpy_helper")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.scope = ""
        self._taken = {"", *reserved}
        self._makers: dict[str, tuple[Any, int]] = {}

    def add(self, operator: str, *operands: Operand, **attributes: object) -> str:
        """Append a node with one output; the output's name."""
        return self.add_many(1, operator, *operands, **attributes)[0]

    def add_many(self, outputs: int, operator: str, *operands: Operand, **attributes: object) -> list[str]:
        """Append a node; its outputs' names."""
        inputs = [operand if isinstance(operand, str) else self.constant(operand) for operand in operands]
        names = [self.unused(f"{self.scope}/{operator}") for _ in range(outputs)]
        node = self.helper.make_node(operator, inputs, names, name=names[0], **attributes)
        self.nodes.append(node)
        self._makers |= {name: (node, index) for index, name in enumerate(names)}
        return names

    def constant(self, values: NDArray[Any]) -> str:
        """Store a constant, of its own type; its name."""
        name = self.unused(f"{self.scope}/constant")
        self.constants.append(self.numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def name(self, tensor: str, wanted: str) -> None:
        """Give the output of a node a name of `reserved`, before another node reads it."""
        node, index = self._makers.pop(tensor)
        node.output[index] = wanted

    def is_new(self, tensor: str) -> bool:
        """Whether a node made it, and `name` has not been at it yet."""
        return tensor in self._makers

    def unused(self, name: str) -> str:
        """The name, with a number behind it if it is taken."""
        fresh = name if name not in self._taken else next(
            numbered for index in count(2) if (numbered := f"{name}_{index}") not in self._taken
        )  # fmt: skip
        self._taken.add(fresh)
        return fresh
