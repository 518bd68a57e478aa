"""From the nodes' probabilities to one of the four classes; arrays over n images.

The paper sends an image down the tree: each node's more probable answer says who asks next (`path`). As an option the
probabilities along a way are multiplied, and the most probable leaf wins (`product`): a doubtful root is then overruled
by a certain child.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats
from pyhisto.hierarchy.tree import BELOW, CARCI

Answers = Mapping[str, Floats]
"""Node -> probabilities of its two classes, shape (n, 2)."""


def leaf_probabilities(answers: Answers) -> Floats:
    """P(leaf) = P(the root's answer) P(the leaf | that answer); shape (n, 4), rows sum to 1."""
    root = answers[CARCI.name]
    return np.hstack([root[:, [side]] * answers[node.name] for side, node in enumerate(BELOW)])


def by_product(answers: Answers) -> NDArray[np.int64]:
    """The leaf of largest probability, shape (n,); the lower number if two are equal."""
    return np.asarray(leaf_probabilities(answers).argmax(axis=1))


def by_path(answers: Answers) -> NDArray[np.int64]:
    """The leaf at the end of the path of more probable answers, shape (n,); class 0 if both are equal."""
    root = answers[CARCI.name].argmax(axis=1)
    below = np.stack([answers[node.name].argmax(axis=1) for node in BELOW], axis=1)
    # LEAVES come in the order of the tree: two of the root's class 0, two of its class 1.
    return np.asarray(2 * root + below[np.arange(len(root)), root])


ROUTINGS: dict[str, Callable[[Answers], NDArray[np.int64]]] = {"path": by_path, "product": by_product}
PAPERS_ROUTING = "path"
