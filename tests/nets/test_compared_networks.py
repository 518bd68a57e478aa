"""The networks of the methods that the paper compares with: shapes and costs by hand, faults found by the lint."""

from pathlib import Path

import pytest

from pyhisto.cost import layer_costs, total_cost
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.lint import lint
from pyhisto.nets.magnification_cnn import MagnificationCNN
from pyhisto.nets.patch_cnn import PatchCNN
from pyhisto.proto import TEST, TRAIN, Net


def cost(net: Net) -> tuple[int, int]:
    total = total_cost(layer_costs(Graph.build(net)))
    return total.weights, total.flops


def test_patch_cnn_shapes() -> None:
    graph = Graph.build(PatchCNN(patch=32).deploy())
    sides = {"conv1": 32, "pool1": 16, "conv2": 16, "pool2": 8, "conv3": 8, "pool3": 4}
    shapes = {name: graph.blob(name).shape or () for name in sides}
    assert {name: shape[2] for name, shape in shapes.items()} == sides
    assert graph.blob("prob").shape == (1, 2)


def test_patch_cnn_cost() -> None:
    # Convolutions 75*32+32, 800*32+32, 800*64+64; inner products 4*4*64*64+64 (64: 8*8*64*64+64) and 64*2+2.
    convolutions = 2432 + 25632 + 51264
    assert cost(PatchCNN(patch=32).deploy())[0] == convolutions + 65600 + 130 == 145_058
    assert cost(PatchCNN(patch=64).deploy())[0] == convolutions + 262208 + 130
    # Twice the multiply-adds: 32^2*2400 + 16^2*25600 + 8^2*51200 + 65536 + 128.
    assert cost(PatchCNN(patch=32).deploy())[1] == 2 * (2457600 + 6553600 + 3276800 + 65536 + 128)


def test_in_place_variant_costs_the_same_and_is_flagged(root: Path) -> None:
    assert cost(PatchCNN("in-place").deploy()) == cost(PatchCNN("repaired").deploy()) == cost(PatchCNN().deploy())
    folder = root / "prototxt" / "patch_cnn_32_in_place"
    assert [finding.rule for finding in lint(folder / "train_val.prototxt", root)] == ["in-place"] * 3
    rules = {finding.rule for finding in lint(folder / "solver.prototxt", root)}
    assert rules - {"solver-mode"} == {"weight-decay"}  # this machine may have no card


@pytest.mark.parametrize(
    "name", ["patch_cnn_32", "patch_cnn_64", "magnification_cnn_single", "magnification_cnn_multi"]
)
def test_the_others_are_clean(root: Path, name: str) -> None:
    for file in ("train_val", "deploy", "solver"):
        findings = lint(root / "prototxt" / name / f"{file}.prototxt", root)
        assert [finding for finding in findings if finding.rule != "solver-mode"] == []  # this machine may have no card


def test_patch_cnn_has_cifar10_quicks_fillers_and_rates() -> None:
    layers = {layer.name: layer for layer in PatchCNN().train_val("t", "v", 2, 2).layer}
    stds = {name: layers[name].convolution_param.weight_filler.std for name in ("conv1", "conv2", "conv3")}
    assert stds == {name: pytest.approx(std) for name, std in (("conv1", 0.0001), ("conv2", 0.01), ("conv3", 0.01))}
    assert [param.lr_mult for param in layers["ip1"].param] == [1, 2]
    assert layers["pool1"].pooling_param.pool == 0  # MAX, and its ReLU comes after it
    assert list(layers["relu1"].bottom) == ["pool1"]
    assert list(layers["relu2"].bottom) == ["conv2"]


def test_magnification_cnn_cost_at_227() -> None:
    # 227 -> 56 -> 28 -> 28 -> 14 -> 14 -> 7: weights 96*147+96, 256*2400+256, 384*2304+384, 512*18816+512,
    # 512*512+512, 512*2+2.
    weights = 14208 + 614656 + 885120 + 9634304 + 262656 + 1026
    multiply_adds = 14112 * 56**2 + 614400 * 28**2 + 884736 * 14**2 + 512 * 18816 + 512 * 512 + 1024
    assert cost(MagnificationCNN().deploy()) == (weights, 2 * multiply_adds)
    # The second task is one more inner product, 512*4+4.
    assert cost(MagnificationCNN("multi").deploy()) == (weights + 2052, 2 * (multiply_adds + 2048))


def test_magnification_cnn_tasks() -> None:
    shapes = {"data": (2, 3, 64, 64), "label": (2,), "magnification": (2,), "magnification_pixel": (2, 1, 1, 1)}
    network = MagnificationCNN("multi", input_size=64, width=0.125)
    for phase in (TRAIN, TEST):
        graph = Graph.build(network.train_val("t", "v", 2, 2), phase, input_shapes=shapes)
        losses = [node for node in graph.nodes if node.type == "SoftmaxWithLoss"]
        assert [[blob.name for blob in node.bottoms] for node in losses] == [
            ["magnification_classifier", "magnification"],
            ["classifier", "label"],
        ]
    sources = [layer.data_param.source for layer in network.train_val("t", "v", 2, 2).layer if layer.type == "Data"]
    assert sources == ["t", "v", "t/magnification", "v/magnification"]
    deploy = Graph.build(network.deploy())
    assert deploy.blob("magnification_prob").shape == (1, 4)
    assert [node.name for node in deploy.nodes if node.type == "Softmax"][-1] == "prob"
    assert "magnification" not in {blob.name for blob in Graph.build(MagnificationCNN().deploy()).blobs}


def test_refuse_what_cannot_be() -> None:
    with pytest.raises(InputError, match="patch size 48"):
        PatchCNN(patch=48)
    with pytest.raises(InputError, match="input size 10"):
        MagnificationCNN(input_size=10)
    with pytest.raises(InputError, match="width"):
        MagnificationCNN(width=0)
