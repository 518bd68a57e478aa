"""Every layer type in ONNX Runtime against real Caffe, over Caffe's whole range of settings, and by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.onnx.export import Export, export
from pyhisto.onnx.layers import LAYER_FUNCTIONS
from pyhisto.onnx.proof import prove
from pyhisto.onnx.runtime import runner
from pyhisto.proto import NetParameter
from tests.layer_cases import CASES, IMAGES
from tests.networks import random_weights
from tests.one_layer import build, layer, net


def exported(text: str) -> Export:
    graph = build(text)
    return export(graph, random_weights([graph]), "net.caffemodel")


def outputs(text: str, **inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
    """The outputs of a network without weights, in ONNX Runtime."""
    model = exported(text).model
    names = [output.name for output in model.graph.output]
    values = runner(model)({name: np.asarray(each, np.float32) for name, each in inputs.items()}, names)
    return [values[name] for name in names]


ORDER = "order: 0 order: 2"


def difference_from_caffe(text: str) -> float:
    graph = build(text)
    weights = random_weights([graph])
    made = export(graph, weights, "net.caffemodel")
    engine = "caffe"
    if "Permute" in text:  # a layer of SSD's, which BVLC's Caffe lacks, and of which OpenCV wants the whole order
        whole, engine = build(text.replace(ORDER, f"{ORDER} order: 1 order: 3")), "opencv"
        made = Export(made.model, export(whole, weights, "net.caffemodel").network, made.tensors)
    proof = prove(made, weights, "net.prototxt")
    assert proof is not None and proof.engine == engine
    return proof.largest_difference


REFUSED = {
    "kernel is larger than its padded bottom",
    "its channels are axis 2",
    "takes a window past the end of the bottom",
    "its second top, cannot be had",
    "the size of its weights depends on the number of images",
    "do not split evenly",
    "hold different numbers of elements",
}


def behind(kind: str, text: str) -> str:
    """The same behind another layer: a logarithm needs numbers above 0, an exponential small ones."""
    return text.replace('bottom: "a"', 'bottom: "s"').replace(
        'layer { name: "l"', f'layer {{ name: "before" type: "{kind}" bottom: "a" top: "s" }}\nlayer {{ name: "l"'
    )


BEFORE = {"Exp": "Sigmoid", "Log": "AbsVal"}


@pytest.mark.caffe
def test_every_layer_type_in_its_every_form() -> None:
    tried, refused = set(), set()
    for kind, text, *_ in CASES:
        if kind not in LAYER_FUNCTIONS:
            continue
        try:
            assert difference_from_caffe(behind(BEFORE[kind], text) if kind in BEFORE else text) < 2e-6, text
            tried.add(kind)
        except InputError as error:
            refused |= {complaint for complaint in REFUSED if complaint in str(error)} or {str(error)}
    assert tried == set(LAYER_FUNCTIONS)
    assert refused == REFUSED


SETTINGS = [
    layer("ReLU", "relu_param { negative_slope: 0.2 }"),
    layer("ELU", "elu_param { alpha: 0.5 }"),
    layer("Power", "power_param { power: 2 scale: 0.5 shift: -3 }"),
    layer("Power", "power_param { power: 0 }"),
    layer("Power", "power_param { scale: 3 }"),
    behind("Sigmoid", layer("Power", "power_param { power: -0.75 shift: 0.1 }")),
    behind("Sigmoid", layer("Exp", "exp_param { base: 2 scale: -3 shift: 0.5 }")),
    behind("Sigmoid", layer("Exp", "exp_param { scale: 2 shift: 1 }")),
    behind("AbsVal", layer("Log", "log_param { base: 10 scale: 2 shift: 1 }")),
    layer("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.6 k: 2 norm_region: ACROSS_CHANNELS }"),
    layer("LRN", "lrn_param { local_size: 5 alpha: 0.5 beta: 0.6 norm_region: WITHIN_CHANNEL }"),
    layer("Softmax", "softmax_param { axis: 2 }"),
    layer("Eltwise", "eltwise_param { coeff: 2 coeff: -0.5 coeff: 1 }", "a b a"),
    layer("Eltwise", "eltwise_param { operation: PROD }", "a b a"),
    layer("Eltwise", "eltwise_param { operation: MAX }", "a b"),
    layer("Permute", f"permute_param {{ {ORDER} }}"),
    layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 3 } axis: 0 num_axes: 3 }"),
    layer("Reshape", "reshape_param { shape { dim: -1 dim: 54 } }"),
    layer("Flatten", "flatten_param { axis: 1 end_axis: 2 }"),
    layer("Flatten", "flatten_param { axis: 0 }"),
    layer("InnerProduct", "inner_product_param { num_output: 4 axis: 2 bias_term: false }"),
    layer("InnerProduct", "inner_product_param { num_output: 4 axis: -1 transpose: true }"),
    layer("Scale", "scale_param { axis: 2 num_axes: 1 bias_term: true }"),
    layer("Scale", "scale_param { axis: 1 num_axes: -1 }"),
    layer("Bias", "bias_param { axis: -1 }"),
    layer("PReLU", "prelu_param { channel_shared: true }"),
    layer("Slice", "slice_param { axis: 1 slice_point: 1 slice_point: 4 }", "a", "t u v"),
    layer("Concat", "concat_param { axis: 0 }", "a b"),
    layer("BatchNorm", "batch_norm_param { eps: 0.1 }"),
    layer("Pooling", "pooling_param { global_pooling: true }"),
    layer("Pooling", "pooling_param { global_pooling: true pool: AVE }"),
]


@pytest.mark.caffe
@pytest.mark.parametrize("body", SETTINGS)
def test_settings(body: str) -> None:
    both = 'bottom: "b"' in body
    # Caffe's LRN adds the next channel's square and takes the last one's away again, and so rounds more.
    allowed = 5e-5 if "ACROSS" in body else 1e-6
    assert difference_from_caffe(net(body, a=IMAGES, **({"b": IMAGES} if both else {}))) < allowed


@pytest.mark.caffe
@pytest.mark.parametrize("gate", ["2,6", "2", "2,6,8", "2,6,8,9"])
def test_a_gate_of_any_rank(gate: str) -> None:
    scaled = layer("Scale", "scale_param { axis: 0 }", "a b", "u")
    biased = layer("Bias", "bias_param { axis: 0 }", "u b", "t")
    assert difference_from_caffe(net(scaled + biased.replace('"l"', '"m"'), a=IMAGES, b=gate)) < 1e-6


def pair(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    """Height and width."""
    return st.tuples(st.integers(low, high), st.integers(low, high))


@pytest.mark.caffe
@settings(max_examples=100)
@given(
    pair(1, 9), pair(1, 5), pair(1, 4), pair(0, 3), st.sampled_from(["MAX", "AVE"]), st.booleans(),
)  # fmt: skip
def test_pooling_of_any_geometry(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int], pool: str, up: bool
) -> None:
    fields = [("kernel", kernel), ("stride", stride), ("pad", pad)]
    geometry = " ".join(f"{name}_h: {h} {name}_w: {w}" for name, (h, w) in fields)
    text = net(
        layer("Pooling", f"pooling_param {{ pool: {pool} {geometry} round_mode: {'CEIL' if up else 'FLOOR'} }}"),
        a=f"2,2,{size[0]},{size[1]}",
    )
    try:
        build(text)  # what Caffe refuses
    except InputError:
        assume(False)
    try:
        assert difference_from_caffe(text) < 1e-6
    except InputError as error:
        assert "past the end of the bottom" in str(error)
        assert any(k < s for k, s in zip(kernel, stride, strict=True)) and pad == (0, 0)


@pytest.mark.caffe
@settings(max_examples=50)
@given(
    pair(1, 9), pair(1, 3), pair(1, 3), pair(0, 2), pair(1, 3),
    st.sampled_from([1, 2, 6]), st.sampled_from(["Convolution", "Deconvolution"]), st.booleans(),
)  # fmt: skip
def test_convolution_of_any_geometry(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int],
    dilation: tuple[int, int], group: int, kind: str, bias: bool,
) -> None:  # fmt: skip
    geometry = " ".join(
        f"{name}: {h} {name}: {w}"
        for name, (h, w) in [("kernel_size", kernel), ("stride", stride), ("pad", pad), ("dilation", dilation)]
    )
    fields = f"num_output: 12 group: {group} bias_term: {str(bias).lower()} {geometry}"
    text = net(layer(kind, f"convolution_param {{ {fields} }}"), a=f"2,6,{size[0]},{size[1]}")
    try:
        build(text)
    except InputError:
        assume(False)
    try:
        assert difference_from_caffe(text) < 2e-6
    except InputError as error:
        assert "kernel is larger than its padded bottom" in str(error)


def test_an_average_counts_the_padding_that_was_asked_for() -> None:
    text = net(layer("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"), a="1,1,4,4")
    (top,) = outputs(text, a=np.ones((1, 1, 4, 4)))
    # ceil((4 + 2 - 3) / 2) + 1 = 3 windows from -1, 1 and 3. The first holds 2 of its 3 numbers, the second all 3. The
    # third ends at 4 + 1, where the padding does: 1 number by 2, not by 3.
    along = np.array([2 / 3, 1, 1 / 2])
    assert_allclose(top[0, 0], np.outer(along, along), rtol=1e-6)


def test_a_last_window_in_the_padding_is_dropped() -> None:
    text = net(layer("Pooling", "pooling_param { kernel_size: 2 stride: 2 pad: 1 }"), a="1,1,3,1")
    (top,) = outputs(text, a=np.array([[[[-1], [-2], [-3]]]]))
    # Down, ceil((3 + 2 - 2) / 2) + 1 = 3 windows from -1, 1 and 3: the third would begin behind the bottom, and goes.
    # Across, ceil((1 + 2 - 2) / 2) + 1 = 2 windows from -1 and 1: the second goes too.
    assert_allclose(top[0, 0], [[-1], [-2]])


def test_batch_norm_divides_its_statistics_by_their_factor() -> None:
    graph = build(net(layer("BatchNorm", "batch_norm_param { eps: 0 }"), a="1,1,1,2"))
    weights = NetParameter()
    stored = weights.layer.add(name="l", type="BatchNorm")
    for values in (6.0, 32.0, 2.0):  # mean 3, variance 16
        blob = stored.blobs.add(data=np.float32(values).tobytes())
        blob.shape.dim.append(1)
    run = runner(export(graph, weights, "w").model)
    assert_allclose(run({"a": np.array([[[[3, 11]]]], np.float32)}, ["t"])["t"], [[[[0, 2]]]])


MAX, STOCHASTIC = "pooling_param { kernel_size: 2 }", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"


@pytest.mark.parametrize(
    ("complaint", "body"),
    [
        (r"layer 'l' \(Reduction\): has no counterpart in ONNX", layer("Reduction")),
        (r"layer 'l' \(Pooling\): .*: stochastic", layer("Pooling", STOCHASTIC)),
        ("statistics of each batch", layer("BatchNorm", "batch_norm_param { use_global_stats: false }")),
        ("works in place, which Caffe computes wrongly", layer("Pooling", MAX, "a", "a")),
        ("its base is 0", layer("Exp", "exp_param { base: 0 }")),
        ("no logarithm to the base 1", layer("Log", "log_param { base: 1 }")),
        ("depends on the number of images", layer("InnerProduct", "inner_product_param { num_output: 2 axis: 0 }")),
        ("depends on the number of images", layer("Slice", "slice_param { axis: 0 slice_point: 1 }", "a", "t u")),
        (
            "tried on .2, 3",
            layer("Reshape", "reshape_param { shape { dim: 2 dim: -1 } }")
            + layer("Eltwise", "", "t b", "u").replace('"l"', '"m"'),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_is_refused_by_name(complaint: str, body: str) -> None:
    inputs = {"a": IMAGES} | ({"b": "2,432"} if 'bottom: "b"' in body else {})
    with pytest.raises(InputError, match=complaint) as caught:
        exported(net(body, **inputs))
    assert str(caught.value).startswith("net.prototxt: layer '") and "\n" not in str(caught.value)
