"""ResNeXt-50 as published, small ones for tests, and the paper's head."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyhisto.arrays import Floats
from pyhisto.cost import layer_costs, total_cost
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.inference.deploy import read_deploy
from pyhisto.inference.engines import opencv_engine
from pyhisto.nets.resnext import PATTERNS, Head, ResNeXt
from pyhisto.proto import TEST, TRAIN, to_text, write_weights
from pyhisto.training.groups import groups_by_pattern
from tests.networks import random_weights, save

SMALL: dict[str, Any] = {"depths": (1, 1, 2, 1), "width": 8, "groups": 4, "group_width": 2, "input_size": 64}


def learned(graph: Graph) -> int:
    return sum(prod(shape) for node in graph.nodes if node.type != "BatchNorm" for shape in node.param_shapes or ())


def test_parameters_of_the_standard_head_are_the_published_ones() -> None:
    # torchvision's resnext50_32x4d: 25,028,904 parameters.
    assert learned(Graph.build(ResNeXt("standard", num_classes=1000).deploy())) == 25_028_904


def test_parameters_of_the_papers_head() -> None:
    # Without the classifier for 1000 (2048 x 1000 + 1000), with BatchNorm of 4096 (weight, bias), 4096 x 512 + 512,
    # BatchNorm of 512, and 512 x 2 + 2.
    expected = 25_028_904 - 2_049_000 + 8192 + 2_097_664 + 1024 + 1026
    assert learned(Graph.build(ResNeXt("paper").deploy())) == expected


def test_cost_is_the_published_one() -> None:
    # Xie et al. 2016, table 1: 4.2 G multiply-adds at 224 x 224; two FLOPs each.
    total = total_cost(layer_costs(Graph.build(ResNeXt("standard", num_classes=1000).deploy())))
    assert f"{total.flops / 2e9:.1f}" == "4.2"
    # The learned ones, and two statistics a normalised channel and a factor a layer: 53 layers, 34,112 channels.
    assert total.weights == 25_028_904 + 2 * 34_112 + 53


def test_stages_have_table_1s_shapes() -> None:
    net = ResNeXt().deploy()
    graph = Graph.build(net)
    shapes = {
        "conv1": (64, 112), "pool1": (64, 56), "res2a_branch2b": (128, 56), "res2c": (256, 56), "res3d": (512, 28),
        "res4f": (1024, 14), "res5c_branch2b": (1024, 7), "res5c": (2048, 7), "pool5_concat": (4096, 1),
    }  # fmt: skip
    for name, (channels, side) in shapes.items():
        assert graph.blob(name).shape == (1, channels, side, side), name
    grouped = {layer.name: layer.convolution_param.group for layer in net.layer if layer.convolution_param.group > 1}
    assert set(grouped.values()) == {32}
    assert len(grouped) == 3 + 4 + 6 + 3
    assert all(name.endswith("_branch2b") for name in grouped)


def test_a_group_has_its_rate_and_a_frozen_one_keeps_its_statistics() -> None:
    net = ResNeXt("paper", rates=(0, 0.25, 1), **SMALL).train_val("t", "v", 2, 2)
    rates = {layer.name: [param.lr_mult for param in layer.param] for layer in net.layer if layer.type != "Data"}
    assert rates["conv1"] == [0]
    assert rates["scale_conv1"] == rates["scale3a_branch2c"] == [0, 0]
    assert rates["res4a_branch1"] == rates["res5a_branch2c"] == [0.25]
    assert rates["head_hidden"] == rates["classifier"] == []  # 1 and 1, as Caffe has it
    frozen = {layer.name: layer.batch_norm_param.use_global_stats for layer in net.layer if layer.type == "BatchNorm"}
    assert frozen["bn_conv1"] and frozen["bn3a_branch2c"]
    assert not frozen["bn4a_branch1"] and not frozen["bn_head1"]
    assert all(not layer.param for layer in net.layer if layer.type == "BatchNorm")


def test_the_patterns_for_the_training_programs_are_the_groups() -> None:
    # Three rates that tell the groups apart; what is not named is of the first.
    net = ResNeXt("paper", rates=(2, 3, 4)).train_val("t", "v", 2, 2)
    groups = groups_by_pattern(net, PATTERNS, "t")
    rates = {"first": 2, "middle": 3, "last": 4}
    learning = [layer for layer in net.layer if layer.param]
    assert len(learning) == 53 + 2 + 53 + 2  # convolutions, inner products, Scale after each and twice in the head
    for layer in learning:
        assert {param.lr_mult for param in layer.param} == {rates[groups.get(layer.name, "first")]}, layer.name


@pytest.mark.parametrize("head", ["paper", "standard"])
@pytest.mark.parametrize("size", [32, 64, 65, 97])
def test_any_size_and_number_of_classes(head: Head, size: int) -> None:
    network = ResNeXt(head, num_classes=4, **{**SMALL, "input_size": size})
    assert Graph.build(network.deploy()).blob("prob").shape == (1, 4)
    shapes = {"data": (2, 3, size, size)}
    for phase in (TRAIN, TEST):
        graph = Graph.build(network.train_val("t", "v", 2, 2), phase, input_shapes=shapes)
        assert graph.blob("classifier").shape == (2, 4)


def test_refuses_what_cannot_be() -> None:
    for wrong in (
        {"num_classes": 1}, {"input_size": 31}, {"width": 0}, {"groups": 0}, {"depths": (3, 4, 6)},
        {"depths": (1, 1, 27, 1)}, {"rates": (0, 1)}, {"rates": (-1, 1, 1)}, {"batch_norm_fraction": 1.0},
    ):  # fmt: skip
        with pytest.raises(InputError):
            ResNeXt(**wrong)


@pytest.mark.caffe
@pytest.mark.parametrize("head", ["paper", "standard"])
def test_caffe_accepts_the_full_network(head: Head, tmp_path: Path) -> None:
    import caffe

    model = tmp_path / "deploy.prototxt"
    model.write_text(to_text(ResNeXt(head, num_classes=7).deploy()))
    net = caffe.Net(str(model), caffe.TEST)
    assert net.forward()["prob"].shape == (1, 7)
    graph = Graph.build(ResNeXt(head, num_classes=7).deploy())
    assert all(net.blobs[name].data.shape == graph.blob(name).shape for name in net.blobs if "_split_" not in name)


@pytest.mark.caffe
def test_opencv_computes_the_same(tmp_path: Path) -> None:
    import caffe

    model, weights = save(tmp_path, ResNeXt("paper", **SMALL).deploy())
    data = np.random.default_rng(0).normal(0, 50, (1, 3, 64, 64)).astype(np.float32)
    net = caffe.Net(str(model), caffe.TEST, weights=str(weights))
    net.blobs["data"].data[...] = data
    expected = net.forward()["prob"]
    assert np.abs(opencv_engine(read_deploy(model, weights))(data) - expected).max() < 1e-5


@pytest.mark.caffe
def test_frozen_layers_do_not_change_in_training(tmp_path: Path) -> None:
    import caffe

    network = ResNeXt("paper", rates=(0, 0.1, 1), **SMALL).train_val("t", "v", 2, 2)
    net = type(network)()
    for name, shape in {"data": (4, 3, 64, 64), "label": (4,)}.items():
        filler = {"type": "gaussian", "std": 50} if name == "data" else {"type": "constant", "value": 1}
        net.layer.add(name=name, type="DummyData", top=[name],
                      dummy_data_param={"shape": [{"dim": list(shape)}], "data_filler": [filler]})  # fmt: skip
    net.layer.extend(layer for layer in network.layer if layer.type not in ("Data", "Accuracy"))
    model, start, solver = tmp_path / "net.prototxt", tmp_path / "start.caffemodel", tmp_path / "solver.prototxt"
    model.write_text(to_text(net))
    write_weights(start, random_weights([Graph.build(net, TRAIN)]))
    solver.write_text(f'train_net: "{model}" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.001 '
                      'solver_mode: CPU type: "SGD" max_iter: 3')  # fmt: skip
    training = caffe.get_solver(str(solver))
    training.net.copy_from(str(start))

    def numbers(layer: str) -> list[Floats]:
        values = [blob.data.copy() for blob in training.net.params[layer]]
        return [part / values[2] for part in values[:2]] if layer.startswith("bn") else values  # real statistics

    layers = list(training.net.params)
    before = {layer: numbers(layer) for layer in layers}
    training.step(3)
    after = {layer: numbers(layer) for layer in layers}
    changed = {
        layer
        for layer in layers
        if any(not np.allclose(a, b, rtol=1e-5, atol=0) for a, b in zip(before[layer], after[layer], strict=True))
    }
    assert changed == {
        layer for layer in layers if "conv1" not in layer and layer.split("_")[0][-2:] not in ("2a", "3a")
    }
