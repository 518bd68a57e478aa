"""Fields that our schema does not know: passed over in reading, named by line, and never a reason to stop."""

from pathlib import Path

import pytest

from pyhisto import pycaffe
from pyhisto.errors import InputError
from pyhisto.graph import LAYER_TYPES, Graph
from pyhisto.graph.sources import SOURCES
from pyhisto.lenient import SETTINGS, known_text, unknown_fields
from pyhisto.proto import NetParameter, parse_text
from pyhisto.prototext import Document

FORK = """name: "fork" compile_for: NPU
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a" quantize <
    bits: 8 >, convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" seed: 3 } } }
layer { name: "b" type: "SmoothL1" bottom: "a" top: "b" unsqueeze_param { axis: [1, 2] }
    permute_param { order: FIRST } }
"""


def read(text: str, lenient: bool = True):  # type: ignore[no-untyped-def]
    return parse_text(text, NetParameter, Path("net.prototxt"), lenient)


def test_what_is_unknown_is_named_where_it_stands() -> None:
    found = unknown_fields(Document(FORK), NetParameter.DESCRIPTOR)
    assert [(each.line, each.path) for each in found] == [
        (1, "compile_for"),
        (3, "layer 'a': quantize"),
        (4, "layer 'a': convolution_param.weight_filler.seed"),
    ]


def test_what_is_known_is_read() -> None:
    net = read(FORK)
    assert [layer.name for layer in net.layer] == ["data", "a", "b"]
    assert net.layer[1].convolution_param.num_output == 4
    assert net.layer[1].convolution_param.weight_filler.type == "xavier"
    assert Graph.build(net).blob("b").unknown == "layer 'b' is of the unknown type 'SmoothL1'"
    with pytest.raises(InputError, match="compile_for"):
        read(FORK, lenient=False)


def test_what_is_left_stays_in_its_line() -> None:
    known = known_text(FORK, NetParameter.DESCRIPTOR, "net.prototxt")
    assert known.count("\n") == FORK.count("\n")
    with pytest.raises(InputError, match=r"prototxt: 4:\d+ : .*num_output"):
        read(FORK.replace("num_output: 4", "num_output: four"))


def test_a_known_message_of_another_layer_s_type_is_not_read() -> None:
    """A fork may call a message as we do, and mean another: only the layer types that we know say what is in it."""
    text = 'layer { name: "x" type: "%s" permute_param { order: FIRST } strange: 1 }'
    assert read(text % "Theirs").layer[0].type == "Theirs"
    with pytest.raises(InputError, match=r"order|FIRST"):
        read(text % "Permute")


def test_the_types_with_settings_are_those_with_shapes() -> None:
    assert SETTINGS.keys() == LAYER_TYPES.keys() | SOURCES.keys() | {"Python"}
    fields = {field.name for field in NetParameter.DESCRIPTOR.fields_by_name["layer"].message_type.fields}
    assert {name for names in SETTINGS.values() for name in names} <= fields


@pytest.mark.caffe
def test_every_layer_type_of_bvlc_s_caffe_is_known() -> None:
    assert set(pycaffe.load().layer_type_list()) <= SETTINGS.keys()
