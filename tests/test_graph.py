"""Layers and blobs: phases, in-place, twins, shared weights, old formats, and what Caffe refuses."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyhisto.errors import InputError
from pyhisto.graph import Graph, check_weights, upgrade
from pyhisto.proto import TEST, TRAIN, Net, NetParameter, parse_text, set_blob, to_text
from tests.graph_caffe_peer import CaffePeer
from tests.old_formats import V0, V1

INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }\n'
CONV = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
"""
RELU = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'


def parse(text: str) -> Net:
    return parse_text(text, NetParameter, Path("net.prototxt"))


def build(text: str, phase: int = TEST, **options: object) -> Graph:
    return Graph.build(parse(text), phase, source="net.prototxt", **options)  # type: ignore[arg-type]


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


@pytest.fixture(scope="module")
def caffe_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaffePeer]:
    peer = CaffePeer(tmp_path_factory.mktemp("caffe"))
    yield peer
    peer.close()


# Blobs


def test_a_layer_in_place_makes_a_blob_of_its_own() -> None:
    pool = (
        'layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }'
    )
    graph = build(INPUT + CONV + RELU + pool)
    conv, relu, pool_node = graph.node("conv"), graph.node("relu"), graph.node("pool")
    assert [blob.name for blob in graph.blobs] == ["data", "conv", "conv", "pool"]
    assert conv.tops[0].consumers == [(relu, 0)]
    assert relu.tops[0].consumers == [(pool_node, 0)]
    assert relu.tops[0].in_place_of is conv.tops[0] and conv.tops[0].in_place_of is None
    assert graph.blob("conv") is relu.tops[0]
    assert relu.tops[0].producer is relu
    assert [blob.name for blob in graph.inputs] == ["data"]
    assert [blob.name for blob in graph.outputs] == ["pool"]
    assert [node.index for node in graph.nodes] == [0, 1, 2, 3]


def test_a_blob_read_twice_by_one_layer_has_it_twice() -> None:
    graph = build(INPUT + 'layer { name: "c" type: "Concat" bottom: "data" bottom: "data" top: "c" }')
    assert graph.blob("data").consumers == [(graph.node("c"), 0), (graph.node("c"), 1)]
    assert graph.blob("c").shape == (2, 6, 8, 8)


def test_a_blob_with_a_loss_weight_is_an_output_though_others_read_it() -> None:
    text = INPUT + CONV.replace('top: "conv"', 'top: "conv" loss_weight: 0.5')
    graph = build(text + 'layer { name: "r" type: "ReLU" bottom: "conv" top: "r" }')
    assert [blob.name for blob in graph.outputs] == ["conv", "r"]


def test_a_pooling_in_place_changes_the_shape_under_the_same_name() -> None:
    pool = (
        'layer { name: "pool" type: "Pooling" bottom: "conv" top: "conv" pooling_param { kernel_size: 2 stride: 2 } }'
    )
    graph = build(INPUT + CONV + pool)
    assert [blob.shape for blob in graph.blobs] == [(2, 3, 8, 8), (2, 4, 6, 6), (2, 4, 3, 3)]


def test_a_loss_without_a_top_gets_a_nameless_one() -> None:
    graph = build(INPUT + 'layer { name: "l" type: "EuclideanLoss" bottom: "data" bottom: "data" }')
    assert [(blob.name, blob.shape) for blob in graph.node("l").tops] == [("(automatic)", ())]


REFUSED = [
    ("layer 'conv': nothing before it makes its bottom 'data'", CONV),
    (
        "layer 'again': its top 'conv' is made by an earlier layer too",
        INPUT + CONV + CONV.replace('"conv" type', '"again" type'),
    ),
    (
        "layer 'relu': works in place on 'conv', which others read too",
        INPUT + CONV + 'layer { name: "p" type: "Power" bottom: "conv" top: "p" }' + RELU,
    ),
    (
        "layer 'relu': works in place on 'conv', which others read too",
        INPUT + CONV.replace('top: "conv"', 'top: "conv" loss_weight: 1') + RELU,
    ),
    (
        "layer 'e': its top 'data' is made by an earlier layer too",
        INPUT + CONV + 'layer { name: "e" type: "Bias" bottom: "conv" bottom: "data" top: "data" }',
    ),
    ("layer 'relu': has both include and exclude rules", INPUT + CONV + RELU.replace("}", "include { } exclude { } }")),
]


@pytest.mark.parametrize(("complaint", "text"), REFUSED)
def test_wrong_wiring_is_refused_by_name(complaint: str, text: str) -> None:
    with pytest.raises(InputError, match=r"^net\.prototxt: [^\n]+$") as error:
        build(text)
    assert complaint in str(error.value)


@pytest.mark.caffe
def test_caffe_refuses_that_wiring_too(caffe_peer: CaffePeer) -> None:
    for _, text in REFUSED:
        assert caffe_peer.shapes(text, TEST) is None, text


def test_asking_for_what_is_not_there() -> None:
    graph = build(INPUT + CONV)
    with pytest.raises(InputError, match="has no layer 'conv2'"):
        graph.node("conv2")
    with pytest.raises(InputError, match="has no blob 'conv2'"):
        graph.blob("conv2")
    with pytest.raises(InputError, match="no layer without bottoms makes 'conv'"):
        build(INPUT + CONV, input_shapes={"conv": (1, 2)})


# Phases, levels, stages


def test_twins_of_one_name_are_one_layer_in_each_phase() -> None:
    twin = """layer {{ name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" include {{ phase: {} }}
              batch_norm_param {{ use_global_stats: {} }} }}"""
    text = INPUT + CONV + twin.format("TRAIN", "false") + twin.format("TEST", "true")
    for phase, index, frozen in ((TRAIN, 2, False), (TEST, 3, True)):
        graph = build(text, phase)
        assert names(graph) == ["in", "conv", "bn"]
        assert graph.node("bn").index == index
        assert graph.node("bn").layer.batch_norm_param.use_global_stats == frozen
        assert graph.node("bn").param_shapes == ((4,), (4,), (1,))


@pytest.mark.parametrize(
    ("rules", "kept"),  # kept: whether at TEST, stages {a, b}, level 2
    [
        ("", True),
        ("include { phase: TEST }", True),
        ("include { phase: TRAIN }", False),
        ("include { phase: TRAIN } include { phase: TEST }", True),
        ("exclude { phase: TEST }", False),
        ("exclude { phase: TRAIN }", True),
        ("include { }", True),
        ("exclude { }", False),
        ("include { min_level: 2 max_level: 2 }", True),
        ("include { min_level: 3 }", False),
        ("include { max_level: 1 }", False),
        ('include { stage: "a" stage: "b" }', True),
        ('include { stage: "a" stage: "c" }', False),
        ('include { not_stage: "c" }', True),
        ('include { stage: "a" not_stage: "b" }', False),
        ('exclude { stage: "a" phase: TRAIN }', True),
    ],
)
def test_include_and_exclude_rules(rules: str, kept: bool) -> None:
    text = INPUT + RELU.replace("conv", "data").replace("}", rules + " }")
    assert ("relu" in names(build(text, TEST, stages=["a", "b"], level=2))) == kept
    own_state = 'state { stage: "a" stage: "b" level: 2 }\n'
    assert ("relu" in names(build(own_state + text, TEST))) == kept


# Shapes from the caller


def test_a_train_val_without_its_data_is_a_graph_all_the_same() -> None:
    data = 'layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "x" batch_size: 5 } }\n'
    graph = build(data + CONV)
    assert graph.blob("label").shape == (5,)
    assert graph.blob("conv").shape is None
    assert graph.blob("conv").unknown == graph.blob("data").unknown == "the data are not looked at"
    assert graph.node("conv").param_shapes is None
    told = build(data + CONV, input_shapes={"data": (5, 3, 8, 8)})
    assert told.blob("conv").shape == (5, 4, 6, 6)


# Shared weights


SHARED = """
layer { name: "one" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" } param { name: "b" }
        inner_product_param { num_output: 4 axis: 1 } }
layer { name: "two" type: "InnerProduct" bottom: "data" top: "b" param { name: "w" } param { }
        inner_product_param { num_output: 4 } }
"""


def test_the_first_of_a_name_owns_the_weights() -> None:
    graph = build(INPUT + SHARED)
    one, two = graph.node("one"), graph.node("two")
    assert graph.owners() == {(one, 0): (one, 0), (one, 1): (one, 1), (two, 0): (one, 0), (two, 1): (two, 1)}


def test_shared_weights_have_to_agree() -> None:
    transposed = SHARED.replace("num_output: 4 }", "num_output: 4 transpose: true }")
    with pytest.raises(
        InputError,
        match=r"layer 'two': shares 'w' with layer 'one', but their shapes are 192x4 and 4x192$",
    ):
        build(INPUT + transposed)
    permissive = transposed.replace(
        'top: "b" param { name: "w" }', 'top: "b" param { name: "w" share_mode: PERMISSIVE }'
    )
    assert build(INPUT + permissive).node("two").param_shapes == ((192, 4), (4,))


# Old formats


def test_v1_layers_become_layers() -> None:
    upgraded, origins = upgrade(parse(V1))
    assert origins == [None, 0, 1]
    expected = """
    layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" loss_weight: 0.5
            param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
            include { phase: TEST }
            convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
    layer { name: "relu" type: "ReLU" bottom: "conv" top: "relu" }
    """
    assert upgraded == parse(expected)
    assert [node.index for node in Graph.build(parse(V1)).nodes] == [None, 0, 1]


def test_v0_layers_become_layers_and_padding_melts_away() -> None:
    upgraded, origins = upgrade(parse(V0))
    assert origins == [None, 1, 2, 3, 4, 5]
    expected = """
    layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 }
            convolution_param { num_output: 4 bias_term: false pad: 1 kernel_size: 3 stride: 2 group: 1
                                weight_filler { type: "xavier" } } }
    layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
            pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
    layer { name: "norm" type: "LRN" bottom: "pool" top: "norm" lrn_param { local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } }
    layer { name: "fc" type: "InnerProduct" bottom: "norm" top: "fc" inner_product_param { num_output: 5 } }
    layer { name: "drop" type: "Dropout" bottom: "fc" top: "fc" dropout_param { dropout_ratio: 0.3 } }
    """
    assert upgraded == parse(expected)


def test_old_data_settings_move() -> None:
    old = (
        'layers { name: "d" type: DATA top: "data" data_param { source: "x" batch_size: 2 crop_size: 7 mirror: true } }'
    )
    upgraded, _ = upgrade(parse(old))
    assert upgraded.layer[0].transform_param.crop_size == 7
    assert upgraded.layer[0].transform_param.mirror
    assert not upgraded.layer[0].data_param.HasField("crop_size")


def test_input_shapes_and_several_inputs() -> None:
    graph = build(
        'input: "a" input: "b" input_shape { dim: 2 dim: 3 } input_shape { dim: 4 }\n' + RELU.replace("conv", "a")
    )
    assert [(blob.name, blob.shape) for blob in graph.inputs] == [("a", (2, 3)), ("b", (4,))]


def test_three_params_of_a_batch_norm_go() -> None:
    norm = 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" param { } param { } param { lr_mult: 0 } }'
    assert not build(INPUT + norm).node("bn").layer.param


def test_a_network_of_today_is_itself() -> None:
    net = parse(INPUT + CONV)
    assert upgrade(net) == (net, [0, 1]) and upgrade(net)[0] is net


@pytest.mark.parametrize(
    ("complaint", "text"),
    [
        ("holds both 'layer' and 'layers'", V1 + INPUT),
        (
            "unknown layer type 'conf'",
            V0.replace('"conv" num_output', '"conf" num_output').replace('type: "conv"', 'type: "conf"'),
        ),
        ("nothing before it makes its bottom 'x'", V0.replace('bottom: "data"', 'bottom: "x"')),
        ("only a convolution or pooling can follow a padding layer", V0.replace('bottom: "fc"', 'bottom: "padded"')),
        ("names 2 inputs but shapes only 1", 'input: "x" ' + V1),
    ],
)
def test_old_networks_that_caffe_refuses(complaint: str, text: str) -> None:
    with pytest.raises(InputError, match=complaint):
        build(text)


@pytest.mark.caffe
def test_caffe_upgrades_them_to_the_same_shapes(caffe_peer: CaffePeer) -> None:
    for text in (V0, V1):
        assert_equal_to_caffe(text, TEST, caffe_peer)


def assert_equal_to_caffe(text: str, phase: int, caffe_peer: CaffePeer, **options: object) -> None:
    graph, answer = build(text, phase, **options), caffe_peer.shapes(text, phase)
    assert answer is not None, f"Caffe refuses\n{text}"
    for name in {blob.name for blob in graph.blobs} - {"(automatic)"}:
        assert graph.blob(name).shape == tuple(answer["blobs"][name]), f"{name} in\n{text}"
    for node in graph.nodes:
        if node.param_shapes:
            assert [list(shape) for shape in node.param_shapes] == answer["params"][node.name], f"{node} in\n{text}"
    assert len(answer["params"]) == len({node.name for node in graph.nodes if node.param_shapes})


# Weights


def with_weights(graph: Graph) -> Net:
    weights = NetParameter()
    for node in graph.nodes:
        if node.param_shapes:
            layer = weights.layer.add(name=node.name, type=node.type)
            for shape in node.param_shapes:
                set_blob(layer.blobs.add(), np.zeros(shape, np.float32))
    return weights


def test_weights_that_fit() -> None:
    graph = build(INPUT + CONV + SHARED)
    weights = with_weights(graph)
    assert check_weights(graph, weights, "w.caffemodel") == []
    weights.layer.add(name="another network's").blobs.add()
    weights.layer[0].name = "renamed"
    assert [node.name for node in check_weights(graph, weights, "w.caffemodel")] == ["conv"]


def test_weights_written_the_old_way_fit() -> None:
    graph = build(INPUT + CONV + SHARED)
    old = NetParameter()
    for node in graph.nodes:
        if node.param_shapes:
            layer = old.layers.add(name=node.name)
            for shape in node.param_shapes:
                num, channels, height, width = (1,) * (4 - len(shape)) + shape
                data = np.zeros(shape, "<f4").tobytes()
                layer.blobs.add(num=num, channels=channels, height=height, width=width, data=data)
    assert check_weights(graph, old, "w.caffemodel") == []


def test_weights_that_do_not_fit_are_refused_by_layer() -> None:
    graph = build(INPUT + CONV)
    weights = with_weights(graph)
    set_blob(weights.layer[0].blobs[0], np.zeros((4, 3, 5, 5), np.float32))
    with pytest.raises(
        InputError, match=r"^w: layer 'conv': weight blob 0 is 4x3x5x5, but net\.prototxt needs 4x3x3x3$"
    ):
        check_weights(graph, weights, "w")
    del weights.layer[0].blobs[1]
    with pytest.raises(InputError, match=r"^w: layer 'conv': holds 1 weight blobs, but net\.prototxt has 2$"):
        check_weights(graph, weights, "w")
    damaged = with_weights(graph)
    damaged.layer[0].blobs[1].data = b"\0\0\0\0"
    with pytest.raises(InputError, match=r"^w: layer 'conv': a blob of shape \(4,\) holds 4 bytes"):
        check_weights(graph, damaged, "w")


# Whole networks, against Caffe


@pytest.mark.caffe
@pytest.mark.slow
def test_shapes_of_our_networks_equal_caffe_s(root: Path, caffe_peer: CaffePeer) -> None:
    for file in sorted((root / "prototxt").glob("*/deploy.prototxt")):
        assert_equal_to_caffe(file.read_text(), TEST, caffe_peer)


@pytest.mark.caffe
@pytest.mark.slow
def test_shapes_of_caffe_s_own_networks_equal_caffe_s(caffe_models: Path, caffe_peer: CaffePeer) -> None:
    files = [file for file in sorted(caffe_models.glob("*/*.prototxt")) if "solver" not in file.name]
    assert len(files) >= 8
    for file in files:
        net = upgrade(parse(file.read_text()))[0]
        size = 224 if "googlenet" in str(file) else 227
        kept = [layer for layer in net.layer if layer.type not in ("Data", "ImageData")]
        for phase in (TRAIN, TEST):
            if len(kept) == len(net.layer):
                assert_equal_to_caffe(file.read_text(), phase, caffe_peer)
                continue
            # The ImageNet databases are not there: images and labels of their shapes take their place.
            stand_in = NetParameter(layer=kept)
            images = stand_in.layer.add(name="data", type="DummyData", top=["data", "label"]).dummy_data_param
            images.shape.add(dim=[2, 3, size, size])
            images.shape.add(dim=[2])
            stand_in = NetParameter(layer=[stand_in.layer[-1], *kept])
            assert_equal_to_caffe(to_text(stand_in), phase, caffe_peer)


# Random networks, against Caffe


LEARNED = ("InnerProduct", "Convolution", "Deconvolution")


@st.composite
def networks(draw: st.DrawFn) -> str:
    """Branches, nested concatenations, sums, groups, slices, in-place chains, SE blocks, twins, shared weights, odd
    windows: as prototxt."""
    net = NetParameter()
    sizes = [
        draw(st.integers(1, 2)),
        draw(st.sampled_from([1, 2, 4, 6])),
        draw(st.integers(5, 14)),
        draw(st.integers(5, 14)),
    ]
    net.layer.add(name="in", type="Input", top=["b0"]).input_param.shape.add(dim=sizes)
    for index in range(draw(st.integers(1, 12))):
        blobs = {blob.name: blob.shape for blob in Graph.build(net).blobs}
        free = [blob.name for blob in Graph.build(net).outputs]
        bottom = draw(st.sampled_from(sorted(blobs)))
        shape = blobs[bottom]
        assert shape is not None
        kinds = ["InnerProduct", "Concat", "Eltwise", "Neuron", "Scale", "Flatten", "Reshape", "Slice", "Tile"]
        kinds += ["Softmax", "Shared"]
        if len(shape) == 4:
            kinds += ["Convolution", "Convolution", "Pooling", "Pooling", "Deconvolution", "SPP", "LRN", "SE"]
            kinds += ["BatchNorm", "BatchNorm", "Shared"]
        kind = draw(st.sampled_from(kinds))
        name = f"b{index + 1}"
        layer = net.layer.add(name=f"l{index}", bottom=[bottom], top=[name])
        in_place = bottom in free and draw(st.booleans())
        if kind in ("Neuron", "Scale", "BatchNorm", "LRN", "Softmax"):
            layer.type = draw(st.sampled_from(["ReLU", "TanH", "PReLU", "Power", "ELU"])) if kind == "Neuron" else kind
            layer.top[:] = [bottom if in_place and kind != "LRN" else name]
            if kind == "Scale":
                layer.scale_param.axis = draw(st.integers(0, len(shape) - 1))
                layer.scale_param.bias_term = draw(st.booleans())
        elif kind == "Shared":  # an earlier layer once more, on a blob like its own
            earlier = draw(st.sampled_from([each for each in net.layer[:-1] if each.type in LEARNED] or [layer]))
            if earlier is layer:
                del net.layer[-1]
                continue
            if not earlier.param:
                earlier.param.add(name=f"weights of {earlier.name}")
            like = [other for other, each in sorted(blobs.items()) if each == blobs[earlier.bottom[0]]]
            layer.CopyFrom(earlier)
            layer.name = f"l{index}"
            layer.bottom[:], layer.top[:] = [draw(st.sampled_from(like))], [name]
        elif kind == "InnerProduct":
            layer.type = kind
            layer.inner_product_param.num_output = draw(st.integers(1, 5))
            layer.inner_product_param.axis = draw(st.integers(-len(shape), len(shape) - 1))
        elif kind == "Concat":
            layer.type = kind
            axis = layer.concat_param.axis = draw(st.integers(0, len(shape) - 1))
            fitting = [
                other
                for other, each in sorted(blobs.items())
                if each is not None
                and len(each) == len(shape)
                and each[:axis] + each[axis + 1 :] == shape[:axis] + shape[axis + 1 :]
            ]
            layer.bottom.extend(draw(st.lists(st.sampled_from(fitting), max_size=3)))
        elif kind == "Eltwise":
            layer.type = kind
            layer.eltwise_param.operation = draw(st.integers(0, 2))
            layer.bottom.append(
                draw(st.sampled_from([other for other, each in sorted(blobs.items()) if each == shape]))
            )
        elif kind == "Flatten":
            layer.type = kind
            layer.flatten_param.axis = draw(st.integers(0, len(shape) - 1))
        elif kind == "Reshape":
            layer.type = kind
            layer.reshape_param.shape.dim.extend([0, -1])
            layer.reshape_param.axis = draw(st.integers(0, len(shape) - 1))
            if layer.reshape_param.axis == len(shape) - 1:
                layer.reshape_param.shape.dim[:] = [-1, 1]
        elif kind == "Slice":
            layer.type = kind
            axis = layer.slice_param.axis = draw(st.integers(0, len(shape) - 1))
            points = draw(st.sets(st.integers(1, shape[axis] - 1), max_size=3)) if shape[axis] > 1 else set()
            layer.slice_param.slice_point.extend(sorted(points))
            layer.top.extend(f"{name}_{piece}" for piece in range(len(points)))
        elif kind == "Tile":
            layer.type = kind
            layer.tile_param.axis = draw(st.integers(0, len(shape) - 1))
            layer.tile_param.tiles = draw(st.integers(1, 3))
        elif kind == "SPP":
            layer.type = kind
            layer.spp_param.pyramid_height = draw(st.integers(1, 3))
        elif kind == "SE":
            layer.type = "Pooling"
            layer.pooling_param.pool = 1
            layer.pooling_param.global_pooling = True
            gate = net.layer.add(name=f"gate{index}", type="Reshape", bottom=[name], top=[f"{name}_gate"])
            gate.reshape_param.shape.dim.extend([0, 0])
            net.layer.add(
                name=f"se{index}", type="Scale", bottom=[bottom, f"{name}_gate"], top=[f"{name}_se"]
            ).scale_param.axis = 0
        elif kind == "Pooling":
            layer.type = kind
            parameters = layer.pooling_param
            parameters.pool = draw(st.integers(0, 1))
            parameters.kernel_h, parameters.kernel_w = draw(st.integers(1, 5)), draw(st.integers(1, 5))
            parameters.stride_h, parameters.stride_w = draw(st.integers(1, 4)), draw(st.integers(1, 4))
            parameters.pad_h = draw(st.integers(0, parameters.kernel_h - 1))
            parameters.pad_w = draw(st.integers(0, parameters.kernel_w - 1))
        else:
            layer.type = kind
            parameters = layer.convolution_param
            group = draw(st.sampled_from([each for each in range(1, shape[1] + 1) if shape[1] % each == 0]))
            parameters.group = group
            parameters.num_output = group * draw(st.integers(1, 3))
            for field in ("kernel_size", "stride", "pad", "dilation"):
                low = 0 if field == "pad" else 1
                values = draw(st.lists(st.integers(low, 3), min_size=1, max_size=2))
                getattr(parameters, field).extend(values)
            parameters.bias_term = draw(st.booleans())
        if kind == "BatchNorm" and draw(st.booleans()):
            twin = net.layer.add()
            twin.CopyFrom(layer)
            for one, phase in ((layer, TRAIN), (twin, TEST)):
                one.include.add(phase=phase)
                one.batch_norm_param.use_global_stats = phase == TEST
        try:
            Graph.build(net)
        except InputError:  # a window that does not fit, a pyramid too fine: drawn in vain
            for _ in range(3 if kind == "SE" else 1):
                del net.layer[-1]
    return to_text(net)


@pytest.mark.caffe
@pytest.mark.slow
@given(text=networks())
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_shapes_of_random_networks_equal_caffe_s(text: str, caffe_peer: CaffePeer) -> None:
    for phase in (TRAIN, TEST):
        assert_equal_to_caffe(text, phase, caffe_peer)
