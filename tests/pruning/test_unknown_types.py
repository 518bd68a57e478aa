"""Layers of types that nobody knows: what they read and make stays, the rest is cut, and proved as far as it runs."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pyhisto.graph import Graph
from pyhisto.proto import NetParameter, layer_blobs, parse_text, set_blob, write_weights
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule
from tests.networks import random_weights
from tests.pruning.mystery import DATA, conv, fully_connected, halve, layer, load, widths


def frozen(network: LoadedNetwork) -> dict[str, str]:
    return {group.name: group.frozen for group in network.dependencies.groups if group.frozen}


def test_what_it_reads_and_makes_stays_and_the_rest_is_cut(tmp_path: Path) -> None:
    text = conv("a", "data", 4) + conv("b", "a", 8) + layer("Mystery", "m", "b") + conv("c", "m", 6) + conv("d", "c", 2)
    network = load(tmp_path, text, "TanH")
    assert frozen(network) == {"b": "read by layer 'm' (Mystery)", "d": "network output 'd'"}
    pruned, proof = halve(network)
    assert widths(pruned) == {"a": 2, "c": 3}
    assert proof.not_covered == ("'m' (Mystery)",)
    assert proof.outputs == ("b", "d")
    assert "does not cover: 'm' (Mystery)" in proof.describe("the original")
    assert list(network.notes) == [
        "Unknown: layer 'm' is of the unknown type 'Mystery'; what it reads and makes stays as it is "
        "(--input-shape m=NxCxHxW lets the layers behind it be counted)"
    ]


def test_its_channels_are_read_off_the_weights_of_its_readers(tmp_path: Path) -> None:
    joined = layer("Concat", "join", "m b") + conv("c", "join", 4) + conv("d", "c", 2)
    text = conv("a", "data", 6) + layer("Mystery", "m", "a") + conv("b", "data", 8) + joined
    network = load(tmp_path, text, "TanH")
    pruned, _ = halve(network)
    assert widths(pruned) == {"b": 4, "c": 2}
    assert layer_blobs(pruned.weights)["c"][0].shape == (2, 6 + 4, 3, 3)


def test_through_layers_without_weights(tmp_path: Path) -> None:
    more = layer("ReLU", "r", "m", tops="m") + layer("Pooling", "p", "m", "pooling_param { kernel_size: 2 stride: 2 }")
    skip = conv("b", "data", 8) + layer("Pooling", "q", "b", "pooling_param { kernel_size: 2 stride: 2 }")
    joined = layer("Concat", "join", "p q") + layer("BatchNorm", "n", "join", tops="join") + conv("d", "join", 2)
    network = load(tmp_path, conv("a", "data", 6) + layer("Mystery", "m", "a") + more + skip + joined, "TanH")
    pruned, _ = halve(network)
    assert widths(pruned) == {"b": 4}


def test_a_sum_with_what_it_makes_stays(tmp_path: Path) -> None:
    text = conv("a", "data", 6) + layer("Mystery", "m", "data") + conv("b", "data", 6)
    text = conv("a", "data", 6) + layer("Mystery", "m", "a") + conv("b", "data", 6)
    network = load(tmp_path, text + layer("Eltwise", "s", "m b") + conv("c", "s", 4) + conv("d", "c", 2), "TanH")
    assert frozen(network) == {
        "a": "read by layer 'm' (Mystery)", "b": "made by layer 'm' (Mystery)", "d": "network output 'd'",
    }  # fmt: skip
    assert widths(halve(network)[0]) == {"c": 2}


def test_flattened_behind_it(tmp_path: Path) -> None:
    head = layer("Flatten", "f", "b") + fully_connected("c", "f", 8) + fully_connected("d", "c", 2)
    network = load(tmp_path, conv("a", "data", 6) + layer("Mystery", "m", "a") + conv("b", "m", 4) + head, "TanH")
    pruned, proof = halve(network)
    assert widths(pruned) == {"b": 2, "c": 4}
    assert layer_blobs(pruned.weights)["c"][0].shape == (4, 2 * 12 * 12)
    assert proof.not_covered == ("'m' (Mystery)",)


def test_a_fully_connected_layer_behind_it_without_flattening(tmp_path: Path) -> None:
    text = conv("a", "data", 6) + layer("Mystery", "m", "a") + conv("b", "m", 4) + fully_connected("d", "b", 2)
    pruned, _ = halve(load(tmp_path, text, "TanH"))
    assert widths(pruned) == {"b": 2}
    assert layer_blobs(pruned.weights)["d"][0].shape == (2, 2 * 12 * 12)


def test_sliced_behind_it(tmp_path: Path) -> None:
    parts = (
        layer("Slice", "s", "b", "slice_param { slice_point: 5 }", "s1 s2") + conv("c", "s1", 4) + conv("d", "s2", 4)
    )
    text = conv("a", "data", 6) + layer("Mystery", "m", "a") + conv("b", "m", 8) + parts
    pruned, _ = halve(load(tmp_path, text, "TanH"))
    # Of the first part's five channels, two go (a half goes down), of the second's three, one.
    assert widths(pruned) == {"b": 5}
    assert "slice_point: 3" in pruned.texts["net.prototxt"]


def test_in_place(tmp_path: Path) -> None:
    text = conv("a", "data", 4) + layer("Mystery", "m", "a", tops="a") + conv("b", "a", 6) + conv("c", "b", 2)
    pruned, proof = halve(load(tmp_path, text, "TanH"))
    assert widths(pruned) == {"b": 3}
    assert proof.not_covered == ("'m' (Mystery)",)


def test_that_changes_the_size(tmp_path: Path) -> None:
    text = conv("a", "data", 4) + layer("Mystery", "m", "a", "pooling_param { kernel_size: 2 stride: 2 }")
    text += conv("b", "m", 6) + fully_connected("c", "b", 2)
    network = load(tmp_path, text, "Pooling")
    pruned, proof = halve(network)
    assert widths(pruned) == {"b": 3}
    assert proof.input_shapes["m"] == (1, 4, 6, 6)  # twice and once as large do not fit c's weights
    assert layer_blobs(pruned.weights)["c"][0].shape == (2, 3 * 36)


def test_its_own_weights_stay(tmp_path: Path) -> None:
    own = NetParameter()
    mine = own.layer.add(name="m")
    for values in (np.arange(12, dtype=np.float32).reshape(1, 4, 3), np.ones(2, np.float32)):
        set_blob(mine.blobs.add(), values)
    text = conv("a", "data", 4) + layer("Mystery", "m", "a") + conv("b", "m", 6) + conv("c", "b", 2)
    network = load(tmp_path, text, "TanH", own)
    pruned, _ = halve(network)
    kept = layer_blobs(pruned.weights)["m"]
    assert [blob.shape for blob in kept] == [(1, 4, 3), (2,)]
    assert np.array_equal(kept[0].ravel(), np.arange(12))


def test_numbers_of_its_own_that_nobody_can_read(tmp_path: Path) -> None:
    own = NetParameter()
    own.layer.add(name="m").blobs.add(shape={"dim": [5]}, diff=b"\0" * 4)  # no data
    text = conv("a", "data", 4) + layer("Mystery", "m", "a") + conv("b", "m", 6) + conv("c", "b", 2)
    network = load(tmp_path, text, "TanH", own)
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(0.5), None, 0), {})
    write(network, pruned, None, tmp_path / "out")
    assert (tmp_path / "out" / "net.caffemodel").is_file()


def test_costs_are_counted_as_far_as_they_are_known(tmp_path: Path) -> None:
    text = conv("a", "data", 4) + layer("Mystery", "m", "a") + conv("b", "m", 6) + conv("c", "b", 2)
    pruned, _ = halve(load(tmp_path, text, "TanH"))
    # a: 4 x 27 + 4; b: 6 x 36 + 6, of which 3 x 36 + 3 stay; c: 2 x 54 + 2, 2 x 27 + 2.
    assert (pruned.before.weights, pruned.after.weights) == (112 + 222 + 110, 112 + 111 + 56)
    assert pruned.before.flops == pruned.after.flops == 2 * 27 * 4 * 144
    assert len(pruned.not_counted) == 1


@pytest.mark.caffe
def test_both_engines_where_each_lacks_a_layer(tmp_path: Path) -> None:
    """Caffe has no Permute, OpenCV no Threshold."""
    text = conv("a", "data", 4) + layer("Threshold", "t", "a") + conv("b", "t", 6)
    text += layer("Permute", "p", "b", "permute_param { order: [0, 1, 3, 2] }") + conv("c", "p", 4) + conv("d", "c", 2)
    pruned, proof = halve(load(tmp_path, text, "TanH"))
    assert widths(pruned) == {"a": 2, "b": 3, "c": 2}
    assert proof.engine == "caffe and opencv"
    assert proof.not_covered == ()


def test_a_layer_that_opencv_has_and_cannot_run_is_left_out(tmp_path: Path) -> None:
    text = conv("a", "data", 4) + layer("Permute", "n", "a", "permute_param { order: [0, 1, 3, 2] }")
    text += layer("Mystery", "m", "n") + conv("b", "m", 6) + conv("c", "b", 2)
    text += layer("Region", "boxes", "c")
    pruned, proof = halve(load(tmp_path, text, "TanH"))
    assert widths(pruned) == {"b": 3}
    assert proof.engine == "opencv"
    assert proof.not_covered == ("'m' (Mystery)", "'boxes' (Region)")


def test_somebody_s_python_layer(tmp_path: Path) -> None:
    text = conv("f", "data", 8) + conv("a", "data", 4)
    text += layer("Python", "m", "a", 'python_param { module: "rpn.proposal" layer: "Proposal" }')
    text += layer("ROIPooling", "roi", "f m", "roi_pooling_param { pooled_h: 2 pooled_w: 2 }")
    text += fully_connected("d", "roi", 8)
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model.write_text(DATA + text)
    twin = DATA + text.replace('"Python"', '"Reshape"').replace(
        'python_param { module: "rpn.proposal" layer: "Proposal" }', "reshape_param { shape { dim: -1 dim: 4 } }"
    )
    write_weights(weights, random_weights([Graph.build(parse_text(twin, NetParameter, model))]))
    network = LoadedNetwork.read(model, [], weights, {})
    pruned, proof = halve(network)
    # The features are pooled region by region, whatever the regions are: they are cut, and d's weights with them.
    assert widths(pruned) == {"f": 4}
    assert layer_blobs(pruned.weights)["d"][0].shape == (8, 4 * 4)
    assert proof.not_covered == ("'m' (Python)", "'roi' (ROIPooling)")


def test_a_shape_that_is_given_lets_what_follows_be_counted(tmp_path: Path) -> None:
    text = conv("a", "data", 4) + layer("Mystery", "m", "a") + conv("b", "m", 6) + conv("c", "b", 2)
    load(tmp_path, text, "TanH")
    network = LoadedNetwork.read(tmp_path / "net.prototxt", [], tmp_path / "net.caffemodel", {"m": (1, 4, 6, 6)})
    pruned, proof = halve(network)
    assert pruned.before.flops == 2 * (27 * 4 * 144 + 36 * 6 * 36 + 54 * 2 * 36)
    assert proof.input_shapes["m"] == (1, 4, 6, 6)
    assert "--input-shape" not in next(network.notes)


@pytest.mark.parametrize(("side", "covered"), [(1, False), (2, True)])
def test_what_opencv_computes_wrongly_it_does_not_prove(side: int, covered: bool, tmp_path: Path) -> None:
    """A padded depthwise convolution on maps of one row: OpenCV 4.14 reads beyond them. (Caffe has no Reorg.)"""
    text = layer("Pooling", "p", "data", f"pooling_param {{ kernel_size: {12 // side} stride: {12 // side} }}")
    text = layer("Reorg", "r", "data", "reorg_param { stride: 2 }") + text + conv("a", "p", 8)
    text += conv("w", "a", 8, more="group: 8") + conv("b", "w", 2) + conv("s", "r", 2)
    pruned, proof = halve(load(tmp_path, text, "TanH"))
    assert widths(pruned) == {"a": 4, "w": 4}
    if importlib.util.find_spec("caffe") is not None:
        assert proof.engine == ("opencv" if covered else "caffe and opencv")
        assert proof.not_covered == ()
    else:
        assert proof.not_covered == (() if covered else ("'w' (Convolution)",))
