"""Whole networks: random ones, published ones, the project's own, whole and pruned; and what stands in the model."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose

from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.inference.deploy import read_deploy
from pyhisto.inference.engines import caffe_engine, onnx_engine
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.onnx.export import Export, export, write_model
from pyhisto.onnx.proof import prove
from pyhisto.onnx.runtime import runner
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proto import Net, NetParameter, blob_array, parse_text, read_net, set_blob, write_weights
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning
from pyhisto.pruning.schedule import Schedule
from tests.networks import RandomNetwork, random_weights, save
from tests.one_layer import layer, net
from tests.pruning import architectures

ILL_CONDITIONED = 73
"""A random network with a TanH of products up to 20,558: two orders of summing alone make 1.02e-4 of their rounding."""

BREAKHIS_MEAN = (204.24, 186.73, 208.62)


def made(net: Net, seed: int = 0) -> tuple[Export, Net]:
    graph = Graph.build(net, source="net.prototxt")
    weights = random_weights([graph], seed)
    return export(graph, weights, "net.caffemodel"), weights


def proved(net: Net, seed: int = 0) -> float:
    exported, weights = made(net, seed)
    proof = prove(exported, weights, "net.prototxt")
    assert proof is not None and proof.engine == "caffe"
    return proof.largest_difference


@pytest.mark.caffe
def test_random_networks() -> None:
    for seed in range(40):
        assert proved(RandomNetwork(seed).net, seed) <= 1e-4, seed


@pytest.mark.caffe
@pytest.mark.slow
def test_a_thousand_random_networks() -> None:
    for seed in set(range(40, 1040)) - {ILL_CONDITIONED}:
        assert proved(RandomNetwork(seed).net, seed) <= 1e-4, seed


@pytest.mark.caffe
@pytest.mark.slow
@pytest.mark.parametrize("generator", architectures.PUBLISHED)
def test_published_architectures(generator: Callable[[], Net]) -> None:
    graph = Graph.build(generator())
    weights = random_weights([graph])
    for stored in weights.layer:  # random gates, one behind the other, make of rounding what they like: nearer to 0.5
        if stored.name.endswith("/up"):
            set_blob(stored.blobs[0], blob_array(stored.blobs[0]) * np.float32(0.001))
    proof = prove(export(graph, weights, "w"), weights, "net")
    assert proof is not None and proof.largest_difference <= 1e-4


@pytest.mark.caffe
@pytest.mark.slow
def test_caffe_s_own_models(caffe_models: Path) -> None:
    """AlexNet and its kind, GoogLeNet: groups, LRN, average pooling, Dropout in place."""
    deploys = sorted(caffe_models.glob("*/deploy.prototxt"))
    assert len(deploys) >= 5
    for model in deploys:
        # 1.6e-5 for AlexNet where oneDNN has AVX-512, below 1e-5 where it has not.
        assert proved(read_net(model)) <= 5e-5, model


@pytest.mark.caffe
def test_narrow_inception_sep() -> None:
    assert proved(InceptionSEP("released", width=0.125, input_size=64).deploy()) <= 1e-5


def test_a_sep_layer_passes_or_is_refused_where_it_masks() -> None:
    parameters = 'module: "pyhisto.layers.sep" layer: "SEPLayer"'
    text = net(
        layer("Sigmoid").replace('"l"', '"gate"') + layer("Python", f"python_param {{ {parameters} }}", "t", "u"),
        a="2,6",
    )
    exported, _ = made(parse_text(text, NetParameter, Path("net")))
    assert [node.op_type for node in exported.model.graph.node] == ["Sigmoid", "Identity"]
    masking = text.replace('"SEPLayer"', '"SEPLayer" param_str: \'{"stage": "pruning"}\'')
    with pytest.raises(InputError, match="layer 'l' masks channels; prune them"):
        made(parse_text(masking, NetParameter, Path("net")))


@pytest.fixture(scope="module")
def pruned_and_whole(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """The Inception + SEP network at its full width, and half of its channels pruned: prototxts and weights."""
    folder = tmp_path_factory.mktemp("inception")
    whole = save(folder, InceptionSEP("paper").deploy(), name="whole")
    network = LoadedNetwork.read(whole[0], [], whole[1], {})
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(0.5), None, 0), {})
    small = folder / "pruned.prototxt", folder / "pruned.caffemodel"
    small[0].write_text(pruned.texts["whole.prototxt"])
    write_weights(small[1], pruned.weights)
    return [whole, small]


@pytest.mark.caffe
@pytest.mark.slow
def test_engines_agree_on_real_images(pruned_and_whole: list[tuple[Path, Path]], shared_data: Path) -> None:
    recipe = Preprocessing("global", size=224, mean=BREAKHIS_MEAN)
    images = [read_image(path) for path in sorted((shared_data / "BreaKHis_v1").rglob("*-100-*.png"))[:3]]
    batch = recipe.blob([pixels for image in images for _, pixels in recipe.inputs(image)])
    sizes = []
    for model, weights in pruned_and_whole:
        deploy = read_deploy(model, weights)
        by_caffe, by_onnx = caffe_engine(deploy)(batch), onnx_engine(deploy)(batch)
        assert by_onnx.shape == (3, 2) and np.ptp(by_caffe) > 0
        assert_allclose(by_onnx, by_caffe, atol=1e-4)
        graph = Graph.build(deploy.net)
        proof = prove(exported := export(graph, deploy.blobs, weights), deploy.blobs, model)
        assert proof is not None and proof.largest_difference <= 1e-4
        sizes.append(exported.model.ByteSize())
    assert sizes[1] < 0.6 * sizes[0]


def test_any_number_of_images_each_for_itself() -> None:
    exported, _ = made(InceptionSEP("paper", width=0.125, input_size=64).deploy())
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*exported.model.graph.input, *exported.model.graph.output)
    ]
    assert shapes == [["N", 3, 64, 64], ["N", 2]]
    run = runner(exported.model)
    images = np.random.default_rng(0).normal(0, 1, (5, 3, 64, 64)).astype(np.float32)
    together = run({"data": images}, ["prob"])["prob"]
    assert np.ptp(together[:, 0]) > 0
    for image, expected in zip(images, together, strict=True):
        assert_allclose(run({"data": image[None]}, ["prob"])["prob"][0], expected, atol=1e-5)


def test_names_are_caffe_s() -> None:
    """A blob that layers work on in place has Caffe's name at last; an input keeps its own."""
    chain = layer("Power", "power_param { scale: 2 }", "a", "a") + layer("ReLU", "", "a", "a").replace('"l"', '"m"')
    behind = layer("AbsVal", "", "a", "t").replace('"l"', '"n"') + layer("Dropout", "", "t", "u").replace('"l"', '"o"')
    exported, _ = made(parse_text(net(chain + behind, a="2,6"), NetParameter, Path("net")))
    graph = exported.model.graph
    assert [(node.op_type, *node.input[:1], *node.output) for node in graph.node] == [
        ("Mul", "a", "a/l"),
        ("Relu", "a/l", "a/m"),
        ("Abs", "a/m", "t"),
        ("Identity", "t", "u"),
    ]
    assert exported.tensors == {"a": "a/m", "t": "t", "u": "u"}
    run = runner(exported.model)
    assert run({"a": np.array([[-1, 2, 0, 0, 0, 0]], np.float32)}, ["u"])["u"].tolist() == [[0, 4, 0, 0, 0, 0]]


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_model(tmp_path / name, made(RandomNetwork(3).net)[0].model)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    onnx.checker.check_model(onnx.load(tmp_path / "one"), full_check=True)


def test_the_proof_finds_a_fault() -> None:
    exported, weights = made(parse_text(net(layer("TanH"), a="2,6"), NetParameter, Path("net")))
    assert prove(exported, weights, "net.prototxt") is not None
    exported.model.graph.node[0].op_type = "Sigmoid"
    with pytest.raises(InputError, match="the ONNX model differs from the network by"):
        prove(exported, weights, "net.prototxt")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"^needs the package {package}, .*: pip install 'pyhisto\[onnx\]'$"):
        runner(made(RandomNetwork(0).net)[0].model)
