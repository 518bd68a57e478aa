"""Caffemodels as they are published: layers left to their fillers, several networks in one, half precision."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.proto import (
    NetParameter,
    blob_array,
    layer_blobs,
    parse_text,
    read_weights,
    set_blob,
    weight_layers,
    write_weights,
)
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule
from tests.networks import random_weights
from tests.pruning.mystery import DATA, conv, halve, layer, widths


def load(folder: Path, text: str, without: str) -> LoadedNetwork:
    """A network with random weights for all layers but one."""
    model, weights = folder / "net.prototxt", folder / "net.caffemodel"
    model.write_text(DATA + text)
    net = random_weights([Graph.build(parse_text(DATA + text, NetParameter, model))])
    for index in reversed([index for index, each in enumerate(net.layer) if each.name == without]):
        del net.layer[index]
    write_weights(weights, net)
    return LoadedNetwork.read(model, [], weights, {})


def upsampling(filler: str) -> str:
    """A network whose layer `up` doubles six maps."""
    more = f"convolution_param {{ num_output: 6 group: 6 kernel_size: 4 stride: 2 pad: 1 bias_term: false {filler} }}"
    return conv("a", "data", 6) + layer("Deconvolution", "up", "a", more) + conv("b", "up", 2)


def test_a_bilinear_filler_is_used_as_it_is(tmp_path: Path) -> None:
    network = load(tmp_path, upsampling('weight_filler { type: "bilinear" }'), "up")
    assert list(network.notes) == [
        f"Filled: {tmp_path / 'net.caffemodel'} holds no weights for layer 'up'; its filler (bilinear) makes them"
    ]
    # A kernel of 4 doubles: f = 2, c = (2 f - 1 - f % 2) / (2 f) = 3 / 4; |i / 2 - 3 / 4| off 1: 1/4, 3/4, 3/4, 1/4.
    along = np.array([0.25, 0.75, 0.75, 0.25])
    (kernel,) = layer_blobs(network.weights)["up"]
    assert np.array_equal(kernel, np.broadcast_to(np.outer(along, along), (6, 1, 4, 4)))
    pruned, _ = halve(network)
    assert widths(pruned) == {"a": 3, "up": 3}
    assert np.array_equal(layer_blobs(pruned.weights)["up"][0], kernel[:3])


@pytest.mark.caffe
def test_caffe_fills_alike(tmp_path: Path) -> None:
    import caffe

    network = load(tmp_path, upsampling('weight_filler { type: "bilinear" }'), "up")
    filled = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).params["up"][0].data
    assert np.array_equal(filled, layer_blobs(network.weights)["up"][0])


def test_a_constant_filler_is_used_as_it_is(tmp_path: Path) -> None:
    network = load(tmp_path, upsampling('weight_filler { type: "constant" value: 0.5 }'), "up")
    assert (layer_blobs(network.weights)["up"][0] == 0.5).all()
    assert network.filled == {"up": "constant"}


@pytest.mark.parametrize(("kind", "value"), [("PReLU", 0.25), ("Scale", 1), ("Normalize", 1)])
def test_types_that_start_from_a_constant(kind: str, value: float, tmp_path: Path) -> None:
    text = conv("a", "data", 6) + layer(kind, "k", "a", "norm_param { channel_shared: false }") + conv("b", "k", 2)
    if kind != "Normalize":
        text = text.replace("norm_param { channel_shared: false }", "")
    network = load(tmp_path, text, "k")
    (factor,) = layer_blobs(network.weights)["k"]
    assert factor.shape == (6,) and (factor == value).all()


@pytest.mark.parametrize(
    ("filler", "complaint"),
    [
        ('weight_filler { type: "xavier" }', "its filler 'xavier' is random"),
        ('weight_filler { type: "gaussian" std: 0.01 }', "its filler 'gaussian' is random"),
        ("", "its type fills them with what no trained network has"),
    ],
)
def test_a_random_filler_is_an_error(filler: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"holds no weights for layer 'up' of .*, and {complaint}"):
        load(tmp_path, upsampling(filler), "up")


def test_weights_of_another_network_are_not_filled(tmp_path: Path) -> None:
    model, weights = tmp_path / "net.prototxt", tmp_path / "other.caffemodel"
    model.write_text(DATA + conv("a", "data", 2, more='weight_filler { type: "constant" value: 1 }'))
    net = NetParameter()
    net.layer.add(name="other")
    write_weights(weights, net)
    with pytest.raises(InputError, match="is it of another network"):
        LoadedNetwork.read(model, [], weights, {})


def test_shared_weights_may_lie_in_one_layer_alone(tmp_path: Path) -> None:
    """Caffe takes those of the first layer of that name for both."""
    shared = 'param { name: "w" } param { name: "b" }'
    text = conv("a", "data", 4) + conv("b", "a", 4).replace("convolution_param", f"{shared} convolution_param")
    text += conv("c", "b", 4).replace("convolution_param", f"{shared} convolution_param") + conv("d", "c", 2)
    network = load(tmp_path, text, "c")
    assert network.filled == {}
    pruned, _ = halve(network)
    assert widths(pruned) == {"a": 2, "b": 2, "c": 2}


def test_one_caffemodel_for_several_networks(shared_data: Path, tmp_path: Path) -> None:
    """PCN's cascade: each prototxt takes its own layers, one after the other, and leaves the others'."""
    folder = shared_data / "models" / "pcn"
    weights = folder / "PCN.caffemodel"
    before = layer_blobs(read_weights(weights))
    for number in (1, 2, 3):
        network = LoadedNetwork.read(folder / f"PCN-{number}.prototxt", [], weights, {})
        pruned, proof = halve(network)
        write(network, pruned, proof, tmp_path / str(number))
        weights = tmp_path / str(number) / "PCN.caffemodel"
    after = layer_blobs(read_weights(weights))
    assert before.keys() == after.keys()
    assert [after[f"conv1_{number}"][0].shape[0] for number in (1, 2, 3)] == [8, 10, 12]  # of 16, 20, 24


def half(folder: Path) -> tuple[Path, Path]:
    """A network whose weights are stored as OpenCV stores half precision."""
    model, weights = folder / "net.prototxt", folder / "half.caffemodel"
    model.write_text(DATA + conv("a", "data", 6) + conv("b", "a", 2))
    net = random_weights([Graph.build(parse_text(model.read_text(), NetParameter, model))])
    for each in net.layer:
        for blob in each.blobs:
            blob.raw_data_type = blob.FLOAT16
            blob.raw_data = blob_array(blob).astype("<f2").tobytes()
            blob.ClearField("data")
    weights.write_bytes(net.SerializeToString())
    return model, weights


def test_half_precision_stays_half_precision(tmp_path: Path) -> None:
    model, weights = half(tmp_path)
    network = LoadedNetwork.read(model, [], weights, {})
    pruned, proof = halve(network)
    write(network, pruned, proof, tmp_path / "out")
    written = read_weights(tmp_path / "out" / "half.caffemodel")
    for each in weight_layers(written):
        for blob in each.blobs:
            assert len(blob.raw_data) == 2 * np.prod(blob.shape.dim) and not blob.data
    kept = pruned.plan.layers["a"][1]
    whole, cut = layer_blobs(network.weights)["a"][0], layer_blobs(written)["a"][0]
    assert np.array_equal(cut, whole[list(kept)])


def test_raw_data_of_the_wrong_length_is_damaged(tmp_path: Path) -> None:
    model, weights = half(tmp_path)
    net = read_weights(weights)
    net.layer[0].blobs[0].raw_data = b"\0" * 6
    weights.write_bytes(net.SerializeToString())
    with pytest.raises(InputError, match="damaged"):
        LoadedNetwork.read(model, [], weights, {})


def test_words_that_an_enumeration_lacks_are_left_as_they_are(tmp_path: Path) -> None:
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    text = DATA + conv("a", "data", 6, more="engine: MKL2017") + conv("b", "a", 2)
    model.write_text(text)
    plain = parse_text(text.replace("engine: MKL2017", ""), NetParameter, model)
    write_weights(weights, random_weights([Graph.build(plain)]))
    network = LoadedNetwork.read(model, [], weights, {})
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(0.5), None, 0), {})
    assert "engine: MKL2017" in pruned.texts["net.prototxt"]


def test_the_program_says_what_it_filled(root: Path, tmp_path: Path) -> None:
    load(tmp_path, upsampling('weight_filler { type: "bilinear" }'), "up")
    done = subprocess.run(
        [sys.executable, root / "tools" / "prune.py", "--model", tmp_path / "net.prototxt", "--criterion", "l1",
         "--weights", tmp_path / "net.caffemodel", "--ratio", "0.5", "--out", tmp_path / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "holds no weights for layer 'up'; its filler (bilinear) makes them" in done.stdout


NORMS = {
    "BN": layer("BN", "n", "a", "bn_param { slope_filler { value: 1 } frozen: true }"),
    "BatchNorm": layer("BatchNorm", "m", "a") + layer("Scale", "n", "m", "scale_param { bias_term: true }"),
}


@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 1, 1), (6,)])
def test_the_four_blobs_of_bn_go_as_those_of_batch_norm_and_scale(shape: tuple[int, ...], tmp_path: Path) -> None:
    """yjxiong/caffe's, of PSPNet and ICNet; its forks store them in two shapes. No engine runs it."""
    generator = np.random.default_rng(0)
    slope, bias, mean, variance = generator.uniform(0.5, 1.5, (4, 6)).astype(np.float32)
    found = {}
    for kind, norm in NORMS.items():
        text = DATA + conv("a", "data", 6) + norm + conv("b", "n", 2)
        model, weights = tmp_path / f"{kind}.prototxt", tmp_path / f"{kind}.caffemodel"
        model.write_text(text)
        net = random_weights([Graph.build(parse_text(text, NetParameter, model))])
        blobs = {"m": (mean, variance, np.ones(1, np.float32)), "n": (slope, bias)}
        if kind == "BN":
            blobs = {"n": tuple(each.reshape(shape) for each in (slope, bias, mean, variance))}
        for stored in net.layer:
            for blob, values in zip(stored.blobs, blobs.get(stored.name, ()), strict=False):
                set_blob(blob, values)
        write_weights(weights, net)
        pruned, _ = halve(LoadedNetwork.read(model, [], weights, {}))
        assert widths(pruned)["a"] == 3
        found[kind] = layer_blobs(pruned.weights)
    assert [values.shape.count(3) for values in found["BN"]["n"]] == [1] * 4
    expected = [*found["BatchNorm"]["n"], *found["BatchNorm"]["m"][:2]]
    for ours, theirs in zip(found["BN"]["n"], expected, strict=True):
        assert np.array_equal(ours.ravel(), theirs)
