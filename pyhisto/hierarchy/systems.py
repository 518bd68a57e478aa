"""Whole systems made of the networks that were predicted with: which models answer at each node, and how well.

A system is written `NODE=MEMBER,MEMBER ...`; several members of a node are an ensemble, the mean of whose probabilities
counts (the paper says that it assembles them, and not how). A member `A|B` is whichever of the models is better at its
node's validation images, as the paper chooses between networks that start from ImageNet and from Carci (section 2.1).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Ints
from pyhisto.errors import InputError
from pyhisto.evaluation.metrics import (
    Interval,
    confusion,
    image_level,
    kappa,
    majority_rate,
    patient_bootstrap,
    patient_level,
    wilson,
)
from pyhisto.evaluation.voting import model_sum
from pyhisto.hierarchy.decide import PAPERS_ROUTING, ROUTINGS
from pyhisto.hierarchy.predictions import TreePredictions
from pyhisto.hierarchy.tree import CARCI, FLAT, LEAVES, MALIGNANT, NODES, class_count, class_in

SMALLEST = 1e-9
"""A probability of 0 would make a loss infinite."""


@dataclass(frozen=True)
class System:
    """Its name, and of each node the members, each a tuple of alternatives."""

    name: str
    members: Mapping[str, tuple[tuple[str, ...], ...]]

    @property
    def is_tree(self) -> bool:
        """Whether it is a tree, and not the flat network."""
        return FLAT not in self.members


@dataclass(frozen=True)
class Choice:
    """Models between which the validation images decide: (model, rate, mean loss), and who won."""

    node: str
    candidates: tuple[tuple[str, float, float], ...]
    images: int
    chosen: str


@dataclass(frozen=True)
class NodeScore:
    """How a node answers the images that it has a class for (whether or not they would reach it)."""

    node: str
    images: int
    right: int
    majority: float
    """The rate of always giving the more frequent answer."""

    @property
    def rate(self) -> float:
        """The share of right answers."""
        return self.right / self.images if self.images else math.nan

    @property
    def interval(self) -> Interval:
        """Wilson's, of the rate."""
        return wilson(self.right, self.images)


@dataclass(frozen=True)
class SystemScore:
    """A system's decisions on a set of images.

    An image of which only carcinoma is known (BISQUE's malignant) is right if the leaf is a carcinoma.
    """

    system: System
    routing: str
    models: Mapping[str, tuple[str, ...]]
    """Who answered at each node, after the choices."""
    nodes: tuple[NodeScore, ...]
    decided: Ints
    """The leaf of each image, shape (n,)."""
    correct: NDArray[np.bool_]
    labels: Ints
    """The leaf that each image is, shape (n,); -1 if only carcinoma is known."""
    patients: Ints

    @property
    def label(self) -> str:
        """What tables call it; the paper's routing is not named."""
        named = self.system.is_tree and self.routing != PAPERS_ROUTING
        return f"{self.system.name} ({self.routing})" if named else self.system.name

    @property
    def file_name(self) -> str:
        """The label as a part of a file's name."""
        return "_".join(re.findall(r"\w+", self.label))

    @property
    def images(self) -> int:
        """How many images were decided."""
        return len(self.decided)

    @property
    def rate(self) -> float:
        """The share of images decided rightly."""
        return float(self.correct.mean())

    @property
    def interval(self) -> Interval:
        """Wilson's, of the rate; it takes images as independent."""
        return wilson(int(self.correct.sum()), self.images)

    @property
    def majority(self) -> float:
        """The rate of naming the most frequent of the four classes for every image."""
        return majority_rate(self._known)

    @property
    def patient_rate(self) -> float:
        """The mean over patients of their images' rate."""
        return patient_level(self.correct, self.patients)

    @cached_property
    def patient_interval(self) -> Interval:
        """Of the patients' mean, by drawing patients again."""
        return patient_bootstrap(self.correct, self.patients)

    @property
    def kappa(self) -> float:
        """Cohen's, over the images whose class of four is known."""
        return kappa(self.table)

    @property
    def table(self) -> Ints:
        """The confusion matrix of the images whose class of four is known: rows are true."""
        return confusion(self._known, self.decided[self.labels >= 0], len(LEAVES))

    @property
    def _known(self) -> Ints:
        return self.labels[self.labels >= 0]


def parse_system(name: str, parts: Sequence[str]) -> System:
    """A system from `NODE=MEMBER,...` texts. Raises InputError if a node is missing, unknown or given twice."""
    members: dict[str, tuple[tuple[str, ...], ...]] = {}
    for part in parts:
        node, _, text = part.partition("=")
        alternatives = tuple(tuple(member.split("|")) for member in text.split(","))
        if node not in (*NODES, FLAT) or node in members or not all(all(member) for member in alternatives):
            raise InputError(
                f"system {name}: '{part}' is not NODE=MODEL, NODE=MODEL,MODEL or NODE=MODEL|MODEL of a new node"
            )
        members[node] = alternatives
    if set(members) not in ({FLAT}, set(NODES)):
        raise InputError(f"system {name}: give {', '.join(NODES)}, or {FLAT} alone")
    return System(name, members)


def choose(system: System, validation: TreePredictions | None) -> tuple[dict[str, tuple[str, ...]], list[Choice]]:
    """Who answers at each node, and the choices that led to it.

    The better candidate is right more often on its node's validation images; if two are equal, the one of smaller
    mean loss. Raises InputError if there is a choice, and nothing to decide it by.
    """
    models, choices = {}, []
    for node, members in system.members.items():
        names = []
        for alternatives in members:
            if len(alternatives) > 1:
                choices.append(_choice(node, alternatives, validation, system.name))
                names.append(choices[-1].chosen)
            else:
                names.append(alternatives[0])
        models[node] = tuple(names)
    return models, choices


def evaluate(
    system: System, models: Mapping[str, tuple[str, ...]], predictions: TreePredictions, routing: str
) -> SystemScore:
    """Decide every image by the chosen models. Raises InputError if a model has no predictions."""
    answers = {
        node: model_sum([_answers(predictions, node, model, system.name) for model in names])
        for node, names in models.items()
    }
    decided = ROUTINGS[routing](answers) if system.is_tree else answers[FLAT].argmax(axis=1)
    labels = np.array([LEAVES.index(kind) if kind in LEAVES else -1 for kind in predictions.pathologies])
    carcinoma = np.array([CARCI.classes[LEAVES[leaf]] for leaf in decided])
    truly = np.array([CARCI.classes[kind] for kind in predictions.pathologies])
    only_known = np.array([kind == MALIGNANT for kind in predictions.pathologies])
    correct = np.where(only_known, carcinoma == truly, decided == labels)
    nodes = tuple(score_node(node, own, predictions) for node, own in answers.items())
    return SystemScore(
        system, routing, models, nodes, np.asarray(decided), correct, labels, predictions.patient_numbers
    )


def score_node(node: str, answers: NDArray[np.floating], predictions: TreePredictions) -> NodeScore:
    """One node's answers to the images that it has a class for."""
    rows, labels = _of_node(node, predictions)
    right = int((answers[rows].argmax(axis=1) == labels).sum())
    return NodeScore(node, len(rows), right, majority_rate(labels))


def discordant(first: SystemScore, second: SystemScore) -> tuple[int, int, float]:
    """Images that only the first decides rightly, that only the second does, and McNemar's exact two-sided p."""
    only_first = int((first.correct & ~second.correct).sum())
    only_second = int((~first.correct & second.correct).sum())
    total, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(total, k) for k in range(fewer + 1)) / 2**total
    return only_first, only_second, min(1.0, 2 * tail)


def _choice(node: str, alternatives: Sequence[str], validation: TreePredictions | None, system: str) -> Choice:
    if validation is None:
        raise InputError(
            f"system {system}: {node}={'|'.join(alternatives)} is chosen by --validation, which is not given"
        )
    rows, labels = _of_node(node, validation)
    if not len(rows):
        raise InputError(f"system {system}: the validation images have none for {node} to choose by")
    found = []
    for model in alternatives:
        answers = _answers(validation, node, model, system)[rows]
        loss = -np.log(np.maximum(answers[np.arange(len(rows)), labels], SMALLEST)).mean()
        found.append((model, image_level(confusion(labels, answers.argmax(axis=1), class_count(node))), float(loss)))
    best = max(found, key=lambda candidate: (candidate[1], -candidate[2]))
    return Choice(node, tuple(found), len(rows), best[0])


def _answers(predictions: TreePredictions, node: str, model: str, system: str) -> NDArray[np.floating]:
    if (node, model) not in predictions.answers:
        known = ", ".join(predictions.models(node)) or "none"
        raise InputError(f"system {system}: no predictions of {node} by '{model}' (there are: {known})")
    return predictions.answers[node, model]


def _of_node(node: str, predictions: TreePredictions) -> tuple[Ints, Ints]:
    """The places of the images that a node has a class for, and their classes."""
    classes = [class_in(node, kind) for kind in predictions.pathologies]
    rows = [place for place, label in enumerate(classes) if label is not None]
    return np.array(rows, np.int64), np.array([label for label in classes if label is not None], np.int64)
