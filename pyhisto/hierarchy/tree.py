"""The tree of fig. 1: which question each node answers, and which class an image has for it (section 3.1).

Carci asks whether an image shows carcinoma; NorBe tells the others apart into normal and benign, InvIs the carcinomas
into in situ and invasive. Of BISQUE's two classes, benign is the Benign of the tree, and malignant is a carcinoma of
which nobody says whether it is invasive: Carci learns from it, InvIs cannot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pyhisto.errors import InputError

LEAVES = ("Normal", "Benign", "InSitu", "Invasive")
"""The four pathologies; a class's number is its place here."""

MALIGNANT = "Malignant"
"""A carcinoma, in situ or invasive."""

PATHOLOGIES = (*LEAVES, MALIGNANT)
"""What an image's label may be."""

FLAT = "Flat"
"""Not of the tree: one network for the four classes, to compare the tree with."""


@dataclass(frozen=True)
class TreeNode:
    """A two-class network's question."""

    name: str
    question: str
    answers: tuple[str, str]
    """Of class 0 and of class 1."""
    classes: Mapping[str, int]
    """Pathology -> its class; what is absent never reaches the node in training."""


CARCI = TreeNode(
    "Carci", "Carcinoma?", ("Non-carcinoma", "Carcinoma"),
    MappingProxyType({"Normal": 0, "Benign": 0, "InSitu": 1, "Invasive": 1, MALIGNANT: 1}),
)  # fmt: skip
NORBE = TreeNode(
    "NorBe", "Normal or benign?", ("Normal", "Benign"), MappingProxyType({"Normal": 0, "Benign": 1})
)  # fmt: skip
INVIS = TreeNode(
    "InvIs", "In situ or invasive?", ("InSitu", "Invasive"), MappingProxyType({"InSitu": 0, "Invasive": 1})
)  # fmt: skip

NODES = {node.name: node for node in (CARCI, NORBE, INVIS)}
BELOW = (NORBE, INVIS)
"""Who asks next, by Carci's answer."""


def class_in(node: str, pathology: str) -> int | None:
    """The class of a pathology for a node, or for FLAT; None if it has none."""
    if node == FLAT:
        return LEAVES.index(pathology) if pathology in LEAVES else None
    return NODES[node].classes.get(pathology)


def class_count(node: str) -> int:
    """The classes of a node's network."""
    return len(LEAVES) if node == FLAT else 2


def pathology_of(subtype: str, where: str) -> str:
    """The pathology that a manifest's subtype names (BACH's four, BISQUE's two). Raises InputError for any other."""
    known = {name.lower(): name for name in PATHOLOGIES}
    if subtype.lower() not in known:
        raise InputError(f"{where}: subtype '{subtype}' is none of {', '.join(PATHOLOGIES)}")
    return known[subtype.lower()]
