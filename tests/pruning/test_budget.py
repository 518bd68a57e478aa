"""The cost of a pruning told from the analysis, beside the cost of the rewritten network."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pyhisto.cost import layer_costs, total_cost
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.proto import NetParameter, parse_text
from pyhisto.pruning.budget import Budget
from pyhisto.pruning.dependencies import Dependencies
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning
from pyhisto.pruning.schedule import Schedule
from pyhisto.pruning.target import TOLERANCE, Target, reach
from tests.networks import RandomNetwork, save

TWO_LAYERS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 10 kernel_size: 1 } }
layer { name: "b" type: "Convolution" bottom: "a" top: "b" convolution_param { num_output: 2 kernel_size: 1 } }
"""
"""a: 16 positions x 10 x 3 multiplications and 30 + 10 weights; b: 16 x 2 x 10 and 20 + 2."""


def two_layers() -> tuple[Graph, Dependencies]:
    graph = Graph.build(parse_text(TWO_LAYERS, NetParameter, Path("net")))
    return graph, Dependencies.analyse([graph])


def first(count: int) -> NDArray[np.bool_]:
    """The first of a's channels, among TWO_LAYERS' 15 atoms: 3 of the input, 10 of a, 2 of b."""
    return (np.arange(15) >= 3) & (np.arange(15) < 3 + count)


def test_counts_by_hand() -> None:
    budget = Budget(*two_layers())
    assert budget.whole == {"flops": 2 * 16 * (30 + 20), "weights": 62}
    # Without 4 of a's 10 channels 6 x 3 + 6 weights of a and 2 x 6 + 2 of b are left.
    assert budget.cost(first(4)) == {"flops": 2 * 16 * (18 + 12), "weights": 38}
    assert budget.share(first(4), "flops") == pytest.approx(0.6)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_cost_of_the_rewritten_network(seed: int, tmp_path: Path) -> None:
    network = LoadedNetwork.read(*_files(seed, tmp_path), {})
    budget = Budget(network.model, network.dependencies)
    whole = total_cost(layer_costs(network.model))
    assert budget.whole == {"flops": whole.flops, "weights": whole.weights}
    for share in (0.2, 0.5, 0.8):
        try:
            removed = plan_pruning(network, "random", Schedule(share), None, seed)
        except InputError:
            pytest.skip("nothing in it may be pruned")
        after = cut_network(network, removed, {}).after
        assert budget.cost(removed) == {"flops": after.flops, "weights": after.weights}


def _files(seed: int, folder: Path) -> tuple[Path, list[Path], Path]:
    model, weights = save(folder, RandomNetwork(seed).net, seed)
    return model, [], weights


def test_the_nearest_share_is_found() -> None:
    budget = Budget(*two_layers())
    # Each of a's channels is a tenth of the FLOPs: of 0.4 and 0.5 the first is nearer.
    strength, removed = reach(Target("flops", 0.44), budget, lambda strength: first(round(9 * strength)))
    assert removed.sum() == 6 and budget.share(removed, "flops") == pytest.approx(0.4)
    assert round(9 * strength) == 6


def test_what_frozen_channels_keep_is_said_in_one_line() -> None:
    budget = Budget(*two_layers())
    with pytest.raises(InputError, match=r"--target-flops 0.25: 0.300 is the least .* give 0.3 or more"):
        reach(Target("flops", 0.25), budget, lambda strength: first(round(7 * strength)))
    # Within the tolerance it is taken.
    _, removed = reach(Target("flops", 0.3 - TOLERANCE / 2), budget, lambda strength: first(round(7 * strength)))
    assert removed.sum() == 7


def test_loops_multiply() -> None:
    assert Target("flops", 0.25).of_one_loop(2).share == pytest.approx(0.5)
