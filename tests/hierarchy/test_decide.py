"""The tree's labels, its two ways to decide, and what must hold for both."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyhisto.arrays import Floats
from pyhisto.hierarchy.decide import by_path, by_product, leaf_probabilities
from pyhisto.hierarchy.tree import BELOW, CARCI, LEAVES, NODES, class_in


def answers(carci: float, norbe: float, invis: float) -> dict[str, Floats]:
    """One image; probabilities of class 1."""
    return {
        name: np.array([[1 - p, p]]) for name, p in (("Carci", carci), ("NorBe", norbe), ("InvIs", invis))
    }  # fmt: skip


def test_leaves_come_in_the_order_of_the_tree() -> None:
    assert tuple(answer for node in BELOW for answer in node.answers) == LEAVES
    for number, leaf in enumerate(LEAVES):
        assert CARCI.classes[leaf] == number // 2
        assert class_in(BELOW[number // 2].name, leaf) == number % 2


def test_a_sure_child_overrules_a_doubtful_root_in_the_product_alone() -> None:
    # Carcinoma at 0.55; in situ and invasive equally likely, but surely benign if not a carcinoma:
    # benign 0.45 x 0.98 = 0.441, in situ 0.55 x 0.5 = 0.275.
    one = answers(carci=0.55, norbe=0.98, invis=0.5)
    assert leaf_probabilities(one)[0] == pytest.approx([0.45 * 0.02, 0.45 * 0.98, 0.55 * 0.5, 0.55 * 0.5])
    assert LEAVES[by_product(one)[0]] == "Benign"
    assert LEAVES[by_path(one)[0]] == "InSitu"


probability = st.floats(0, 1)


@given(st.lists(st.tuples(probability, probability, probability), min_size=1, max_size=20))
def test_whatever_the_answers(numbers: list[tuple[float, float, float]]) -> None:
    values = np.array(numbers)
    many = {name: np.stack([1 - values[:, i], values[:, i]], axis=1) for i, name in enumerate(NODES)}
    leaves = leaf_probabilities(many)
    assert np.allclose(leaves.sum(axis=1), 1)
    # What the leaves of one side sum to is the root's answer.
    assert np.allclose(leaves[:, 2:].sum(axis=1), many["Carci"][:, 1])
    path, product = by_path(many), by_product(many)
    # A path follows each node's more probable answer.
    assert np.array_equal(path // 2, many["Carci"].argmax(axis=1))
    for place, leaf in enumerate(path):
        assert leaf % 2 == many[BELOW[leaf // 2].name][place].argmax()
    # The product's leaf is at least as probable as the path's.
    rows = np.arange(len(path))
    assert (leaves[rows, product] >= leaves[rows, path]).all()
    # Where a path's answers have all of the probability above a half between them, both agree.
    sure = leaves[rows, path] > 0.5
    assert np.array_equal(path[sure], product[sure])
