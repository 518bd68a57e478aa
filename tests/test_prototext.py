"""Lossless editing of prototxts: protobuf's own parser is the judge."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message as ProtoMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from pyhisto.errors import InputError
from pyhisto.proto import NetParameter, parse_text
from pyhisto.prototext import Document, Message, quote

LAYER = """\
# the network
name: "n" 'et' # in two pieces
layer { # first
  name: 'conv'
  type: "Convolution"
  # why two groups
  group: 2  # two graphics cards
  convolution_param < kernel_size: 3 stride: [1, 2 ,3] pad: 1; pad: 2, pad: 3 bias_filler {} >
  slice_point: 3 # three
  slice_point: 5
  # the end
}
"""


def layer_of(text: str) -> tuple[Document, Message]:
    document = Document(text)
    (layer,) = document.messages("layer")
    return document, layer


def test_reading_decodes_strings_and_flattens_lists() -> None:
    document, layer = layer_of(LAYER)
    parameters = layer.message("convolution_param")
    assert parameters is not None
    assert document.get("name") == "net"
    assert layer.get("name") == "conv"
    assert parameters.values("stride") == ["1", "2", "3"]
    assert parameters.values("pad") == ["1", "2", "3"]
    assert layer.get("absent") is None
    assert layer.message("absent") is None
    assert Document(r'name: "\303\251\n"').get("name") == "é\n"


def test_lines_are_counted_from_one() -> None:
    _, layer = layer_of(LAYER)
    assert (layer.line, layer.line_of("group"), layer.line_of("absent")) == (3, 7, 3)


def test_a_scalar_is_replaced_where_it_stands() -> None:
    document, layer = layer_of(LAYER)
    layer.set_scalar("group", "4")
    assert layer.get("group") == "4"
    assert document.text() == LAYER.replace("group: 2", "group: 4")


def test_an_absent_scalar_is_added_behind_the_others_in_their_indentation() -> None:
    document, layer = layer_of(LAYER)
    layer.set_scalar("phase", "TEST")
    assert document.text() == LAYER.replace("slice_point: 5\n", "slice_point: 5\n  phase: TEST\n")


def test_a_scalar_is_added_on_the_line_of_a_message_on_one_line() -> None:
    document, layer = layer_of(LAYER)
    parameters = layer.message("convolution_param")
    assert parameters is not None
    parameters.set_scalar("num_output", "32")
    filler = parameters.message("bias_filler")
    assert filler is not None
    filler.set_scalar("type", quote("msra"))
    assert 'bias_filler { type: "msra" } num_output: 32 >' in document.text()


def test_a_removed_field_takes_its_own_line_and_comment_but_no_other() -> None:
    document, layer = layer_of(LAYER)
    layer.remove("group")
    assert document.text() == LAYER.replace("  group: 2  # two graphics cards\n", "")


@pytest.mark.parametrize(
    ("text", "removed", "left"),
    [
        ("a: 1\nb: 2\n", "a", "\nb: 2\n"),
        ("a: 1\nb: 2\n", "b", "a: 1\n"),
        ("a: 1\nb: 2", "b", "a: 1"),
        ("m { a: 1 b: 2 c: 3 }", "b", "m { a: 1 c: 3 }"),
        ("m { a: 1 b: 2 }", "b", "m { a: 1 }"),
        ("m { a: 1 b: 2 }", "a", "m { b: 2 }"),
        ('m {a:"1"b:"2"c:3}', "b", 'm {a:"1"c:3}'),
        ('m {a:1 b:"2"c:3}', "b", "m {a:1 c:3}"),
        ("m {\n  a: 1 b: 2\n  c: 3\n}", "a", "m {\n  b: 2\n  c: 3\n}"),
        ("m {\n  a: 1 b: 2 # both\n  c: 3\n}", "b", "m {\n  a: 1 # both\n  c: 3\n}"),
        ("m {\r\n  a: 1\r\n  b: 2\r\n}\r\n", "a", "m {\r\n  b: 2\r\n}\r\n"),
        ("m { b: 1 }", "b", "m { }"),
    ],
)
def test_removal_leaves_the_spacing_of_the_rest(text: str, removed: str, left: str) -> None:
    document = Document(text)
    (document.message("m") or document).remove(removed)
    assert document.text() == left


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (["7"], "  slice_point: 7 # three\n"),
        (["7", "8"], "  slice_point: 7 # three\n  slice_point: 8\n"),
        (["7", "8", "9"], "  slice_point: 7 # three\n  slice_point: 8\n  slice_point: 9\n"),
        ([], ""),
    ],
)
def test_repeated_values_are_replaced_removed_or_added(values: list[str], written: str) -> None:
    document, layer = layer_of(LAYER)
    layer.replace_values("slice_point", values)
    assert document.text() == LAYER.replace("  slice_point: 3 # three\n  slice_point: 5\n", written)
    assert layer.values("slice_point") == values


def test_a_list_stays_a_list() -> None:
    document, layer = layer_of(LAYER)
    parameters = layer.message("convolution_param")
    assert parameters is not None
    parameters.replace_values("stride", ["7", "8"])
    assert document.text() == LAYER.replace("[1, 2 ,3]", "[7, 8]")
    mixed = Document("a: [1,2] a: 3 b: []")
    mixed.replace_values("a", ["4", "5", "6"])
    mixed.replace_values("b", ["1"])
    assert mixed.text() == "a: [4,5,6] b: [1]"


def test_windows_line_ends_stay() -> None:
    text = LAYER.replace("\n", "\r\n")
    document, layer = layer_of(text)
    layer.remove("group")
    layer.replace_values("slice_point", ["3", "5", "7"])
    document.set_scalar("force_backward", "true")
    assert document.text().replace("\r\n", "").count("\n") == 0
    assert document.text().endswith("}\r\nforce_backward: true\r\n")


def test_an_empty_document_takes_a_field() -> None:
    for text, written in (("", "a: 1"), ("# note\n", "# note\na: 1\n")):
        document = Document(text)
        document.set_scalar("a", "1")
        assert document.text() == written


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("layer {\n name: 'a'\n", 3),
        ("name: 'a'\n}", 2),
        ("name 'a'", 1),
        ("name: 'a\n'", 1),
        ("a: [1,\n2", 2),
        ("a: [1 2]", 1),
        ("a: [[1]]", 1),
        ("a: { b: 1 >", 1),
        (": 3", 1),
        ("a:", 1),
        ("a: \x00", 1),
        ("a {" * 200, 1),
    ],
)
def test_what_is_no_prototxt_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(InputError, match=rf"^net\.prototxt:{line}: not a valid prototxt: [^\n]+$"):
        Document(text, "net.prototxt")


def test_files_that_cannot_be_read_or_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Document.read(tmp_path / "absent.prototxt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        Document.read(tmp_path / "binary")


# Property: whatever protobuf prints, in whatever style, comes back; an edit changes what it says and nothing else.

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8)
floats = st.floats(width=32, allow_nan=False)


@st.composite
def layers(draw: st.DrawFn) -> Any:
    layer = NetParameter().layer.add(name=draw(names), type=draw(names))
    layer.bottom.extend(draw(st.lists(names, max_size=3)))
    layer.loss_weight.extend(draw(st.lists(floats, max_size=3)))
    if draw(st.booleans()):
        layer.convolution_param.num_output = draw(st.integers(0, 2**32 - 1))
        layer.convolution_param.pad.extend(draw(st.lists(st.integers(0, 9), max_size=3)))
        layer.convolution_param.weight_filler.type = draw(names)
        layer.convolution_param.weight_filler.value = draw(floats)
    if draw(st.booleans()):
        layer.slice_param.slice_point.extend(draw(st.lists(st.integers(0, 99), max_size=4)))
        layer.slice_param.axis = draw(st.integers(-4, 4))
    if draw(st.booleans()):
        layer.include.add(phase=draw(st.integers(0, 1)), stage=draw(st.lists(names, max_size=2)))
    return layer


nets = st.lists(layers(), max_size=4).map(lambda drawn: NetParameter(name="net", layer=drawn))


@st.composite
def printed(draw: st.DrawFn) -> str:
    style = {
        "as_one_line": draw(st.booleans()),
        "pointy_brackets": draw(st.booleans()),
        "use_short_repeated_primitives": draw(st.booleans()),
        "as_utf8": draw(st.booleans()),
    }
    text: str = text_format.MessageToString(draw(nets), **style)
    if not style["as_one_line"] and draw(st.booleans()):  # a comment on, above and below every line
        text = "".join(f'# above {{\n{line} # behind "\n' for line in text.rstrip("\n").split("\n")) + "# below"
    return text


def parsed(text: str) -> ProtoMessage:
    message: ProtoMessage = parse_text(text, NetParameter, Path("net.prototxt"))
    return message


@given(printed())
def test_without_edits_every_byte_comes_back(text: str) -> None:
    assert Document(text).text() == text


@given(printed(), st.data())
@settings(max_examples=300)
def test_an_edit_changes_what_it_says_and_nothing_else(text: str, data: st.DataObject) -> None:
    document, expected = Document(text), NetParameter()
    expected.CopyFrom(parsed(text))
    for layer, node in zip(expected.layer, document.messages("layer"), strict=True):
        assert (node.get("name"), node.values("bottom")) == (layer.name, list(layer.bottom))
        edit = data.draw(st.sampled_from(["rename", "bottoms", "unname", "slice", "pads", "width", "weights"]))
        if edit == "rename":
            layer.name = data.draw(names)
            node.set_scalar("name", quote(layer.name))
        elif edit == "unname":
            layer.ClearField("name")
            node.remove("name")
        elif edit == "bottoms":
            layer.bottom[:] = data.draw(st.lists(names, max_size=5))
            node.replace_values("bottom", [quote(name) for name in layer.bottom])
        elif edit == "weights":
            layer.loss_weight[:] = data.draw(st.lists(floats, max_size=5))
            node.replace_values("loss_weight", [repr(weight) for weight in layer.loss_weight])
        elif edit == "slice" and (slicing := node.message("slice_param")) is not None:
            layer.slice_param.slice_point[:] = data.draw(st.lists(st.integers(0, 99), max_size=5))
            slicing.replace_values("slice_point", list(map(str, layer.slice_param.slice_point)))
        elif edit in ("pads", "width") and (convolution := node.message("convolution_param")) is not None:
            if edit == "pads":
                layer.convolution_param.pad[:] = data.draw(st.lists(st.integers(0, 9), max_size=5))
                convolution.replace_values("pad", list(map(str, layer.convolution_param.pad)))
            else:
                layer.convolution_param.num_output = 7
                convolution.set_scalar("num_output", "7")
    edited = document.text()
    assert parsed(edited) == expected
    assert Document(edited).text() == edited
    assert [line for line in text.split("\n") if line.startswith("#")] == [
        line for line in edited.split("\n") if line.startswith("#")
    ]


def test_our_own_prototxts_come_back(root: Path) -> None:
    come_back(root / "prototxt")


def test_the_prototxts_of_caffe_come_back(caffe_models: Path) -> None:
    come_back(caffe_models)


def come_back(folder: Path) -> None:
    files = sorted(folder.rglob("*.prototxt"))
    assert files
    for file in files:
        text = file.read_bytes().decode()
        assert Document.read(file).text() == text
