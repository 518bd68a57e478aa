"""Weights, FLOPs and activation memory, against counts worked out by hand."""

from pathlib import Path

import pytest

from pyhisto.cost import Cost, as_json, as_table, layer_costs, total_cost
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.proto import NetParameter, parse_text, read_net


def costs_of(text: str, batch: int = 1, shape: str = "3,8,8") -> dict[str, Cost]:
    dims = "".join(f"dim: {size} " for size in [str(batch), *shape.split(",")])
    text = f'layer {{ name: "in" type: "Input" top: "a" input_param {{ shape {{ {dims} }} }} }}\n{text}'
    graph = Graph.build(parse_text(text, NetParameter, Path("net.prototxt")), source="net.prototxt")
    return {layer.name: layer.cost for layer in layer_costs(graph)}


def layer(kind: str, more: str = "", bottom: str = "a", top: str = "t", name: str = "l") -> str:
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{top}" {more} }}\n'


@pytest.mark.parametrize("batch", [1, 10])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (  # 4 x 3 x 3 x 3 + 4 weights; 6 x 6 outputs of 4 channels, each a sum over 3 x 3 x 3
            layer("Convolution", "convolution_param { num_output: 4 kernel_size: 3 }"),
            Cost(112, 2 * 4 * 36 * 27, 4 * 4 * 36),
        ),
        (  # depthwise: 3 filters of 3 x 3, no bias; stride 2: 4 x 4 outputs
            layer(
                "Convolution",
                "convolution_param { num_output: 3 group: 3 kernel_size: 3 stride: 2 pad: 1 bias_term: false }",
            ),
            Cost(27, 2 * 3 * 16 * 9, 4 * 3 * 16),
        ),
        (  # every one of 3 x 8 x 8 inputs is spread over 6 channels of 2 x 2
            layer("Deconvolution", "convolution_param { num_output: 6 kernel_size: 2 stride: 2 bias_term: false }"),
            Cost(72, 2 * 192 * 24, 4 * 6 * 256),
        ),
        (layer("InnerProduct", "inner_product_param { num_output: 5 }"), Cost(5 * 192 + 5, 2 * 5 * 192, 20)),
        (  # along the last axis only: 3 x 8 rows of 8
            layer("InnerProduct", "inner_product_param { num_output: 5 axis: -1 transpose: true }"),
            Cost(5 * 8 + 5, 2 * 24 * 5 * 8, 4 * 24 * 5),
        ),
        (layer("BatchNorm"), Cost(3 + 3 + 1, 0, 4 * 192)),
        (layer("BatchNorm", top="a"), Cost(3 + 3 + 1, 0, 0)),
        (layer("Scale", "scale_param { bias_term: true }"), Cost(6, 0, 4 * 192)),
        (layer("PReLU"), Cost(3, 0, 4 * 192)),
        (layer("Flatten"), Cost(0, 0, 0)),
        (layer("Reduction"), Cost(0, 0, 4)),
    ],
)
def test_one_layer(text: str, expected: Cost, batch: int) -> None:
    assert costs_of(text, batch)["l"] == expected


def test_a_recurrent_layer() -> None:
    """3 steps of one stream of 4 features, 5 cells: gates of 20 from the input (4) and from the state (5)."""
    marks = 'layer { name: "m" type: "Input" top: "m" input_param { shape { dim: 3 dim: 1 } } }\n'
    lstm = layer("LSTM", 'bottom: "m" recurrent_param { num_output: 5 }')
    cost = costs_of(marks + lstm, batch=3, shape="1,4")["l"]
    assert cost.weights == 20 * 4 + 20 + 20 * 5
    assert cost.flops == 2 * (20 * 4 + 20 * 5)  # one step: the first axis counts as the batch


def test_shared_weights_count_once() -> None:
    one = layer("InnerProduct", 'param { name: "w" } inner_product_param { num_output: 5 }')
    costs = costs_of(one + one.replace('"l"', '"m"').replace('"t"', '"u"'))
    assert (costs["l"].weights, costs["m"].weights) == (965, 5)  # the biases are not shared
    assert costs["l"].flops == costs["m"].flops == 1920


def test_the_paper_s_network_costs_what_table_7_says(root: Path) -> None:
    for folder in ("inception_sep_paper", "inception_sep_paper_native"):
        file = root / "prototxt" / folder / "deploy.prototxt"
        total = total_cost(layer_costs(Graph.build(read_net(file), source=file)))
        assert f"{total.weights / 1e6:.3f}" == "3.770"
        assert f"{total.flops / 1e6:.1f}" == "2920.3"


ALEXNET = "".join(
    [
        layer("Convolution", "convolution_param { num_output: 96 kernel_size: 11 stride: 4 }", top="1", name="conv1"),
        layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", "1", "2", "pool1"),
        layer("Convolution", "convolution_param { num_output: 256 kernel_size: 5 pad: 2 group: 2 }", "2", "3", "conv2"),
        layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", "3", "4", "pool2"),
        layer("Convolution", "convolution_param { num_output: 384 kernel_size: 3 pad: 1 }", "4", "5", "conv3"),
        layer("Convolution", "convolution_param { num_output: 384 kernel_size: 3 pad: 1 group: 2 }", "5", "6", "conv4"),
        layer("Convolution", "convolution_param { num_output: 256 kernel_size: 3 pad: 1 group: 2 }", "6", "7", "conv5"),
        layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", "7", "8", "pool5"),
        layer("InnerProduct", "inner_product_param { num_output: 4096 }", "8", "9", "fc6"),
        layer("InnerProduct", "inner_product_param { num_output: 4096 }", "9", "10", "fc7"),
        layer("InnerProduct", "inner_product_param { num_output: 1000 }", "10", "11", "fc8"),
    ]
)


def test_alexnet_by_hand() -> None:
    costs = costs_of(ALEXNET, batch=10, shape="3,227,227")
    assert costs["conv1"] == Cost(96 * 3 * 121 + 96, 2 * 96 * 55 * 55 * 363, 4 * 96 * 55 * 55)
    assert costs["conv2"] == Cost(256 * 48 * 25 + 256, 2 * 256 * 27 * 27 * 48 * 25, 4 * 256 * 27 * 27)
    assert costs["fc6"] == Cost(4096 * 9216 + 4096, 2 * 4096 * 9216, 4 * 4096)
    total = sum(costs.values(), Cost())
    assert total.weights == 60_965_224
    macs = {  # the well-known 724 M
        "conv1": 105_415_200,
        "conv2": 223_948_800,
        "conv3": 384 * 169 * 2304,
        "conv4": 384 * 169 * 1728,
        "conv5": 256 * 169 * 1728,
        "fc6": 37_748_736,
        "fc7": 16_777_216,
        "fc8": 4_096_000,
    }
    assert total.flops == 2 * sum(macs.values()) == 2 * 724_406_816


def test_json_and_table_say_the_same() -> None:
    text = layer("Convolution", "convolution_param { num_output: 4 kernel_size: 3 }", name="conv")
    text = 'layer { name: "in" type: "Input" top: "a" input_param { shape { dim: [1, 3, 8, 8] } } }\n' + text
    text += layer("Silence", "", "t", "").replace('top: ""', "")
    costs = layer_costs(Graph.build(parse_text(text, NetParameter, Path("net.prototxt"))))
    assert as_json(costs) == {
        "total": {"weights": 112, "flops": 7776, "activation_bytes": 1344},
        "not_counted": [],
        "layers": [
            {"name": "in", "type": "Input", "shape": [1, 3, 8, 8], "weights": 0, "flops": 0, "activation_bytes": 768},
            {
                "name": "conv",
                "type": "Convolution",
                "shape": [1, 4, 6, 6],
                "weights": 112,
                "flops": 7776,
                "activation_bytes": 576,
            },
            {"name": "l", "type": "Silence", "shape": None, "weights": 0, "flops": 0, "activation_bytes": 0},
        ],
    }
    assert list(as_table(costs)) == [
        "layer  type         top      weights  FLOPs  activations",
        "-----  -----------  -------  -------  -----  -----------",
        "in     Input        1x3x8x8        0      0          768",
        "conv   Convolution  1x4x6x6      112  7,776          576",
        "-----  -----------  -------  -------  -----  -----------",
        "total                            112  7,776        1,344",
        "0.000 M weights, 0.0 M FLOPs, 0.0 MB",
    ]


def test_what_follows_from_a_layer_that_nobody_knows_is_named_and_not_counted() -> None:
    text = 'layer { name: "in" type: "Input" top: "a" input_param { shape { dim: [1, 3, 8, 8] } } }\n'
    text += layer("Convolution", "convolution_param { num_output: 4 kernel_size: 3 }", "a", "b", name="conv")
    text += layer("Theirs", "their_param { size: 2 }", "b", "c", name="x")
    text += layer("Convolution", "convolution_param { num_output: 4 kernel_size: 3 }", "c", "d", name="behind")
    costs = layer_costs(Graph.build(parse_text(text, NetParameter, Path("net.prototxt"), lenient=True)))
    assert as_json(costs)["total"] == {"weights": 112, "flops": 7776, "activation_bytes": 1344}
    assert as_json(costs)["not_counted"] == ["x", "behind"]
    assert list(as_table(costs))[-1] == "Not counted: 2 layers, as layer 'x' is of the unknown type 'Theirs'"


def test_an_input_of_unknown_shape_is_an_error() -> None:
    graph = Graph.build(parse_text('layer { name: "in" type: "Input" top: "a" }', NetParameter, Path("net.prototxt")))
    with pytest.raises(InputError, match=r"layer 'in': its top's shape is not known.*give a deploy prototxt"):
        layer_costs(graph)
