"""Learning-rate groups in a network's prototxt."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.proto import NetParameter, parse_text, set_blob, write_weights
from pyhisto.training.groups import groups_by_pattern, read_groups, with_shares

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param { num_output: 4 kernel_size: 3 }
}
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
layer {
  name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2" param { lr_mult: 0.5 decay_mult: 2 }
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 }
}
layer { name: "bn2" type: "BatchNorm" bottom: "conv2" top: "conv2" }
layer { name: "sum" type: "Eltwise" bottom: "conv1" bottom: "conv2" top: "sum" }
layer { name: "ip" type: "InnerProduct" bottom: "sum" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
GROUPS = {"conv2": "middle", "bn2": "middle", "ip": "last"}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """conv1 with weights and bias, conv2 as well, the statistics; no ip."""
    net = NetParameter()
    of_layers: dict[str, list[tuple[int, ...]]] = {
        "conv1": [(4, 3, 3, 3), (4,)],
        "bn1": [(4,), (4,), (1,)],
        "conv2": [(4, 4, 3, 3), (4,)],
        "bn2": [(4,), (4,), (1,)],
    }
    for name, shapes in of_layers.items():
        layer = net.layer.add(name=name)
        for shape in shapes:
            set_blob(layer.blobs.add(), np.ones(shape, np.float32))
    write_weights(tmp_path / "w.caffemodel", net)
    return tmp_path / "w.caffemodel"


def net() -> Any:
    return parse_text(NET, NetParameter, Path("net"))


def test_only_the_head(weights: Path) -> None:
    layers = {
        layer.name: layer
        for layer in with_shares(net(), GROUPS, {"first": 0, "middle": 0, "last": 1}, weights, "net").layer
    }
    for name in ("conv1", "conv2"):
        assert [param.lr_mult for param in layers[name].param] == [0, 0]
    assert layers["conv2"].param[0].decay_mult == 2
    for name in ("bn1", "bn2"):
        assert layers[name].batch_norm_param.use_global_stats
    assert not layers["ip"].param
    assert list(layers["ip"].propagate_down) == [False]  # nothing below it learns
    assert list(layers["loss"].propagate_down) == [True, False]  # the scores, and not the labels


def test_middle_layers_at_a_share(weights: Path) -> None:
    layers = {
        layer.name: layer
        for layer in with_shares(net(), GROUPS, {"first": 0, "middle": 0.25, "last": 1}, weights, "net").layer
    }
    assert [param.lr_mult for param in layers["conv2"].param] == [0.125, 0.25]  # 0.5, and Caffe's 1, times 0.25
    assert layers["bn1"].batch_norm_param.use_global_stats
    assert not layers["bn2"].batch_norm_param.HasField("use_global_stats")
    assert list(layers["conv2"].propagate_down) == [False]
    assert list(layers["sum"].propagate_down) == [False, True]  # of the frozen and the learning branch
    assert not layers["ip"].propagate_down


def test_the_network_that_was_given_stays_as_it_is(weights: Path) -> None:
    given = net()
    with_shares(given, GROUPS, {"first": 0, "middle": 0, "last": 1}, weights, "net")
    assert given == net()


def test_frozen_layers_must_be_in_the_weights(weights: Path) -> None:
    with pytest.raises(InputError, match="has no layer 'ip', which is of the first layers"):
        with_shares(net(), {"conv2": "last"}, {"first": 0, "middle": 0, "last": 1}, weights, "net")


def test_patterns() -> None:
    groups = groups_by_pattern(net(), {"middle": ["*2"], "last": ["ip", "[x]*", "s?m"][::2]}, "net")
    assert groups == {"conv2": "middle", "bn2": "middle", "ip": "last", "sum": "last"}
    with pytest.raises(InputError, match=r"net: no layer matches 'fc\*' of the last layers"):
        groups_by_pattern(net(), {"middle": [], "last": ["fc*"]}, "net")
    with pytest.raises(InputError, match="layer 'conv2' is matched for the middle and the last layers"):
        groups_by_pattern(net(), {"middle": ["*2"], "last": ["conv*"]}, "net")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "not a JSON object"),
        ('{"ip": 3}', "not a JSON object"),
        ('{"ip": "head"}', "layer 'ip' is of the group 'head'; the groups are first, middle, last"),
        ('{"fc": "last"}', "net has no layer 'fc'"),
    ],
)
def test_a_file_of_groups_that_does_not_do(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "groups.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_groups(tmp_path / "groups.json", net(), "net")


def test_a_file_of_groups(tmp_path: Path) -> None:
    (tmp_path / "groups.json").write_text('{"ip": "last", "conv2": "middle"}')
    assert read_groups(tmp_path / "groups.json", net(), "net") == {"ip": "last", "conv2": "middle"}
