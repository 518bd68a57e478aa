"""Every layer type: shapes worked out by hand, the same shapes asked of real Caffe, and what both refuse."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import h5py
import lmdb
import numpy as np
import pytest

from pyhisto import pycaffe
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.graph.sources import SOURCES
from pyhisto.graph.types import CAFFE_TYPES
from pyhisto.proto import TEST, TRAIN, Datum
from tests.graph_caffe_peer import CaffePeer, Shapes
from tests.layer_cases import CASES, IMAGES
from tests.one_layer import build, layer, net


def shape(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(",") if size != ".")


@pytest.fixture(scope="module")
def caffe_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaffePeer]:
    peer = CaffePeer(tmp_path_factory.mktemp("caffe"))
    yield peer
    peer.close()


@pytest.mark.parametrize(("kind", "text", "tops", "params"), CASES, ids=[case[0] for case in CASES])
def test_shapes_worked_out_by_hand(kind: str, text: str, tops: list[str], params: list[str]) -> None:
    graph = build(text)
    node = graph.node("l")
    assert node.type == kind
    assert [blob.shape for blob in node.tops if blob.name != "(automatic)"][: len(tops)] == [shape(top) for top in tops]
    assert node.param_shapes == tuple(map(shape, params))


@pytest.mark.caffe
def test_shapes_equal_caffe_s(caffe_peer: CaffePeer) -> None:
    known = set(pycaffe.load().layer_type_list())
    for kind, text, _, _ in CASES:
        if kind in known:
            assert_equal_to_caffe(build(text), caffe_peer.shapes(text, TEST), text)
    assert {kind for kind, *_ in CASES} - known == {"Normalize", "Permute", "SmoothL1Loss"}  # SSD's; above, by hand


def assert_equal_to_caffe(graph: Graph, answer: Shapes | None, text: str) -> None:
    assert answer is not None, f"Caffe refuses\n{text}"
    for name in {blob.name for blob in graph.blobs} - {"(automatic)"}:
        assert graph.blob(name).shape == tuple(answer["blobs"][name]), f"{name} in\n{text}"
    ours = {node.name: [list(each) for each in node.param_shapes] for node in graph.nodes if node.param_shapes}
    assert ours == answer["params"], text


def test_every_layer_type_is_tried() -> None:
    """Beside Axpy, AnnotatedData and MultiBoxLoss, which need more than Caffe 1.0, or files of annotations."""
    tried = {case[0] for case in CASES} | {"Data", "HDF5Data", "ImageData", "WindowData", "HDF5Output"}
    assert tried >= (CAFFE_TYPES.keys() | SOURCES.keys()) - {"AnnotatedData"}  # forks' types: test_fork_types.py


def test_a_loss_that_gives_its_probabilities_too() -> None:
    """Caffe 1.0 takes it; trees that hand the loss weights on to the inner Softmax refuse it, so Caffe is not asked."""
    loss = layer("SoftmaxWithLoss", "loss_weight: 1 loss_weight: 0", "a b", "t u")
    assert [blob.shape for blob in build(net(loss, a=IMAGES, b="2,8,9")).node("l").tops] == [(), (2, 6, 8, 9)]


def test_senet_s_axpy() -> None:
    text = net(layer("Axpy", bottoms="f a b"), f="2,6,1,1", a=IMAGES, b=IMAGES)
    assert build(text).blob("t").shape == (2, 6, 8, 9)
    other = build(net(layer("Axpy", bottoms="f a b"), f="2,5", a=IMAGES, b=IMAGES))
    assert "its first bottom is not 2x6" in other.node("l").foreign


CONV = "convolution_param { num_output: 4 kernel_size: 3 "
REFUSED = [
    ("num_output is missing", net(layer("Convolution", "convolution_param { kernel_size: 3 }"), a=IMAGES)),
    ("6 input channels do not split into 4 groups", net(layer("Convolution", CONV + "group: 4 }"), a=IMAGES)),
    ("num_output 4 does not split into 3 groups", net(layer("Convolution", CONV + "group: 3 }"), a=IMAGES)),
    ("kernel_size is given 0 times", net(layer("Convolution", "convolution_param { num_output: 4 }"), a=IMAGES)),
    ("either kernel_size or kernel_h", net(layer("Convolution", CONV + "kernel_h: 3 }"), a=IMAGES)),
    ("kernel_size is given 3 times", net(layer("Convolution", CONV + "kernel_size: 3 kernel_size: 3 }"), a=IMAGES)),
    ("stride is 0", net(layer("Convolution", CONV + "stride: 0 }"), a=IMAGES)),
    (
        "does not fit the bottom 1x6x1x9",
        net(layer("Convolution", CONV + "stride: 1 }"), a="1,6,1,9"),
    ),
    (
        "2 spatial axes, and there are 1",
        net(layer("Convolution", "convolution_param { num_output: 4 kernel_h: 3 kernel_w: 3 }"), a="2,3,9"),
    ),
    (
        "global_pooling takes no kernel",
        net(layer("Pooling", "pooling_param { global_pooling: true kernel_size: 3 }"), a=IMAGES),
    ),
    ("pad has to be smaller", net(layer("Pooling", "pooling_param { kernel_size: 2 pad: 2 }"), a=IMAGES)),
    ("both kernel_h and kernel_w", net(layer("Pooling", "pooling_param { kernel_h: 2 }"), a=IMAGES)),
    (
        "stochastic pooling takes no pad",
        net(layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 3 pad: 1 }"), a=IMAGES),
    ),
    (
        "only max pooling has a second top",
        net(layer("Pooling", "pooling_param { pool: AVE kernel_size: 3 }", tops="t u"), a=IMAGES),
    ),
    ("does not fit the bottom 2x6x8x8", net(layer("Pooling", "pooling_param { kernel_size: 10 }"), a="2,6,8,8")),
    ("takes a blob of 4 axes", net(layer("Pooling", "pooling_param { kernel_size: 3 }"), a="2,3")),
    ("too fine", net(layer("SPP", "spp_param { pyramid_height: 5 }"), a=IMAGES)),
    ("axis 4 is out of range", net(layer("Softmax", "softmax_param { axis: 4 }"), a=IMAGES)),
    ("local_size has to be odd", net(layer("LRN", "lrn_param { local_size: 4 }"), a=IMAGES)),
    ("differ beside axis 1", net(layer("Concat", bottoms="a b"), a=IMAGES, b="2,6,8,8")),
    ("do not split evenly into 4 tops", net(layer("Slice", tops="t u v w"), a=IMAGES)),
    (
        "need 1 slice points, not 2",
        net(layer("Slice", "slice_param { slice_point: 1 slice_point: 2 }", tops="t u"), a=IMAGES),
    ),
    ("have to rise", net(layer("Slice", "slice_param { slice_point: 2 slice_point: 2 }", tops="t u v"), a=IMAGES)),
    ("takes 7 from offset 2 out of 8", net(layer("Crop", "crop_param { offset: 2 }", "a b"), a=IMAGES, b="2,6,7,7")),
    ("only one dim can be -1", net(layer("Reshape", "reshape_param { shape { dim: -1 dim: -1 } }"), a=IMAGES)),
    ("does not divide", net(layer("Reshape", "reshape_param { shape { dim: 5 dim: -1 } }"), a=IMAGES)),
    ("different numbers of elements", net(layer("Reshape", "reshape_param { shape { dim: 5 } }"), a=IMAGES)),
    ("no axis to copy", net(layer("Reshape", "reshape_param { shape { dim: 0 dim: 0 dim: 0 } }"), a="2,3")),
    ("reaches past", net(layer("Reshape", "reshape_param { axis: 1 num_axes: 4 shape { dim: 1 } }"), a=IMAGES)),
    ("cannot work in place", net(layer("Flatten", tops="a"), a=IMAGES)),
    ("cannot work in place", net(layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", tops="a"), a=IMAGES)),
    ("end_axis lies before axis", net(layer("Flatten", "flatten_param { axis: 3 end_axis: 1 }"), a=IMAGES)),
    ("tiles is missing", net(layer("Tile"), a=IMAGES)),
    ("top_k is larger", net(layer("ArgMax", "argmax_param { axis: 1 top_k: 7 }"), a=IMAGES)),
    ("need 2 labels, not 2x2", net(layer("Accuracy", bottoms="a b"), a="2,6", b="2,2")),
    ("top_k 7 of 6 classes", net(layer("Accuracy", "accuracy_param { top_k: 7 }", "a b"), a="2,6", b="2")),
    ("differ in batch size", net(layer("SoftmaxWithLoss", bottoms="a b"), a="2,6", b="3")),
    ("need 2 labels, not 2x6", net(layer("SoftmaxWithLoss", bottoms="a b"), a="2,6", b="2,6")),
    ("differ in size", net(layer("EuclideanLoss", bottoms="a b"), a="2,6", b="2,5")),
    ("differ in shape", net(layer("SmoothL1Loss", bottoms="a b"), a="2,6", b="2,5")),
    ("are not two batches of vectors", net(layer("ContrastiveLoss", bottoms="a b c"), a="2,6", b="2,5", c="2")),
    ("one number an item", net(layer("MultinomialLogisticLoss", bottoms="a b"), a="2,6", b="2,2")),
    ("is not 6x6", net(layer("InfogainLoss", bottoms="a b c"), a="2,6", b="2", c="1,1,6,5")),
    ("which Caffe cannot hold", layer("DummyData", "dummy_data_param { shape { dim: 2 dim: 0 } }", "")),
    ("does not fit the first", net(layer("Bias", bottoms="a b"), a=IMAGES, b="5")),
    ("has 1 bottoms where 2 are needed", net(layer("EuclideanLoss"), a=IMAGES)),
    ("has 1 bottoms where 2 or more are needed", net(layer("Eltwise"), a=IMAGES)),
    (
        "has 0 bottoms where 1 are needed",
        layer("Python", 'python_param { module: "pyhisto.layers.sep" layer: "SEPLayer" }', ""),
    ),
    ("has 2 tops where 1 are needed", net(layer("ReLU", tops="t u"), a=IMAGES)),
    (
        "a product takes no coeff",
        net(layer("Eltwise", "eltwise_param { operation: PROD coeff: 1 coeff: 1 }", "a b"), a=IMAGES, b=IMAGES),
    ),
    (
        "its second bottom has to be 4x2",
        net(layer("LSTM", "recurrent_param { num_output: 5 }", "a b"), a="4,2,3", b="2,4"),
    ),
    ("which Caffe cannot hold", net(layer("InnerProduct", "inner_product_param { num_output: 4000000000 }"), a=IMAGES)),
    ("which Caffe cannot hold", net(layer("Tile", "tile_param { tiles: 2147483647 }"), a=IMAGES)),
    ("has 2 param fields for 1 weight", net(layer("Scale", "param { } param { }"), a=IMAGES)),
    ("has 2 loss_weights for 1 tops", net(layer("ReLU", "loss_weight: 1 loss_weight: 1"), a=IMAGES)),
    ("has 1 loss_weights for 2 tops", net(layer("SoftmaxWithLoss", bottoms="a b", tops="t u"), a=IMAGES, b="2,8,9")),
    ("has 2 propagate_down for 1 bottoms", net(layer("ReLU", "propagate_down: true propagate_down: true"), a=IMAGES)),
    (
        "gives 2 shapes for 3 tops",
        layer("DummyData", "dummy_data_param { shape { dim: 2 } shape { dim: 2 } }", "", "t u v"),
    ),
]


@pytest.mark.parametrize(("complaint", "text"), REFUSED)
def test_what_caffe_refuses_is_refused_by_name(complaint: str, text: str) -> None:
    with pytest.raises(InputError, match=r"^net\.prototxt: layer 'l' \(\w+\): [^\n]+$") as error:
        build(text)
    assert complaint in str(error.value)


@pytest.mark.caffe
@pytest.mark.slow
def test_caffe_refuses_them_too(caffe_peer: CaffePeer) -> None:
    for _, text in REFUSED:
        assert caffe_peer.shapes(text, TEST) is None, text


def test_eltwise_and_scale_have_to_fit() -> None:
    """Some forks of Caffe leave these checks out and read past the smaller blob's end."""
    with pytest.raises(InputError, match="its bottoms differ in shape: 2x6x8x9 and 2x6x8x8"):
        build(net(layer("Eltwise", bottoms="a b"), a=IMAGES, b="2,6,8,8"))
    with pytest.raises(InputError, match="does not fit the first"):
        build(net(layer("Scale", "scale_param { axis: 0 }", "a b"), a=IMAGES, b="2,6,1,1"))


# Layers that read files


def write_lmdb(folder: Path, datum: object) -> None:
    with lmdb.open(str(folder), map_size=1 << 20) as database, database.begin(write=True) as transaction:
        transaction.put(b"0", datum.SerializeToString())  # type: ignore[attr-defined]


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """A raw LMDB, an encoded one, an HDF5 list, an image list and a window file."""
    image = np.zeros((12, 14, 3), np.uint8)
    write_lmdb(tmp_path / "raw", Datum(channels=3, height=12, width=14, data=image.tobytes(), label=1))
    write_lmdb(tmp_path / "encoded", Datum(encoded=True, data=cv2.imencode(".png", image)[1].tobytes(), label=1))
    cv2.imwrite(str(tmp_path / "image.png"), image)
    (tmp_path / "images.txt").write_text("image.png 0\n")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["t"], file["u"] = np.zeros((9, 2, 3)), np.zeros((9,))
    (tmp_path / "hdf5.txt").write_text("data.h5\n")
    (tmp_path / "windows.txt").write_text("# 0\nimage.png\n3\n12\n14\n2\n1 1.0 0 0 5 5\n0 0.0 2 2 9 9\n")
    return tmp_path


DATA = 'data_param { source: "raw" backend: LMDB batch_size: 5 }'
FILES = [
    (layer("Data", DATA, "", "t u"), ["5,3,12,14", "5"]),
    (layer("Data", DATA, "", "t"), ["5,3,12,14"]),
    (layer("Data", DATA + " transform_param { crop_size: 8 }", "", "t u"), ["5,3,8,8", "5"]),
    (layer("Data", DATA.replace("raw", "encoded"), "", "t u"), ["5,3,12,14", "5"]),
    (
        layer("Data", DATA.replace("raw", "encoded") + " transform_param { force_gray: true }", "", "t u"),
        ["5,1,12,14", "5"],
    ),
    (layer("ImageData", 'image_data_param { source: "images.txt" batch_size: 5 }', "", "t u"), ["5,3,12,14", "5"]),
    (
        layer(
            "ImageData",
            'image_data_param { source: "images.txt" new_height: 6 new_width: 7 is_color: false }',
            "",
            "t u",
        ),
        ["1,1,6,7", "1"],
    ),
    (layer("HDF5Data", 'hdf5_data_param { source: "hdf5.txt" batch_size: 5 }', "", "t u"), ["5,2,3", "5"]),
    (
        layer(
            "WindowData",
            'window_data_param { source: "windows.txt" batch_size: 5 } transform_param { crop_size: 6 }',
            "",
            "t u",
        ),
        ["5,3,6,6", "5"],
    ),
]


@pytest.mark.parametrize(("text", "tops"), FILES)
def test_shapes_come_from_the_data(text: str, tops: list[str], data_folder: Path) -> None:
    assert [blob.shape for blob in build(text, TRAIN, data_folder).blobs] == [shape(top) for top in tops]


@pytest.mark.caffe
def test_caffe_sees_the_same_data(data_folder: Path) -> None:
    peer = CaffePeer(data_folder)
    try:
        for text, _ in FILES:
            assert_equal_to_caffe(build(text, TRAIN, data_folder), peer.shapes(text, TRAIN), text)
    finally:
        peer.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (layer("Data", DATA.replace("raw", "absent"), "", "t u"), "no LMDB can be read at 'absent'"),
        (
            layer("Data", DATA + " transform_param { crop_size: 13 }", "", "t u"),
            "the crop 13x13 is larger than the images",
        ),
        (
            layer("ImageData", 'image_data_param { source: "absent" }', "", "t u"),
            "no image can be read through 'absent'",
        ),
        (layer("HDF5Data", 'hdf5_data_param { source: "absent" }', "", "t u"), "no HDF5 data can be read"),
        (layer("HDF5Data", 'hdf5_data_param { source: "image.png" }', "", "t u"), "no HDF5 data can be read"),
        (
            layer("WindowData", 'window_data_param { source: "raw" batch_size: 5 }', "", "t u"),
            "no window file can be read",
        ),
        (layer("Input", "", "", "t u"), "the Input layer gives no shape"),
        (layer("Mystery", "", "", "t u"), "of the unknown type 'Mystery'"),
        (layer("Python", 'python_param { module: "m" layer: "L" }', "", "t u"), "is the Python layer m.L"),
    ],
)
def test_a_shape_that_cannot_be_known_has_a_reason(text: str, reason: str, data_folder: Path) -> None:
    graph = build(text + layer("ReLU", bottoms="t", tops="v").replace('"l"', '"m"'), TRAIN, data_folder)
    assert graph.blob("t").shape is None
    assert reason in graph.blob("t").unknown
    assert graph.blob("v").shape is None and graph.blob("v").unknown == graph.blob("t").unknown


def test_a_colour_crop_is_known_without_its_data() -> None:
    text = layer(
        "Data", DATA + " transform_param { crop_size: 8 mean_value: 1 mean_value: 2 mean_value: 3 }", "", "t u"
    )
    assert build(text, TRAIN).blob("t").shape == (5, 3, 8, 8)


def test_the_sep_layer_keeps_the_shape_and_other_python_layers_hide_it() -> None:
    sep = layer("Python", 'python_param { module: "pyhisto.layers.sep" layer: "SEP" }')
    assert build(net(sep, a="2,6")).blob("t").shape == (2, 6)
    other = build(net(sep.replace("pyhisto.layers.sep", "mine"), a="2,6"))
    assert other.blob("t").shape is None and other.node("l").param_shapes is None
