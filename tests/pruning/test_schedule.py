"""Eq. 6 to 8, and who is ranked among whom."""

import csv
from pathlib import Path

import numpy as np
import pytest

from pyhisto.cost import layer_costs, total_cost
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.proto import NetParameter, parse_text
from pyhisto.pruning.dependencies import Dependencies
from pyhisto.pruning.schedule import Schedule, Scope, choose, proportion, threshold

TWO_BRANCHES = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "b" type: "Convolution" bottom: "data" top: "b" convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "ab" type: "Concat" bottom: "a" bottom: "b" top: "ab" }
layer { name: "c" type: "Convolution" bottom: "ab" top: "c" convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "d" type: "Convolution" bottom: "c" top: "d" convolution_param { num_output: 2 kernel_size: 1 } }
"""

# Scores of a's four channels, b's two, c's four. d is the output and stays.
SCORES = {"a": [0.1, 0.2, 0.3, 0.4], "b": [0.8, 0.9], "c": [0.5, 0.01, 0.02, 0.6]}


@pytest.fixture
def dependencies() -> Dependencies:
    return Dependencies.analyse([Graph.build(parse_text(TWO_BRANCHES, NetParameter, Path("two.prototxt")))])


def chosen(dependencies: Dependencies, schedule: Schedule) -> dict[str, list[int]]:
    scores = np.full(dependencies.atom_count(), np.nan)
    for layer, values in SCORES.items():
        scores[dependencies.atom[dependencies.producers[layer]]] = values
    removed = choose(dependencies, scores, schedule)
    return {
        layer: [i for i, channel in enumerate(channels) if removed[dependencies.atom[channel]]]
        for layer, channels in dependencies.producers.items()
        if removed[dependencies.atom[channels]].any()
    }


def test_equation_8_gives_the_proportions_printed_in_figure_10(root: Path) -> None:
    # Fig. 10 prints X = 0.8, 0.55, 0.42, 0.33 for O = 0.8 and R = 1 to 4.
    printed = {1: 0.80, 2: 0.55, 3: 0.42, 4: 0.33}
    assert {loops: round(proportion(0.8, loops), 2) for loops in printed} == printed
    # Eq. 7: X + (1-X)X + ... + (1-X)^(R-1) X = O.
    for loops in printed:
        x = proportion(0.8, loops)
        assert sum((1 - x) ** i * x for i in range(loops)) == pytest.approx(0.8)


def test_threshold_is_mean_plus_deviation_plus_k() -> None:
    # Mean 2, population standard deviation sqrt(2/3).
    assert threshold(np.array([1.0, 2.0, 3.0]), 0.1) == pytest.approx(2 + (2 / 3) ** 0.5 + 0.1)


def test_each_branch_loses_its_own_share(dependencies: Dependencies) -> None:
    assert chosen(dependencies, Schedule(0.5, scope="branch")) == {"a": [0, 1], "b": [0], "c": [1, 2]}


def test_a_block_ranks_its_branches_together(dependencies: Dependencies) -> None:
    # The concatenation's six channels lose three, all of them a's; c is a block of its own.
    assert chosen(dependencies, Schedule(0.5, scope="block")) == {"a": [0, 1, 2], "c": [1, 2]}


def test_the_network_ranks_all_together_and_every_branch_keeps_one(dependencies: Dependencies) -> None:
    # The eight lowest of ten are all of a's and all of c's: of each the best comes back.
    assert chosen(dependencies, Schedule(0.8, scope="network")) == {"a": [0, 1, 2], "c": [0, 1, 2]}


def test_layers_to_keep_are_kept(dependencies: Dependencies) -> None:
    assert chosen(dependencies, Schedule(0.5, scope="branch", keep=("a",))) == {"b": [0], "c": [1, 2]}
    with pytest.raises(InputError, match="'nobody'"):
        chosen(dependencies, Schedule(0.5, keep=("nobody",)))


def test_a_multiple_rounds_what_is_kept_up(dependencies: Dependencies) -> None:
    # Three of four go in a by the block's ranking: one is kept, two with a multiple of two; b has all its two.
    assert chosen(dependencies, Schedule(0.5, scope="block", multiple=2)) == {"a": [0, 1], "c": [1, 2]}


def test_what_lies_below_the_threshold_goes(dependencies: Dependencies) -> None:
    # c: mean 0.2825, deviation 0.2695 (population): TH = 0.552 at k = 0, so only 0.6 stays.
    # Block a + b: mean 0.45, deviation 0.2986: TH = 0.749, b stays whole, a keeps its best one.
    got = chosen(dependencies, Schedule(None, threshold_k=0.0))
    assert got == {"a": [0, 1, 2], "c": [0, 1, 2]}


@pytest.mark.parametrize("scope", ["branch", "block"])
def test_table_7_within_its_scatter(root: Path, tmp_path: Path, scope: Scope) -> None:
    from pyhisto.files import sha256
    from pyhisto.nets.inception_sep import InceptionSEP
    from pyhisto.pruning.importance import Importance
    from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning
    from tests.networks import save

    model, weights = save(tmp_path, InceptionSEP("paper").deploy())
    network = LoadedNetwork.read(model, [], weights, {})
    generator = np.random.default_rng(0)
    importance = Importance(
        {name: generator.uniform(0.3, 0.7, len(gate.channels)) for name, gate in network.dependencies.gates.items()},
        1, sha256(weights),
    )  # fmt: skip
    table = root / "pyhisto" / "study" / "paper" / "tables" / "table7_cost.csv"
    with open(table, encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "ours"]
    assert len(rows) == 7
    # Ratios off each branch fit every row within 2.1%; ranked over a block, single prunings scatter by a few percent.
    tolerance = {"branch": 0.021, "block": 0.05}[scope]
    for row in rows:
        if float(row["pruning_ratio"]) == 0:
            whole = total_cost(layer_costs(network.model))
            assert f"{whole.weights / 1e6:.2f}" == row["weights_M"] == "3.77"
            assert f"{whole.flops / 1e6:.1f}" == row["flops_M"] == "2920.3"
            continue
        schedule = Schedule(float(row["pruning_ratio"]), scope=scope)
        pruned = cut_network(network, plan_pruning(network, "sep", schedule, importance, 0), {})
        assert pruned.after.weights / 1e6 == pytest.approx(float(row["weights_M"]), rel=tolerance)
        assert pruned.after.flops / 1e6 == pytest.approx(float(row["flops_M"]), rel=tolerance)
