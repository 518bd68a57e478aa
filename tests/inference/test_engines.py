import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.inference.deploy import read_deploy
from pyhisto.inference.engines import Batch, Engine, caffe_engine, fastest_engine, opencv_engine
from pyhisto.proto import blob_array, read_weights, write_weights
from tests.windows import windows_of

Pair = tuple[Path, Path]
EACH_ENGINE = pytest.mark.parametrize(
    "engine",
    [pytest.param(caffe_engine, marks=pytest.mark.caffe, id="caffe"), pytest.param(opencv_engine, id="opencv")],
)


def batch(count: int, size: int = 16) -> Batch:
    return np.random.default_rng(1).uniform(-120, 120, (count, 3, size, size)).astype(np.float32)


def by_hand(weights: Path, images: Batch) -> Floats:
    """The small network in numpy: convolution 5x5, ReLU, average pool 4x4, inner product, softmax."""
    (w, b), (v, c) = ([blob_array(blob) for blob in layer.blobs] for layer in read_weights(weights).layer)
    windows = windows_of(images, 5)
    convolved = np.maximum(np.einsum("nchwij,kcij->nkhw", windows, w, optimize=True) + b[:, None, None], 0)
    pooled = convolved.reshape(len(images), 4, 3, 4, 3, 4).mean(axis=(3, 5))
    scores = pooled.reshape(len(images), -1) @ v.T + c
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


@EACH_ENGINE
def test_against_numpy_in_batches_of_any_size(small: Pair, engine: Callable[..., Engine]) -> None:
    images = batch(7)
    expected = by_hand(small[1], images)
    run = engine(read_deploy(*small))
    assert_allclose(run(images), expected, atol=1e-5)
    # A smaller batch after a larger one: no row of the larger one is left.
    assert_allclose(run(images[5:]), expected[5:], atol=1e-5)
    assert_allclose(run(images[:1]), expected[:1], atol=1e-5)


@pytest.mark.caffe
def test_engines_agree_on_the_inception_sep_network(narrow: Pair) -> None:
    deploy = read_deploy(*narrow)
    images = batch(3, 224)
    by_caffe, by_opencv = caffe_engine(deploy)(images), opencv_engine(deploy)(images)
    assert by_caffe.shape == (3, 2) and np.ptp(by_caffe[:, 1]) > 0
    # Both round by Winograd's products, each in its own way, and random weights amplify it.
    assert_allclose(by_opencv, by_caffe, atol=3e-5)


def test_what_is_found_in_a_deploy_file(narrow: Pair) -> None:
    deploy = read_deploy(*narrow)
    assert (deploy.input, deploy.shape, deploy.output, deploy.classes) == ("data", (3, 224, 224), "prob", 2)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('type: "Softmax"', 'type: "Sigmoid"', "does not end in a Softmax"),
        ("num_output: 4", "num_output: 5", "layer 'conv': weight blob 0 is 4x3x5x5, but .* needs 5x3x5x5"),
        ('name: "ip"', 'name: "ip2"', "has no weights for 1 layers of .*deploy.prototxt: ip2;"),
        (
            'type: "ReLU"',
            'type: "Relu"',
            "the shape of its output is not known: layer 'relu' is of the unknown type 'Relu'",
        ),
        ("layer {", "layers {", "not a valid NetParameter prototxt|layers"),
        ("dim: 16 dim: 16", "dim: 16", "takes a blob of 4 axes"),
        ('bottom: "data"', 'bottom: "image"', "nothing before it makes its bottom 'image'"),
    ],
)
def test_networks_and_weights_that_do_not_fit(small: Pair, old: str, new: str, complaint: str) -> None:
    edit(small[0], old, new)
    with pytest.raises(InputError, match=complaint) as caught:
        read_deploy(*small)
    assert "\n" not in str(caught.value)


def test_a_network_for_one_image_only(small: Pair) -> None:
    flatten = (
        'layer { name: "flat" type: "Reshape" bottom: "pool" top: "flat" reshape_param { shape { dim: 1 dim: -1 } } }\n'
    )
    classifier = 'layer { name: "ip" type: "InnerProduct" bottom: '
    edit(small[0], f'{classifier}"pool"', f'{flatten}{classifier}"flat"')
    with pytest.raises(InputError):
        read_deploy(*small)


def test_truncated_weights(small: Pair) -> None:
    data = small[1].read_bytes()
    small[1].write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError):
        read_deploy(*small)


def test_hdf5_weights_in_opencv(small: Pair) -> None:
    images = batch(2)
    path = small[1].with_suffix(".caffemodel.h5")
    write_weights(path, read_weights(small[1]))
    assert_allclose(opencv_engine(read_deploy(small[0], path))(images), by_hand(small[1], images), atol=1e-5)


def test_a_layer_without_a_name_in_opencv(small: Pair) -> None:
    """OpenCV, asked for the output of a layer with no name, gives the network's input."""
    edit(small[0], 'name: "prob" ', "")
    engine = opencv_engine(read_deploy(*small))
    with pytest.raises(InputError, match="the engine makes 3x3x16x16 of it, not 3x2; try another --engine"):
        engine(batch(3))


def test_opencv_refuses_python_layers(small: Pair) -> None:
    python = (
        'layer { name: "sep" type: "Python" bottom: "pool" top: "pool2" python_param { module: "m" layer: "L" } }\n'
    )
    edit(small[0], 'layer { name: "ip"', python + 'layer { name: "ip"')
    with pytest.raises(InputError, match="OpenCV cannot run the Python layer sep"):
        opencv_engine(read_deploy(*small))


@pytest.mark.caffe
def test_a_gpu_that_is_not_there_is_an_error_and_no_abort(small: Pair) -> None:
    with pytest.raises(
        InputError, match=r"--gpu 99, but (Caffe .* was built for the CPU alone|no card is|there is no card 99)"
    ):
        caffe_engine(read_deploy(*small), 99)


def test_auto_is_onnx_runtime_with_proof_else_what_comes_next(small: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy, images = read_deploy(*small), batch(3)
    name, run, why = fastest_engine(deploy)
    assert (name, why) == ("onnx", "")
    assert_allclose(run(images), by_hand(small[1], images), atol=1e-5)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as if it were not installed
    name, run, why = fastest_engine(deploy)
    assert name == ("caffe" if importlib.util.find_spec("caffe") else "opencv") and "onnxruntime" in why
    assert_allclose(run(images), by_hand(small[1], images), atol=1e-5)
