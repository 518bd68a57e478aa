"""Layer types of forks: shapes worked out by hand from their public definitions, and what does not fit them."""

from pathlib import Path

import pytest

from pyhisto.cost import layer_costs, total_cost
from pyhisto.graph.fork_types import FORK_TYPES
from pyhisto.proto import NetParameter, read_net, to_text
from tests.one_layer import build, layer, net

IMAGES = "2,6,8,9"
SSD = "min_size: 30 max_size: 60 aspect_ratio: 2 "
REGIONS = "roi_pooling_param { pooled_h: 7 pooled_w: 6 spatial_scale: 0.0625 }"
SENSITIVE = "psroi_pooling_param { output_dim: 2 group_size: 3 spatial_scale: 0.0625 }"
DEPTHWISE = "convolution_param { num_output: 6 kernel_size: 3 pad: 1 stride: 2 }"

# (type, its prototxt, the shape of its top, the shapes of its weight blobs)
CASES = [
    # Ratios 1, 2, 1/2 with one min_size, and one more box for the max_size: 4 a position.
    ("PriorBox", net(layer("PriorBox", f"prior_box_param {{ {SSD} }}", "a b"), a=IMAGES, b=IMAGES), (1, 2, 1152), ()),
    # Not flipped: 1 and 2, and the max_size.
    (
        "PriorBox",
        net(layer("PriorBox", f"prior_box_param {{ {SSD} flip: false }}", "a b"), a=IMAGES, b=IMAGES),
        (1, 2, 4 * 3 * 72),
        (),
    ),
    # A ratio of 1 is there already, and 2 twice: 1, 2, 1/2, each with two sizes.
    (
        "PriorBox",
        net(
            layer(
                "PriorBox",
                "prior_box_param { min_size: 3 min_size: 5 aspect_ratio: 1 aspect_ratio: 2 aspect_ratio: 2 }",
                "a b",
            ),
            a=IMAGES,
            b=IMAGES,
        ),
        (1, 2, 4 * 6 * 72),
        (),
    ),
    (
        "PriorBoxClustered",
        net(
            layer("PriorBoxClustered", "prior_box_param { width: 9.4 width: 25 height: 15 height: 39 }", "a b"),
            a=IMAGES,
            b=IMAGES,
        ),
        (1, 2, 4 * 2 * 72),
        (),
    ),
    ("DetectionOutput", net(layer("DetectionOutput", "", "a b c"), a="1,8", b="1,4", c="1,2,8"), (1, 1, 1, 7), ()),
    ("YoloDetectionOutput", net(layer("YoloDetectionOutput"), a=IMAGES), (1, 1, 1, 7), ()),
    ("Yolov3DetectionOutput", net(layer("Yolov3DetectionOutput", "", "a b"), a=IMAGES, b=IMAGES), (1, 1, 1, 7), ()),
    ("MultiBoxLoss", net(layer("MultiBoxLoss", "", "a b c d"), a="1,8", b="1,4", c="1,2,8", d="1,1,1,8"), (), ()),
    (
        "Permute",
        net(layer("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"), a=IMAGES),
        (2, 8, 9, 6),
        (),
    ),
    ("Normalize", net(layer("Normalize", "norm_param { channel_shared: false }"), a=IMAGES), (2, 6, 8, 9), ((6,),)),
    ("Normalize", net(layer("Normalize"), a=IMAGES), (2, 6, 8, 9), ((),)),
    ("Interp", net(layer("Interp", "interp_param { height: 5 width: 4 }"), a=IMAGES), (2, 6, 5, 4), ()),
    # 8 + 7 (2 - 1), 9 + 8 (2 - 1)
    ("Interp", net(layer("Interp", "interp_param { zoom_factor: 2 }"), a=IMAGES), (2, 6, 15, 17), ()),
    # (8 - 1) / 3 + 1, (9 - 1) / 3 + 1
    ("Interp", net(layer("Interp", "interp_param { shrink_factor: 3 }"), a=IMAGES), (2, 6, 3, 3), ()),
    ("Interp", net(layer("Interp", "interp_param { pad_beg: 0 }", "a b"), a=IMAGES, b="2,3,16,17"), (2, 6, 16, 17), ()),
    ("Upsample", net(layer("Upsample", "upsample_param { scale: 2 }"), a=IMAGES), (2, 6, 16, 18), ()),
    # SegNet's scale and shift; yjxiong/caffe's slope, bias, mean and variance.
    ("BN", net(layer("BN", "bn_param { bn_mode: INFERENCE }"), a=IMAGES), (2, 6, 8, 9), ((1, 6, 1, 1),) * 2),
    (
        "BN",
        net(layer("BN", "bn_param { slope_filler { value: 1 } frozen: true }"), a=IMAGES),
        (2, 6, 8, 9),
        ((1, 6, 1, 1),) * 4,
    ),
    (
        "Upsample",  # SegNet's, with a mask, one row less
        net(layer("Upsample", "upsample_param { scale: 2 pad_out_h: true }", "a b"), a=IMAGES, b=IMAGES),
        (2, 6, 15, 18),
        (),
    ),
    (
        "Upsample",
        net(layer("Upsample", "upsample_param { upsample_h: 45 upsample_w: 60 }", "a b"), a=IMAGES, b=IMAGES),
        (2, 6, 45, 60),
        (),
    ),
    ("Reorg", net(layer("Reorg", "reorg_param { stride: 2 }"), a="2,6,8,10"), (2, 24, 4, 5), ()),
    ("Reorg", net(layer("Reorg", "reorg_param { stride: 2 reverse: true }"), a="2,24,4,5"), (2, 6, 8, 10), ()),
    ("ShuffleChannel", net(layer("ShuffleChannel", "shuffle_channel_param { group: 3 }"), a=IMAGES), (2, 6, 8, 9), ()),
    (
        "CropCenter",
        net(layer("CropCenter", "crop_center_param { crop_size: [0, 0, 2, 3] }"), a=IMAGES),
        (2, 6, 4, 3),
        (),
    ),
    ("ROIPooling", net(layer("ROIPooling", REGIONS, "a b"), a=IMAGES, b="5,5"), (5, 6, 7, 6), ()),
    ("ROIAlign", net(layer("ROIAlign", REGIONS, "a b"), a=IMAGES, b="5,5"), (5, 6, 7, 6), ()),
    ("PSROIPooling", net(layer("PSROIPooling", SENSITIVE, "a b"), a="1,18,8,9", b="5,5"), (5, 2, 3, 3), ()),
    ("PSROIAlign", net(layer("PSROIAlign", SENSITIVE, "a b"), a="1,18,8,9", b="5,5"), (5, 2, 3, 3), ()),
    ("Axpy", net(layer("Axpy", "", "a b c"), a="2,6,1,1", b=IMAGES, c=IMAGES), (2, 6, 8, 9), ()),
    *(
        (kind, net(layer(kind, DEPTHWISE), a=IMAGES), (2, 6, 4, 5), ((6, 1, 3, 3), (6,)))
        for kind in ("ConvolutionDepthwise", "DepthwiseConv", "DepthwiseConvolution")
    ),
    *((kind, net(layer(kind), a=IMAGES), (2, 6, 8, 9), ()) for kind in ("ReLU6", "HardSwish", "HardSigmoid", "Mish")),
]


@pytest.mark.parametrize(("kind", "text", "shape", "weights"), CASES, ids=[case[0] for case in CASES])
def test_shapes(kind: str, text: str, shape: tuple[int, ...], weights: tuple[tuple[int, ...], ...]) -> None:
    node = build(text).node("l")
    assert (node.type, node.foreign) == (kind, "")
    assert node.tops[0].shape == shape
    assert node.param_shapes == weights


def test_every_type_is_tried() -> None:
    assert {case[0] for case in CASES} == FORK_TYPES.keys()


@pytest.mark.parametrize(
    ("kind", "more", "bottom", "complaint"),
    [
        ("Upsample", "upsample_param { }", IMAGES, "gives neither a size nor a scale"),
        ("Interp", "interp_param { }", IMAGES, "gives neither a size nor a factor"),
        ("ShuffleChannel", "shuffle_channel_param { group: 4 }", IMAGES, "do not split into 4 groups"),
        ("Reorg", "reorg_param { stride: 2 }", IMAGES, "does not divide by stride 2"),
        ("Permute", "permute_param { order: 7 }", IMAGES, "its order is no order of axes"),
        ("PriorBox", "", IMAGES, "has 1 bottoms where 2 are needed"),
        ("CropCenter", "crop_center_param { crop_size: 1 }", IMAGES, "needs a crop_size for each of 4 axes, not 1"),
        ("CropCenter", "crop_center_param { crop_size: [0, 0, 4, 0] }", IMAGES, "which Caffe cannot hold"),
    ],
)
def test_what_does_not_fit_the_public_definition_is_foreign(kind: str, more: str, bottom: str, complaint: str) -> None:
    node = build(net(layer(kind, more), a=bottom)).node("l")
    assert node.foreign.startswith(f"layer 'l' ({kind}) does not fit the public definition of its type: ")
    assert complaint in node.foreign
    assert node.tops[0].shape is None and node.tops[0].unknown == node.foreign


def test_the_cost_of_a_depthwise_convolution_is_its_own() -> None:
    # 2 x 9 per output number, 6 x 4 x 5 of them; 54 weights and 6 biases.
    cost = total_cost(layer_costs(build(net(layer("DepthwiseConvolution", DEPTHWISE), a="1,6,8,9"))))
    assert (cost.flops, cost.weights) == (2 * 9 * 6 * 4 * 5, 60)


def test_the_depthwise_group_is_not_written_into_the_network(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(net(layer("DepthwiseConv", DEPTHWISE), a=IMAGES))
    given = read_net(path)
    before = NetParameter.FromString(given.SerializeToString())
    build(to_text(given))
    assert given == before
