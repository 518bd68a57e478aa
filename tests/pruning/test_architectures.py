"""Real networks at 30% and 60%: published architectures, Caffe's own models, the authors' network, old formats."""

from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.files import sha256
from pyhisto.graph import Graph
from pyhisto.proof.comparison import TOLERANCE, Proof
from pyhisto.proof.engines import EngineChoice, EngineName
from pyhisto.proof.runnable import runnable
from pyhisto.proto import Net, NetParameter, blob_array, parse_text, set_blob, write_weights
from pyhisto.pruning.dependencies import Dependencies
from pyhisto.pruning.importance import Importance
from pyhisto.pruning.proof import compare, prove
from pyhisto.pruning.prototxts import read_prototxts
from pyhisto.pruning.pruner import LoadedNetwork, Pruned, cut_network, plan_pruning, pruned_model, write
from pyhisto.pruning.schedule import Schedule
from pyhisto.pruning.surgery import rewrite_weights
from tests.networks import random_weights, save
from tests.pruning import architectures

RATIOS = (0.3, 0.6)


@pytest.mark.parametrize("generator", architectures.PUBLISHED)
def test_parameters_are_the_published_ones(generator: Callable[[], Net]) -> None:
    nodes = Graph.build(generator()).nodes
    learned = sum(prod(shape) for node in nodes if node.type != "BatchNorm" for shape in node.param_shapes or ())
    assert learned == architectures.PUBLISHED[generator]


def groups(net: Net) -> dict[str, tuple[int, str]]:
    dependencies = Dependencies.analyse([Graph.build(net)])
    return {group.name: (len(group.atoms), group.frozen) for group in dependencies.groups}


@pytest.mark.parametrize("generator", architectures.PUBLISHED)
def test_nothing_but_the_scores_is_frozen(generator: Callable[[], Net]) -> None:
    frozen = [reason for _, reason in groups(generator()).values() if reason]
    assert frozen == ["read by layer 'prob' (Softmax)"]


def test_a_residual_stream_is_one_group() -> None:
    found = groups(architectures.resnet50())
    # The last stage's stream: the projection of its first block and what three blocks add.
    assert found["res5a_branch1 + res5a_branch2c + res5b_branch2c + res5c_branch2c"] == (2048, "")
    # conv1, four streams, two convolutions in each of 16 blocks, the classifier.
    assert len(found) == 1 + 4 + 2 * 16 + 1


def test_grouped_convolutions_lose_whole_groups() -> None:
    found = groups(architectures.resnext50())
    # In all 16 blocks the two convolutions of the bottleneck go in 32 bundles: a group's inputs and outputs.
    assert [size for name, (size, _) in found.items() if name.endswith("_branch2b")] == [32] * 16
    dependencies = Dependencies.analyse([Graph.build(architectures.resnext50())])
    # Stage 2: 128 / 32 = 4 channels in, 4 out.
    assert "res2a_branch2a + res2a_branch2b: 32 bundles of 8 channels" in dependencies.describe()


def test_depthwise_convolutions_go_with_their_channels() -> None:
    assert groups(architectures.mobilenet_v1())["conv13/sep + conv14/dw"] == (1024, "")
    # A residual stream of 160 channels, and the expansion to 960 with its depthwise convolution.
    found = groups(architectures.mobilenet_v2())
    assert found["conv7_1/linear + conv7_2/linear + conv7_3/linear"] == (160, "")
    assert found["conv7_2/expand + conv7_2/dwise"] == (960, "")


def test_channels_of_a_dense_block_are_read_by_all_that_follow() -> None:
    dependencies = Dependencies.analyse([Graph.build(architectures.densenet121())])
    group = next(group for group in dependencies.groups if group.name == "conv5_1/x2")
    # Made once; then 15 layers of the block and the end each normalise it (BatchNorm 2, Scale 2 blobs), 15 convolve it,
    # and the classifier reads it.
    assert len(dependencies.places(group)) == 1 + 16 * 4 + 15 + 1


SCOPES = {"l1": "branch", "slimming": "network", "sep": "block"}

VGG, DENSE, INCEPTION, UNET = (
    architectures.vgg16, architectures.densenet121, architectures.inception_v3, architectures.unet,
)  # fmt: skip
RESNET, RESNEXT, SE_RESNET, SE_AXPY = (
    architectures.resnet50, architectures.resnext50, architectures.se_resnet50, architectures.se_resnet50_axpy,
)  # fmt: skip
REMAINING = [
    (architectures.mobilenet_v1, "l1", [(0.545, 0.504), (0.223, 0.177)]),
    (architectures.mobilenet_v1, "slimming", [(0.522, 0.523), (0.228, 0.176)]),
    (architectures.mobilenet_v2, "l1", [(0.574, 0.520), (0.256, 0.197)]),
    (architectures.mobilenet_v2, "slimming", [(0.530, 0.506), (0.272, 0.178)]),
    (DENSE, "l1", [(0.517, 0.495), (0.197, 0.173)]),
    (DENSE, "slimming", [(0.653, 0.576), (0.138, 0.133)]),
    (RESNET, "l1", [(0.507, 0.498), (0.180, 0.169)]),
    (RESNET, "slimming", [(0.516, 0.492), (0.175, 0.168)]),
    (RESNEXT, "l1", [(0.513, 0.501), (0.197, 0.184)]),
    (RESNEXT, "slimming", [(0.624, 0.589), (0.133, 0.144)]),
    (SE_RESNET, "l1", [(0.505, 0.498), (0.178, 0.169)]),
    (SE_RESNET, "slimming", [(0.534, 0.489), (0.169, 0.168)]),
    (SE_RESNET, "sep", [(0.781, 0.826), (0.597, 0.667)]),
    (SE_AXPY, "l1", [(0.505, 0.498), (0.178, 0.169)]),
    (SE_AXPY, "slimming", [(0.534, 0.489), (0.169, 0.168)]),
    (SE_AXPY, "sep", [(0.781, 0.826), (0.597, 0.667)]),
    (INCEPTION, "l1", [(0.508, 0.491), (0.182, 0.165)]),
    (INCEPTION, "slimming", [(0.506, 0.503), (0.180, 0.157)]),
    (UNET, "l1", [(0.490, 0.492), (0.160, 0.163)]),
    (VGG, "l1", [(0.496, 0.492), (0.167, 0.162)]),
]
"""What is left of (weights, FLOPs) at 30% and at 60%, as measured. Of a layer cut on both sides (1 - O)^2 is left, 0.49
and 0.16; of the classifier, the first layer and depthwise convolutions 1 - O. `sep` cuts residual streams alone, which
its gates rank, and SE blocks: of a bottleneck's weights two layers go by 1 - O and the 3x3 stays."""
FAST = {architectures.mobilenet_v1, architectures.mobilenet_v2}


@pytest.fixture(scope="module")
def network(request: pytest.FixtureRequest) -> Iterator[LoadedNetwork]:
    """An architecture with random weights; the files go again, as all of them together would fill a disk."""
    with TemporaryDirectory() as folder:
        model, weights = save(Path(folder), request.param())
        yield LoadedNetwork.read(model, [], weights, {})


def made_up_importance(network: LoadedNetwork) -> Importance:
    generator = np.random.default_rng(1)
    blocks = {name: generator.random(len(gate.channels)) for name, gate in network.dependencies.gates.items()}
    return Importance(blocks, samples=1, weights_sha256=sha256(network.weights_path))


def prune(network: LoadedNetwork, criterion: str, schedule: Schedule) -> tuple[Pruned, Proof]:
    importance = made_up_importance(network) if criterion == "sep" else None
    pruned = cut_network(network, plan_pruning(network, criterion, schedule, importance, 0), {})
    proof = prove(network, pruned)
    assert proof is not None
    return pruned, proof


def load_in_caffe(network: LoadedNetwork, pruned: Pruned, proof: Proof) -> None:
    """What is written loads in Caffe, with the shapes that the graph infers."""
    import caffe

    with TemporaryDirectory() as folder:
        out = Path(folder, "pruned")
        write(network, pruned, proof, out)
        net = caffe.Net(str(out / network.files[0].path.name), caffe.TEST, weights=str(out / network.weights_path.name))
        for blob in pruned_model(network, pruned.texts).blobs:
            assert tuple(net.blobs[blob.name].shape) == blob.shape


@pytest.mark.caffe
@pytest.mark.parametrize(
    ("network", "criterion", "remaining"),
    [pytest.param(*case, marks=[] if case[0] in FAST else pytest.mark.slow) for case in REMAINING],
    indirect=["network"],
    ids=[f"{generator.__name__}-{criterion}" for generator, criterion, _ in REMAINING],
)
def test_published_architectures(network: LoadedNetwork, criterion: str, remaining: list[tuple[float, float]]) -> None:
    for ratio, (weights, flops) in zip(RATIOS, remaining, strict=True):
        pruned, proof = prune(network, criterion, Schedule(ratio, scope=SCOPES[criterion]))  # type: ignore[arg-type]
        assert proof.engine == "caffe"
        assert proof.largest_difference <= TOLERANCE
        assert pruned.after.weights / pruned.before.weights == pytest.approx(weights, abs=0.01)
        assert pruned.after.flops / pruned.before.flops == pytest.approx(flops, abs=0.01)
        if not any(node.type == "Axpy" for node in network.model.nodes):  # which Caffe does not have
            load_in_caffe(network, pruned, proof)


def test_opencv_proves_where_caffe_is_not(tmp_path: Path) -> None:
    model, weights = save(tmp_path, architectures.mobilenet_v1())
    network = LoadedNetwork.read(model, [], weights, {})
    pruned = cut_network(network, plan_pruning(network, "slimming", Schedule(0.6), None, 0), {})
    masked = rewrite_weights(network.weights, pruned.cut, mask=True)
    networks = (runnable(network.model), masked), (runnable(pruned_model(network, pruned.texts)), pruned.weights)
    proof = compare(*networks, EngineChoice("opencv", ""), model)
    assert proof.largest_difference <= TOLERANCE


@pytest.mark.caffe
def test_axpy_is_proved_as_scale_and_sum(tmp_path: Path) -> None:
    net = parse_text(
        INPUT + conv("x", "data", 6, 3) + conv("y", "data", 6, 3) + SQUEEZE_EXCITE, NetParameter, Path("t")
    )
    model, weights = save(tmp_path, net)
    network = LoadedNetwork.read(model, [], weights, {})
    runs = {layer.name: layer.type for layer in runnable(network.model).net.layer}
    assert runs["axpy"] == "Eltwise"
    assert [group.name for group in network.dependencies.groups][:2] == ["x + y + up", "down"]
    pruned, proof = prune(network, "l1", Schedule(0.5))
    assert proof.outputs == ("z",)
    # x, y and the gate keep 3 of 6; the hidden width of 2 is rescaled to 3 * 2 // 6.
    assert {layer: len(kept) for layer, (_, kept) in pruned.plan.layers.items()} == {"x": 3, "y": 3, "up": 3, "down": 1}


@pytest.mark.parametrize("engine", [pytest.param("caffe", marks=pytest.mark.caffe), "opencv"])
def test_inputs_that_only_amplify_rounding_prove_nothing(engine: EngineName) -> None:
    # TanH is steep within 1/250 of 0; float32 places values of about 50 to 4e-6, and 250 x 4e-6 = 1e-3.
    net = parse_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 128 dim: 128 } } }'
        + conv("a", "data", 8, 1)
        + 'layer { name: "steep" type: "Power" bottom: "a" top: "steep" power_param { scale: 250 } }'
        'layer { name: "tanh" type: "TanH" bottom: "steep" top: "tanh" }',
        NetParameter,
        Path("t"),
    )
    graph = Graph.build(net)
    network, choice = runnable(graph), EngineChoice(engine, "")
    weights, other = random_weights([graph]), random_weights([graph])
    blob = other.layer[0].blobs[0]
    set_blob(blob, np.nextafter(blob_array(blob), np.float32(9)))
    assert compare((network, weights), (network, other), choice, "t").input_scales == (1.0,)
    set_blob(blob, blob_array(blob) * np.float32(1.01))
    with pytest.raises(InputError, match="proves nothing"):
        compare((network, weights), (network, other), choice, "t")


def read_with_random_weights(model: Path, also: list[Path], folder: Path) -> LoadedNetwork:
    """A network of several prototxts, solvers among them, with weights for all of its layers."""
    described = [path for path in also if "solver" not in path.name]
    graphs = [graph for file in read_prototxts(model, described, {}) for graph in file.graphs]
    weights = folder / "random.caffemodel"
    write_weights(weights, random_weights(graphs))
    return LoadedNetwork.read(model, also, weights, {})


LRN = {"conv1": "norm1", "conv2": "norm2"}
CAFFE_MODELS = [
    # LRN across channels looks at neighbours, which a cut would change: what it reads stays.
    ("bvlc_alexnet", LRN, [(0.511, 0.766), (0.184, 0.593)]),
    ("bvlc_reference_caffenet", LRN, [(0.511, 0.766), (0.184, 0.593)]),
    ("bvlc_reference_rcnn_ilsvrc13", LRN, [(0.508, 0.766), (0.179, 0.593)]),
    ("finetune_flickr_style", LRN, [(0.506, 0.766), (0.177, 0.593)]),
    ("bvlc_googlenet", {"conv1/7x7_s2": "pool1/norm1", "conv2/3x3": "conv2/norm2"}, [(0.527, 0.580), (0.202, 0.284)]),
]
"""Folder, what is frozen by which LRN layer, and what is left of (weights, FLOPs) at 30% and at 60%."""


@pytest.mark.caffe
@pytest.mark.slow
@pytest.mark.parametrize(("name", "normalised", "remaining"), CAFFE_MODELS)
def test_caffe_s_own_models(
    name: str, normalised: dict[str, str], remaining: list[tuple[float, float]], caffe_models: Path, tmp_path: Path
) -> None:
    model = caffe_models / name / "deploy.prototxt"
    also = sorted(path for path in model.parent.glob("*.prototxt") if path != model)
    with TemporaryDirectory() as folder:
        network = read_with_random_weights(model, also, Path(folder))
        frozen = {group.name: group.frozen for group in network.dependencies.groups if group.frozen}
        for layer, norm in normalised.items():
            assert frozen.pop(layer) == f"read by layer '{norm}' (LRN)"
        assert all("Softmax" in reason or "network output" in reason for reason in frozen.values())
        for ratio, (weights, flops) in zip(RATIOS, remaining, strict=True):
            pruned, proof = prune(network, "l1", Schedule(ratio, scope="branch"))
            assert proof.largest_difference <= TOLERANCE
            assert pruned.after.weights / pruned.before.weights == pytest.approx(weights, abs=0.01)
            assert pruned.after.flops / pruned.before.flops == pytest.approx(flops, abs=0.01)
            load_in_caffe(network, pruned, proof)
            check_files(network, pruned, Path(folder, f"out{ratio}"))


def check_files(network: LoadedNetwork, pruned: Pruned, out: Path) -> None:
    """All prototxts together are one network again, which the weights fit."""
    write(network, pruned, None, out)
    model, *others = (out / file.path.name for file in network.files)
    solvers = [out / path.name for path in network.solvers]
    LoadedNetwork.read(model, [*others, *solvers], out / network.weights_path.name, {})


@pytest.mark.caffe
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_authors_network(ratio: float, root: Path, tmp_path: Path) -> None:
    folder = root / "prototxt" / "inception_sep_released"
    network = read_with_random_weights(
        folder / "deploy.prototxt", [folder / "train_val.prototxt", folder / "solver.prototxt"], tmp_path
    )
    pruned, proof = prune(network, "sep", Schedule(ratio))
    assert proof.largest_difference <= TOLERANCE
    load_in_caffe(network, pruned, proof)
    check_files(network, pruned, tmp_path / "pruned")


INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }\n'


def conv(name: str, bottom: str, outputs: int, kernel: int) -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} }} }}\n"
    )


SQUEEZE_EXCITE = (
    'layer { name: "squeeze" type: "Pooling" bottom: "x" top: "squeeze" '
    "pooling_param { pool: AVE global_pooling: true } }"
    + conv("down", "squeeze", 2, 1)
    + 'layer { name: "relu" type: "ReLU" bottom: "down" top: "down" }'
    + conv("up", "down", 6, 1)
    + 'layer { name: "sigmoid" type: "Sigmoid" bottom: "up" top: "up" }'
    'layer { name: "axpy" type: "Axpy" bottom: "up" bottom: "x" bottom: "y" top: "axpy" }' + conv("z", "axpy", 2, 3)
)

V1 = """\
# Written by hand in 2013.   Two blanks at the end of this line:  \r
name: "old"
input: "data" input_dim: 2 input_dim: 3 input_dim: 8, input_dim: 8;
layers {
  name: 'conv1' type: CONVOLUTION bottom: "data" top: "conv1"
  blobs_lr: 1 blobs_lr: 2   # the bias learns faster
  fork_field: "which Caffe does not know" fork_message < a: [1, 2.5e-3] b: -inf >
  convolution_param { num_output: 10 # ten
    kernel_size: 3 weight_filler { type: "gaussian" std: 0.01 } }
}
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }
layers {
  name: "conv2" type: CONVOLUTION bottom: "conv1" top: "conv2"
  convolution_param { group: 2 num_output:8 kernel_size: 3 pad : 1 }
}
layers { name: "pool" type: POOLING bottom: "conv2" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers { name: "ip1" type: INNER_PRODUCT bottom: "pool" top: "ip1" inner_product_param
  { num_output
    : 0x10 } }
layers { name: "ip2" type: INNER_PRODUCT bottom: "ip1" top: "ip2" inner_product_param { num_output: 3 } }
layers { name: "prob" type: SOFTMAX bottom: "ip2" top: "prob" }
# The end"""


def as_v1(weights: Net) -> Net:
    """A caffemodel as Caffe wrote it before 2015: `layers`, and blobs of four axes."""
    types = {"Convolution": "CONVOLUTION", "InnerProduct": "INNER_PRODUCT"}
    old = NetParameter(name="old")
    for layer in weights.layer:
        v1 = old.layers.add(name=layer.name)
        v1.type = v1.LayerType.Value(types[layer.type])
        for blob in layer.blobs:
            values = blob_array(blob)
            num, channels, height, width = (1,) * (4 - values.ndim) + values.shape
            v1.blobs.add(num=num, channels=channels, height=height, width=width, data=values.tobytes())
    return old


FORK = """  fork_field: "which Caffe does not know" fork_message < a: [1, 2.5e-3] b: -inf >\n"""


@pytest.mark.caffe
@pytest.mark.parametrize("engine", ["caffe", "opencv"])
def test_the_v1_format_and_everything_but_the_numbers_survives(engine: EngineName, tmp_path: Path) -> None:
    model, weights = tmp_path / "old.prototxt", tmp_path / "old.caffemodel"
    text = V1 if engine == "opencv" else V1.replace(FORK, "")  # which Caffe would not read
    model.write_bytes(text.encode())
    old = as_v1(random_weights([Graph.build(parse_text(text, NetParameter, model, lenient=True))]))
    write_weights(weights, old)
    network = LoadedNetwork.read(model, [], weights, {})
    pruned, proof = prune(network, "l1", Schedule(0.5, scope="branch"))
    assert proof.engine == engine
    # conv1 loses 2 of 5 positions in each of conv2's 2 groups (half of 5, a half going down), conv2 2 of 4 in each.
    expected = (
        text.replace("num_output: 10 #", "num_output: 6 #")
        .replace("num_output:8 ", "num_output:4 ")
        .replace(": 0x10 ", ": 8 ")
    )
    assert pruned.texts["old.prototxt"].encode() == expected.encode()
    out = tmp_path / "out"
    write(network, pruned, proof, out)
    assert (out / "old.prototxt").read_bytes() == expected.encode()
    kept = NetParameter.FromString((out / "old.caffemodel").read_bytes())
    assert not kept.layer and [(layer.name, layer.type) for layer in kept.layers] == [
        (layer.name, layer.type) for layer in old.layers
    ]


TAP = 'layer { name: "tap" type: "Pooling" bottom: "shared1" top: "tap" pooling_param { global_pooling: true } }'
OUTPUTS = (
    INPUT
    + conv("a", "data", 8, 1)
    + "".join(
        conv(f"shared{i}", bottom, 8, 3).replace(
            "convolution_param", 'param { name: "w" } param { name: "b" } convolution_param'
        )
        for i, bottom in enumerate(["a", "shared0"])
    )
    + conv("early", "shared0", 3, 1)
    + TAP
    + conv("late", "shared1", 12, 1)
    + 'layer { name: "end" type: "InnerProduct" bottom: "late" top: "end" inner_product_param { num_output: 4 } }'
)


@pytest.mark.caffe
@pytest.mark.parametrize("suffix", ["caffemodel", "caffemodel.h5"])
def test_several_outputs_shared_weights_and_hdf5(suffix: str, tmp_path: Path) -> None:
    import caffe

    net = parse_text(OUTPUTS, NetParameter, Path("t"))
    model, weights = tmp_path / "net.prototxt", tmp_path / f"net.{suffix}"
    model.write_text(OUTPUTS, encoding="utf-8")
    write_weights(weights, random_weights([Graph.build(net)]))
    network = LoadedNetwork.read(model, [], weights, {})
    # By the same weights shared0 is made of a and shared1 of shared0: their channels are the same, and an output's.
    assert {group.name: group.frozen for group in network.dependencies.groups} == {
        "a + shared0 + shared1": "network output 'tap'", "early": "network output 'early'", "late": "",
        "end": "network output 'end'",
    }  # fmt: skip
    pruned, proof = prune(network, "l1", Schedule(0.5))
    assert set(proof.outputs) == {"early", "tap", "end"}
    assert {layer: len(kept) for layer, (_, kept) in pruned.plan.layers.items()} == {"late": 6}
    out = tmp_path / "out"
    write(network, pruned, proof, out)
    loaded = caffe.Net(str(out / "net.prototxt"), caffe.TEST, weights=str(out / f"net.{suffix}"))
    late = {layer.name: layer for layer in pruned.weights.layer}["late"]
    assert np.array_equal(loaded.params["late"][0].data, blob_array(late.blobs[0]))
    assert loaded.params["end"][0].data.shape == (4, 6 * 4 * 4)


@pytest.mark.caffe
def test_shared_weights_are_cut_together(tmp_path: Path) -> None:
    net = parse_text(OUTPUTS.replace(TAP, ""), NetParameter, Path("t"))
    model, weights = save(tmp_path, net)
    pruned, _ = prune(LoadedNetwork.read(model, [], weights, {}), "l1", Schedule(0.25))
    kept = {layer: kept for layer, (_, kept) in pruned.plan.layers.items()}
    assert len(kept["a"]) == 6
    assert kept["a"] == kept["shared0"] == kept["shared1"]
