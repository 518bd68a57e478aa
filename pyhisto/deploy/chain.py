"""What a tool chain is: the rewrites that it needs, the rules of what it cannot take, its words for images."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyhisto.deploy.form import Form, message_of
from pyhisto.graph import Graph, Node
from pyhisto.lint.rules import RuleBook, Trap
from pyhisto.prototext import Document

Rewrite: TypeAlias = Callable[[Form], tuple[Form, list[str]]]
"""A form to another that computes the same, and a line for each change."""


@dataclass(frozen=True)
class Subject:
    """A form as rules look at it."""

    form: Form
    graph: Graph
    document: Document

    @classmethod
    def of(cls, form: Form) -> "Subject":
        """Of a form."""
        return cls(form, form.graph(), form.document())

    def at(self, node: Node, message: str) -> Trap:
        """A trap at a layer."""
        return message_of(self.document, node).line, f"layer '{node.name}' ({node.type}): {message}"

    def of_other_types(self, known: frozenset[str]) -> Iterator[Trap]:
        """The layers whose type the chain's reader does not know."""
        for node in self.graph.nodes:
            if node.type not in known:
                yield self.at(node, "a type that its reader does not know")


@dataclass(frozen=True)
class ChainInputs:
    """What a chain has to know of the images, and of the files beside its settings."""

    model: str
    """File of the network, in the output folder."""
    weights: str
    """File of the caffemodel; empty for ONNX."""
    blob: str
    """The network's input."""
    shape: tuple[int, int, int, int]
    """images, channels, height, width"""
    mean: tuple[float, ...]
    """Subtracted from values 0..255, in the order of the input's channels (B, G, R); no scaling."""
    images: str
    """File that lists calibration images, one a line; empty if there are none."""
    count: int
    """How many it lists."""


@dataclass(frozen=True)
class Chain:
    """One tool chain."""

    title: str
    """With the version that is meant."""
    reads: Literal["caffe", "onnx"]
    rewrites: tuple[Rewrite, ...]
    rules: RuleBook[Subject]
    settings: Callable[[ChainInputs], Mapping[str, str]]
    """File name -> text: the mean, the scale and the calibration images in the chain's own terms."""
