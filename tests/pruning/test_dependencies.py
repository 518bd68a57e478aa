"""Which channels go together, on networks small enough to say by hand."""

from pathlib import Path

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import BLOCKS, InceptionSEP
from pyhisto.proto import NetParameter, parse_text
from pyhisto.pruning.dependencies import Dependencies

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 dim: 6 dim: 6 } } }\n'


def analyse(*texts: str) -> Dependencies:
    return Dependencies.analyse([Graph.build(parse_text(INPUT + text, NetParameter, Path("t"))) for text in texts])


def conv(name: str, bottom: str, outputs: int, more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ num_output: {outputs} kernel_size: 1 {more} }} }}\n"
    )


def groups(dependencies: Dependencies) -> dict[str, tuple[int, str]]:
    return {group.name: (len(group.atoms), group.frozen) for group in dependencies.groups}


def test_inputs_and_outputs_are_never_pruned() -> None:
    found = groups(analyse(conv("a", "data", 5) + conv("b", "a", 2)))
    assert found == {"a": (5, ""), "b": (2, "network output 'b'")}


def test_a_sum_ties_what_it_adds() -> None:
    add = 'layer { name: "add" type: "Eltwise" bottom: "a" bottom: "b" top: "add" }\n'
    dependencies = analyse(conv("a", "data", 3) + conv("b", "data", 3) + add + conv("c", "add", 2))
    assert groups(dependencies)["a + b"] == (3, "")
    assert dependencies.places(dependencies.groups[0]) == [
        "a (blob 0 axis 0)", "a (blob 1 axis 0)", "b (blob 0 axis 0)", "b (blob 1 axis 0)", "c (blob 0 axis 1)",
    ]  # fmt: skip


def test_a_sum_with_the_input_freezes() -> None:
    add = 'layer { name: "add" type: "Eltwise" bottom: "a" bottom: "data" top: "add" }\n'
    assert groups(analyse(conv("a", "data", 4) + add + conv("b", "add", 2)))["a"] == (4, "network input 'data'")


def test_flattening_spreads_a_channel_over_its_pixels() -> None:
    inner = 'layer { name: "ip" type: "InnerProduct" bottom: "a" top: "ip" inner_product_param { num_output: 2 } }\n'
    dependencies = analyse(conv("a", "data", 3) + inner)
    weights = dependencies.params["ip", 0][1]
    assert weights is not None
    # 6 x 6 pixels of each of three channels, one channel after another.
    assert np.array_equal(weights, np.repeat(dependencies.producers["a"], 36))


def test_few_large_groups_lose_positions_many_small_ones_go_whole() -> None:
    # Two groups of four inputs: channels 0 and 4 go together. Four groups of one (depthwise): each goes alone.
    few = analyse(conv("a", "data", 8) + conv("g", "a", 6, "group: 2") + conv("z", "g", 1))
    assert groups(few)["a"] == (4, "")
    assert groups(few)["g"] == (3, "")
    assert few.atom[few.producers["a"][0]] == few.atom[few.producers["a"][4]]
    depthwise = analyse(conv("a", "data", 8) + conv("g", "a", 16, "group: 8") + conv("z", "g", 1))
    assert groups(depthwise) == {"a + g": (8, ""), "z": (1, "network output 'z'")}


def test_an_unknown_layer_freezes_what_it_touches_and_is_named() -> None:
    unknown = 'layer { name: "who" type: "Mystery" bottom: "a" top: "m" }\n'
    found = groups(analyse(conv("a", "data", 3) + unknown + conv("b", "m", 5) + conv("c", "b", 2)))
    assert found["a"] == (3, "read by layer 'who' (Mystery)")
    assert found["b"] == (5, "")


def test_a_foreign_python_layer_freezes_and_our_own_does_not() -> None:
    def python(module: str) -> str:
        return (
            f'layer {{ name: "p" type: "Python" bottom: "a" top: "p" python_param {{ module: "{module}" '
            'layer: "SEPLayer" } }\n'
        )

    assert groups(analyse(conv("a", "data", 3) + python("theirs") + conv("b", "p", 2)))["a"][1]
    ours = analyse(
        conv("a", "data", 3)
        + 'layer { name: "pool" type: "Pooling" bottom: "a" top: "pool" pooling_param { global_pooling: true } }\n'
        + python("pyhisto.layers.sep").replace('"a"', '"pool"')
        + conv("b", "p", 2)
    )
    assert groups(ours)["a"] == (3, "")
    assert {("p", 0), ("p", 1), ("p", 3)} <= ours.params.keys()


@pytest.mark.parametrize(
    ("layer", "frozen"),
    [
        ('type: "LRN"', True),
        ('type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL }', False),
        ('type: "MVN" mvn_param { across_channels: true }', True),
        ('type: "MVN"', False),
        ('type: "Softmax"', True),
        ('type: "Normalize"', False),
        ('type: "Reshape" reshape_param { shape { dim: 0 dim: 0 dim: -1 } }', False),
        ('type: "Reshape" reshape_param { shape { dim: 0 dim: 3 dim: 2 dim: -1 } }', True),
        ('type: "Tile" tile_param { tiles: 2 }', False),
        ('type: "Reduction" reduction_param { axis: 1 }', True),
    ],
)
def test_what_mixes_channels_freezes_them(layer: str, frozen: bool) -> None:
    middle = f'layer {{ name: "m" bottom: "a" top: "m" {layer} }}\n'
    end = 'layer { name: "z" type: "InnerProduct" bottom: "m" top: "z" inner_product_param { num_output: 2 } }\n'
    text = conv("a", "data", 6) + middle
    if "axis: 1" not in layer:
        text += end
    assert bool(groups(analyse(text))["a"][1]) is frozen


def test_shared_weights_are_cut_alike() -> None:
    def shared(name: str, bottom: str) -> str:
        return conv(name, bottom, 4).replace("convolution_param", 'param { name: "w" } convolution_param')

    found = groups(analyse(shared("a", "data") + shared("b", "a") + conv("c", "b", 2)))
    # b reads what a makes by the same weights, which read the input: nothing of it can go.
    assert found["a + b"] == (4, "network input 'data'")


def test_the_sep_block_of_the_paper() -> None:
    dependencies = Dependencies.analyse([Graph.build(InceptionSEP("paper").deploy())])
    assert set(dependencies.gates) == {f"inception_{block}_scale" for block in BLOCKS}
    gate = dependencies.gates["inception_3a_scale"]
    assert (len(gate.channels), len(gate.hidden), gate.down) == (256, 16, "inception_3a_1x1_down")
    # A branch of 3a is cut where it is made, normalised, squeezed, excited, and read by four convolutions of 3b.
    group = next(group for group in dependencies.groups if group.name == "inception_3a/1x1 + inception_3a_1x1_up")
    places = dependencies.places(group)
    assert places[:2] == ["inception_3a/1x1 (blob 0 axis 0)", "inception_3a/1x1 (blob 1 axis 0)"]
    assert places[-4:] == [
        f"inception_3b/{branch} (blob 0 axis 1)" for branch in ("1x1", "3x3_reduce", "5x5_reduce", "pool_proj")
    ]
    # 4b's output has two readers: 4c and the tail, thus the classifier's inputs.
    group = next(group for group in dependencies.groups if group.name.startswith("inception_4b/1x1 +"))
    assert "loss333/classifier (blob 0 axis 1)" in dependencies.places(group)


def test_prototxts_of_different_networks_are_refused() -> None:
    with pytest.raises(InputError, match="layer 'a' makes 3 channels in one prototxt and 4 in another"):
        analyse(conv("a", "data", 3) + conv("b", "a", 2), conv("a", "data", 4) + conv("b", "a", 2))
