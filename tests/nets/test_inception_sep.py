"""The paper's network, its numbers and names."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyhisto.cost import layer_costs, total_cost
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.nets.solvers import ZHU_2019
from pyhisto.proto import TEST, TRAIN, read_solver, to_text, write_weights
from tests.networks import random_weights

SHAPES = {"data": (2, 3, 64, 64), "label": (2,)}


def train_val(network: InceptionSEP, phase: int) -> Graph:
    shapes = {"data": (2, 3, network.input_size, network.input_size)}
    return Graph.build(network.train_val("t", "v", 2, 2), phase, input_shapes=shapes)


def test_cost_is_table_7s_first_row() -> None:
    total = total_cost(layer_costs(Graph.build(InceptionSEP("paper").deploy())))
    assert f"{total.flops / 1e6:.1f} M" == "2920.3 M"
    assert f"{total.weights / 1e6:.3f} M" == "3.770 M"


def test_shapes_are_table_1s() -> None:
    graph = Graph.build(InceptionSEP("paper").deploy())
    printed = {
        "conv1/7x7_s2": (64, 112), "pool1/3x3_s2": (64, 56), "conv2/3x3": (192, 56), "pool2/3x3_s2": (192, 28),
        "inception_3a/output": (256, 28), "inception_3b/output": (480, 28), "pool3/3x3_s2": (480, 14),
        "inception_4a/output": (512, 14), "inception_4b/output": (512, 14), "inception_4c/output": (512, 14),
        "inception_4d/output": (528, 14), "inception_4e2/concat": (1856, 14), "pool4/3x3_s2": (1856, 7),
        "pool5/7x7_s1": (1856, 1),
    }  # fmt: skip
    for name, (channels, side) in printed.items():
        assert graph.blob(name).shape == (1, channels, side, side), name


def test_released_tail_and_heads() -> None:
    graph = train_val(InceptionSEP("released", input_size=224), TRAIN)
    assert graph.blob("inception_4e2/concat").shape == (2, 832 + 512 + 512 + 528, 14, 14)
    assert graph.blob("loss1/ave_pool").shape == (2, 512, 4, 4)
    assert graph.blob("loss2/ave_pool").shape == (2, 528, 4, 4)
    losses = {node.name: list(node.layer.loss_weight) for node in graph.nodes if node.type == "SoftmaxWithLoss"}
    assert losses == {"loss1/loss": [pytest.approx(0.3)], "loss2/loss": [pytest.approx(0.3)], "loss3/loss3": [1.0]}


def test_names_are_the_authors() -> None:
    names = {node.name for node in train_val(InceptionSEP("released"), TRAIN).nodes}
    expected = [
        "conv1/7x7_s2",
        "conv1/bn",
        "conv1/scale",
        "conv1/relu_7x7",
        "pool1/3x3_s2",
        "conv2/3x3_reduce",
        "conv2/relu_3x3_bn",
        "conv2/relu_3x3_scale",
        "conv2/relu_3x3_reduce",
        "conv2/3x3",
        "conv2/relu_bn",
        "conv2/relu_scale",
        "conv2/relu_3x3",
        "pool2/3x3_s2",
        "inception_3a/1x1",
        "inception_3a/relu_1x1_bn",
        "inception_3a/relu_1x1_scale",
        "inception_3a/relu_1x1",
        "inception_3a/pool",
        "inception_3a/3x3_reduce",
        "inception_3a/relu_3x3_reduce_bn",
        "inception_3a/pool_proj",
        "inception_3a/relu_pool_proj_bn",
        "inception_3a/relu_pool_proj_scale",
        "inception_3a/relu_pool_proj",
        "inception_3a/concat",
        "inception_3a_global_pool",
        "inception_3a_1x1_down",
        "inception_3a_1x1_down/relu",
        "inception_3a_1x1_up",
        "inception_3a_prob",
        "inception_3a_prob_reshape",
        "inception_3a_scale",
        "pool3/3x3_s2",
        "inception_4e2/concat",
        "pool4/3x3_s2",
        "pool5/7x7_s1",
        "loss333/classifier",
        "loss11/classifier",
        "loss2/ave_pool",
        "loss2/conv",
        "loss2/relu_conv_bn",
        "loss2/relu_conv_scale",
        "loss2/relu_conv",
        "loss2/fc",
        "loss2/relu_fc",
        "loss2/drop_fc",
        "loss22/classifier",
    ]
    assert set(expected) <= names
    assert " inception_3b/relu_1x1_bn" in names  # the authors' file has the space


def test_nothing_pools_in_place_and_batch_norm_has_no_rates() -> None:
    for node in train_val(InceptionSEP("released"), TRAIN).nodes:
        if node.type == "Pooling":
            assert node.tops[0].in_place_of is None
    for layer in InceptionSEP("released").train_val("t", "v", 2, 2).layer:
        if layer.type == "BatchNorm":
            assert [param.lr_mult for param in layer.param] == [0, 0, 0]
            assert not layer.batch_norm_param.HasField("use_global_stats")


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("size", [32, 64, 150, 224, 299])
@pytest.mark.parametrize("width", [0.01, 0.25, 1.5])
def test_any_size_width_and_number_of_classes(classes: int, size: int, width: float) -> None:
    network = InceptionSEP("released", num_classes=classes, input_size=size, width=width)
    assert Graph.build(network.deploy()).blob("prob").shape == (1, classes)
    for phase in (TRAIN, TEST):
        assert train_val(network, phase).blob("loss3/classifier").shape == (2, classes)


def test_refuses_what_cannot_be() -> None:
    for wrong in ({"num_classes": 1}, {"input_size": 31}, {"width": 0.0}, {"width": 9.0}):
        with pytest.raises(InputError):
            InceptionSEP(**wrong)


def test_the_solver_is_the_papers(root: Path) -> None:
    solver = read_solver(root / "prototxt" / "inception_sep_paper" / "solver.prototxt")
    settings = (solver.type, solver.lr_policy, solver.stepsize, solver.max_iter)
    assert settings == ("SGD", "step", 10000, 40000)
    rates = (solver.base_lr, solver.gamma, solver.momentum, solver.weight_decay)
    assert rates == pytest.approx((0.0004, 0.1, 0.9, 0.009))
    assert ZHU_2019.message("n", "p", 1).base_lr == pytest.approx(0.0004)


def test_committed_files_are_current(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, root / "prototxt" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_generate_reads_mean_and_size_of_an_lmdb(root: Path, tmp_path: Path) -> None:
    import lmdb

    for split, records in (("train", 7), ("val", 48)):
        with lmdb.open(str(tmp_path / split)) as environment, environment.begin(write=True) as transaction:
            for index in range(records):
                transaction.put(b"%d" % index, b"")
    (tmp_path / "train" / "preprocessing.json").write_text('{"mean": [1.5, 2.5, 3.5]}')
    command = [sys.executable, root / "prototxt" / "generate.py", "inception-sep", "--out", tmp_path / "net",
               "--train-lmdb", tmp_path / "train", "--val-lmdb", tmp_path / "val"]  # fmt: skip
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    text = (tmp_path / "net" / "train_val.prototxt").read_text()
    assert "mean_value: 1.5\n    mean_value: 2.5\n    mean_value: 3.5" in text
    assert "batch_size: 48" in text  # the largest divisor up to 50: one test pass sees each record once
    assert read_solver(tmp_path / "net" / "solver.prototxt").test_iter[:] == [1]


def test_generate_complains_in_one_line(root: Path, tmp_path: Path) -> None:
    for arguments in (["nobody"], ["inception-sep", "--width", "-1", "--out", tmp_path / "x"], ["inception-sep"]):
        done = subprocess.run(
            [sys.executable, root / "prototxt" / "generate.py", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert not (tmp_path / "x").exists()


@pytest.mark.caffe
def test_python_and_native_gates_agree_in_outputs_and_gradients(tmp_path: Path) -> None:
    import caffe

    weights = tmp_path / "python.caffemodel"
    write_weights(weights, random_weights([train_val(InceptionSEP("released", width=0.25, input_size=64), TRAIN)]))
    outputs, gradients = {}, {}
    for sep in ("python", "native"):
        net = InceptionSEP("released", sep, width=0.25, input_size=64).train_val("t", "v", 2, 2)
        runnable = type(net)(force_backward=True)
        for name, shape in SHAPES.items():
            runnable.layer.add(name=name, type="Input", top=[name]).input_param.shape.add(dim=shape)
        runnable.layer.extend(layer for layer in net.layer if layer.type not in ("Data", "Dropout", "Accuracy"))
        model = tmp_path / f"{sep}.prototxt"
        model.write_text(to_text(runnable))
        network = caffe.Net(str(model), caffe.TRAIN, weights=str(weights))
        network.blobs["data"].data[...] = np.random.default_rng(0).normal(size=SHAPES["data"])
        network.blobs["label"].data[...] = [0, 1]
        network.forward()
        network.backward()
        outputs[sep] = {
            name: network.blobs[name].data.copy() for name in ("loss3/classifier", "loss3/loss3", "loss1/loss")
        }
        gradients[sep] = {
            (name, index): param.diff.copy()
            for name, params in network.params.items()
            if not name.endswith("_sep")
            for index, param in enumerate(params)
        }
    for name, values in outputs["native"].items():
        assert np.abs(values - outputs["python"][name]).max() <= 1e-6
    assert gradients["native"].keys() == gradients["python"].keys()
    for blob, values in gradients["native"].items():
        assert np.abs(values - gradients["python"][blob]).max() <= 1e-6
