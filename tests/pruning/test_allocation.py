"""Shares by sensitivity: worked out by hand on two layers in a row."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.files import sha256
from pyhisto.proto import NetParameter, set_blob, write_weights
from pyhisto.pruning.allocation import allocate
from pyhisto.pruning.budget import Budget
from pyhisto.pruning.pruner import LoadedNetwork, rank_atoms
from pyhisto.pruning.schedule import Schedule
from pyhisto.pruning.sensitivity import GroupCurve, Score, Sensitivity, Step, curves_of, group_keys
from pyhisto.pruning.target import Target

CHAIN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 5 dim: 1 dim: 1 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 10 kernel_size: 1 bias_term: false } }
layer { name: "b" type: "Convolution" bottom: "a" top: "b"
  convolution_param { num_output: 10 kernel_size: 1 bias_term: false } }
layer { name: "c" type: "Convolution" bottom: "b" top: "c"
  convolution_param { num_output: 5 kernel_size: 1 bias_term: false } }
"""
"""50 + 100 + 50 multiplications: each channel of a, and each of b, alone is worth 5 + 10 of them."""


@pytest.fixture
def network(tmp_path: Path) -> LoadedNetwork:
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model.write_text(CHAIN)
    net, generator = NetParameter(), np.random.default_rng(0)
    for name, shape in (("a", (10, 5, 1, 1)), ("b", (10, 10, 1, 1)), ("c", (5, 10, 1, 1))):
        set_blob(net.layer.add(name=name).blobs.add(), generator.normal(size=shape).astype(np.float32))
    write_weights(weights, net)
    return LoadedNetwork.read(model, [], weights, {})


def measured(losses: Mapping[str, tuple[float, float, float]], whole: float = 1.0) -> Sensitivity:
    """A sensitivity with the losses at 0.2, 0.5 and 0.8."""
    groups = {
        key: GroupCurve(
            10,
            tuple(
                Step(share, round(10 * share), Score(loss, None))
                for share, loss in zip((0.2, 0.5, 0.8), values, strict=True)
            ),
        )
        for key, values in losses.items()
    }
    return Sensitivity({}, 100, Score(whole, None), groups)


def shares(network: LoadedNetwork, sensitivity: Sensitivity, target: float) -> tuple[dict[str, float], float]:
    scores = rank_atoms(network, "l1", None, 0)
    found, removed = allocate(network, scores, Schedule(None), sensitivity, Target("flops", target), "file")
    return found, Budget(network.model, network.dependencies).share(removed, "flops")


def test_the_group_that_loses_nothing_goes_first(network: LoadedNetwork) -> None:
    found, left = shares(network, measured({"a": (1.0, 1.0, 1.0), "b": (2.0, 3.0, 4.0)}), 0.7)
    # 4 of a's channels are 60 of 200 multiplications.
    assert found["b"] == 0
    assert found["a"] == pytest.approx(0.4, abs=0.051)
    assert left == pytest.approx(0.7)


def test_a_steep_curve_is_left_where_it_turns(network: LoadedNetwork) -> None:
    # a is free until 0.2 and dear behind it, b cheap throughout. 2 of a's channels leave 170; with 5 of b's as well
    # 8 x 5 + 8 x 5 + 5 x 5 = 105 of 200 multiplications are left.
    found, left = shares(network, measured({"a": (1.0, 9.0, 9.5), "b": (1.05, 1.1, 1.2)}), 0.525)
    assert found["a"] == pytest.approx(0.2)
    assert found["b"] == pytest.approx(0.5, abs=0.051)
    assert left == pytest.approx(0.525)


def test_what_was_gained_by_chance_counts_as_nothing(network: LoadedNetwork) -> None:
    # b's loss falls below that of the whole network, and comes back: nothing is lost at any of the shares.
    found, _ = shares(network, measured({"a": (1.1, 1.2, 1.3), "b": (0.7, 0.8, 1.0)}), 0.5)
    assert found["a"] < 0.2 < found["b"]


def test_shares_that_were_not_measured_are_not_taken(network: LoadedNetwork) -> None:
    # 8 of 10 channels of both gone: 2 x 5 + 2 x 2 + 2 x 5 = 24 of 200 are left.
    with pytest.raises(InputError, match=r"0.120 is the least .* file has measured; give 0.12 or"):
        shares(network, measured({"a": (1.0, 1.0, 1.0), "b": (1.0, 1.0, 1.0)}), 0.1)
    found, left = shares(network, measured({"a": (1.0, 1.0, 1.0), "b": (1.0, 1.0, 1.0)}), 0.115)
    assert found == {"a": 0.8, "b": 0.8}
    assert left == pytest.approx(0.12)


def test_another_networks_groups_are_refused(network: LoadedNetwork) -> None:
    with pytest.raises(InputError, match="file: knows a group 'z' that this network does not have so"):
        curves_of(measured({"z": (1.0, 1.0, 1.0)}), network.dependencies, "file")


def test_the_file_is_read_as_it_was_written(network: LoadedNetwork, tmp_path: Path) -> None:
    assert group_keys(network.dependencies) == ["a", "b", "c"]
    sensitivity = measured({"a": (1.0, 1.25, 1.5)})
    sensitivity.save(tmp_path / "s.json")
    assert Sensitivity.load(tmp_path / "s.json") == sensitivity
    with pytest.raises(InputError, match="measured with criterion None, not 'l1'"):
        sensitivity.check_of({"criterion": "l1"}, network.weights_path, "s.json")
    with pytest.raises(InputError, match="other weights"):
        sensitivity.check_of({}, network.weights_path, "s.json")
    Sensitivity({"weights_sha256": sha256(network.weights_path)}, 1, Score(1, None), {}).check_of(
        {}, network.weights_path, "s.json"
    )


@pytest.mark.parametrize("spoilt", ['{"format": 2}', "[]", '{"format": 1, "groups": {"a": {"atoms": 1, "steps": []}}}'])
def test_what_is_no_such_file_is_said(tmp_path: Path, spoilt: str) -> None:
    (tmp_path / "s.json").write_text(spoilt)
    with pytest.raises(InputError, match=r"s\.json: "):
        Sensitivity.load(tmp_path / "s.json")
