"""Layer types of Caffe's forks in ONNX Runtime: against numpy by their definitions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.onnx.export import export
from pyhisto.onnx.fork_layers import FORK_FUNCTIONS
from pyhisto.onnx.proof import prove
from pyhisto.onnx.runtime import runner
from pyhisto.proto import layer_blobs
from tests.networks import random_weights
from tests.one_layer import build, layer, net

Values = NDArray[Any]
IMAGES = "2,6,8,9"


def clipped(x: Values) -> Values:
    return np.clip(x, 0, 6)


def shuffled(x: Values) -> Values:
    """Three groups of two: 0 1 | 2 3 | 4 5 becomes 0 2 4 1 3 5."""
    return x[:, [0, 2, 4, 1, 3, 5]]


def bilinear(x: Values, height: int, width: int) -> Values:
    """Between the corner pixels."""
    for axis, size in ((2, height), (3, width)):
        place = np.linspace(0, x.shape[axis] - 1, size)
        low = np.minimum(place.astype(int), x.shape[axis] - 2)
        share = (place - low).reshape(-1, *[1] * (3 - axis))
        x = np.take(x, low, axis) * (1 - share) + np.take(x, low + 1, axis) * share
    return x


def depthwise(x: Values, weights: list[Values]) -> Values:
    """3 x 3, padded by 1."""
    kernel, bias = weights
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    shifted = (padded[:, :, i : i + height, j : j + width] * kernel[:, 0, i, j, None, None]
               for i in range(3) for j in range(3))  # fmt: skip
    return sum(shifted, bias[:, None, None])


def lengths(x: Values, axes: tuple[int, ...]) -> Values:
    return np.asarray(np.sqrt((x**2).sum(axes, keepdims=True) + 1e-10))


def batch_normalised(x: Values, weights: list[Values]) -> Values:
    slope, bias, mean, variance = (each.reshape(-1, 1, 1) for each in weights)
    return np.asarray(slope * (x - mean) / np.sqrt(variance + 1e-5) + bias)


KERNEL = "convolution_param { num_output: 6 kernel_size: 3 pad: 1 }"
CASES: list[tuple[str, Callable[[Values, list[Values]], Values]]] = [
    *((layer(kind, KERNEL), depthwise) for kind in ("ConvolutionDepthwise", "DepthwiseConv", "DepthwiseConvolution")),
    (layer("BN", "bn_param { frozen: true }"), batch_normalised),
    (layer("BN", "bn_param { bn_mode: INFERENCE }"),
     lambda x, w: x * w[0].reshape(-1, 1, 1) + w[1].reshape(-1, 1, 1)),
    (layer("CropCenter", "crop_center_param { crop_size: [0, 0, 2, 1] }"), lambda x, _: x[:, :, 2:-2, 1:-1]),
    (layer("HardSwish"), lambda x, _: x * clipped(x + 3) / 6),
    (layer("Interp", "interp_param { height: 5 width: 20 }"), lambda x, _: bilinear(x, 5, 20)),
    (layer("Interp", "interp_param { zoom_factor: 2 pad_beg: -1 pad_end: -2 }"),
     lambda x, _: bilinear(x[:, :, 1:-2, 1:-2], 9, 11)),
    (layer("Mish"), lambda x, _: x * np.tanh(np.log1p(np.exp(x)))),
    (layer("Normalize"), lambda x, w: x / lengths(x, (1, 2, 3)) * w[0]),
    (layer("Normalize", "norm_param { across_spatial: false channel_shared: false }"),
     lambda x, w: x / lengths(x, (1,)) * w[0][:, None, None]),
    (layer("ReLU6"), lambda x, _: clipped(x)),
    (layer("ShuffleChannel", "shuffle_channel_param { group: 3 }"), lambda x, _: shuffled(x)),
    (layer("Upsample", "upsample_param { scale: 3 }"), lambda x, _: x.repeat(3, 2).repeat(3, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CASES)
def test_a_layer_computes_its_definition(body: str, expected: Callable[[Values, list[Values]], Values]) -> None:
    graph = build(net(body, a=IMAGES))
    weights = random_weights([graph])
    made = export(graph, weights, "net.caffemodel")
    for count in (1, 2, 3):  # the number of images is open
        x = 3 * np.random.default_rng(count).standard_normal((count, 6, 8, 9)).astype(np.float32)
        stored = [blob.astype(np.float64) for blob in layer_blobs(weights).get("l", [])]
        assert_allclose(runner(made.model)({"a": x}, ["t"])["t"], expected(x.astype(np.float64), stored), 1e-4, 1e-5)


@pytest.mark.parametrize("factor", ["2,6", "2,6,1,1"])
def test_axpy(factor: str) -> None:
    made = export(build(net(layer("Axpy", bottoms="f a b"), f=factor, a=IMAGES, b=IMAGES)), random_weights([]), "w")
    rng = np.random.default_rng(0)
    f, x, y = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 6, 1, 1), (2, 6, 8, 9), (2, 6, 8, 9)))
    given = f.reshape([int(size) for size in factor.split(",")])
    assert_allclose(runner(made.model)({"f": given, "a": x, "b": y}, ["t"])["t"], f * x + y, 1e-6, 1e-6)


@pytest.mark.caffe
def test_the_proof_runs_them_in_the_engines_words() -> None:
    """Caffe runs what can be said in its own layers; of the others OpenCV has all but two."""
    proved, unproved = {}, []
    for body, _ in CASES:
        graph = build(net(body, a=IMAGES))
        weights = random_weights([graph])
        proof = prove(export(graph, weights, "net.caffemodel"), weights, "net.prototxt")
        if proof is None:
            unproved.append(body)
            continue
        assert proof.largest_difference < 1e-5, body
        proved[graph.nodes[-1].type] = proof.engine
    assert unproved == [layer("BN", "bn_param { frozen: true }"), layer("Normalize")]
    assert {kind for kind, engine in proved.items() if engine == "opencv"} == {"Interp", "Mish", "Normalize"}


def test_every_type_is_tried() -> None:
    assert {build(net(body, a=IMAGES)).nodes[-1].type for body, _ in CASES} | {"Axpy"} == set(FORK_FUNCTIONS)


@pytest.mark.parametrize(
    ("complaint", "body"),
    [
        ("set bn_mode: INFERENCE", layer("BN", "bn_param { scale_filler { value: 1 } }")),
        ("pooling's mask", layer("Upsample", "upsample_param { scale: 2 }", "a b")),
        ("set pad_beg and pad_end to 0", layer("Interp", "interp_param { height: 5 width: 5 pad_beg: 1 }")),
        ("does not fit the public definition", layer("ReLU6", bottoms="a b")),
        ("no whole multiple", layer("Upsample", "upsample_param { upsample_h: 9 upsample_w: 9 }")),
    ],
)
def test_what_cannot_be_expressed_is_refused(complaint: str, body: str) -> None:
    graph = build(net(body, a=IMAGES, **({"b": IMAGES} if 'bottom: "b"' in body else {})))
    with pytest.raises(InputError, match=complaint):
        export(graph, random_weights([graph]), "net.caffemodel")
