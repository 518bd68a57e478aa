"""What a fork's files say beyond ours comes through pruning byte for byte, whatever it is and wherever it stands."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from google.protobuf import descriptor_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from pyhisto.graph import check_weights
from pyhisto.proto import layer_blobs, read_weights
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule
from tests import wire

MODEL = """
name: "fork" {0}
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 dim: 6 dim: 6 {1} }} {2} }} }}
layer {{ name: "a" type: "Convolution" bottom: "data" top: "a" {3}
  convolution_param {{ num_output: 4 kernel_size: 1 {4} weight_filler {{ type: "xavier" {5} }} }} }}
layer {{ name: "b" type: "Convolution" bottom: "a" top: "b" param {{ lr_mult: 1 {6} }}
  convolution_param {{ kernel_size: 1 num_output: 2 }} {7} }}
layer {{ name: "c" type: "TheirOwn" bottom: "b" top: "c" {8} convolution_param {{ num_output: MANY {9} }} }}
"""

NUMBERS = st.one_of(st.sampled_from([3, 106, 121, 139, 147, 149, 202, 502, 507, 1000]), st.integers(10, 2**29 - 1))


@st.composite
def unknown(draw: st.DrawFn, known: set[int], depth: int = 2) -> bytes:
    """Any field that is not among the `known` ones: number, kind and content at random."""
    number = draw(NUMBERS.filter(lambda number: number not in known))
    kind = draw(st.sampled_from([0, 1, 2, 2, 2, 3, 5] if depth else [0, 1, 2, 5]))
    tag = wire.varint(number << 3 | kind)
    match kind:
        case 0:
            return tag + wire.varint(draw(st.integers(0, 2**64 - 1)))
        case 1 | 5:
            return tag + draw(st.binary(min_size=8 if kind == 1 else 4, max_size=8 if kind == 1 else 4))
        case 2:
            return wire.field(number, draw(st.binary(max_size=12)))
    return tag + b"".join(draw(st.lists(unknown(set(), depth - 1), max_size=2))) + wire.varint(number << 3 | 4)


@st.composite
def message(draw: st.DrawFn, known: set[int], parts: list[bytes]) -> bytes:
    """The parts in their order, with unknown fields between them."""
    out = b""
    for part in [*parts, b""]:
        out += b"".join(draw(st.lists(unknown(known), max_size=2))) + part
    return out


@st.composite
def caffemodel(draw: st.DrawFn, v1: bool) -> bytes:
    name, blobs, layers = (4, 6, 2) if v1 else (1, 7, 100)
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    made = []
    for layer, shapes in (("a", [(4, 3, 1, 1), (4,)]), ("b", [(2, 4, 1, 1), (2,)])):
        parts = [wire.field(name, layer.encode())]
        for shape in shapes:
            dims = [wire.field(1, b"".join(map(wire.varint, shape)))]
            values = generator.standard_normal(shape).astype("<f4").tobytes()
            parts.append(
                wire.field(
                    blobs,
                    draw(message(set(range(1, 10)), [wire.field(7, draw(message({1}, dims))), wire.field(5, values)])),
                )
            )
        made.append(wire.field(layers, draw(message({1, name, blobs}, parts))))
    return draw(message({2, 100}, made))


def strangers(data: bytes, v1: bool) -> dict[str, list[bytes]]:
    """The unknown fields of each message of a caffemodel, in order, by where the message stands."""
    name, blobs, layers = (4, 6, 2) if v1 else (1, 7, 100)
    found: dict[str, list[bytes]] = {}

    def visit(place: str, content: bytes, inside: list[dict[int, str]], known: list[set[int]]) -> None:
        seen: Counter[int] = Counter()
        for number, raw, part in wire.fields(content):
            if number in inside[0]:
                visit(f"{place}/{inside[0][number]}{seen[number]}", part, inside[1:], known[1:])
                seen[number] += 1
            elif number not in known[0]:
                found.setdefault(place, []).append(raw)

    visit(
        "", data, [{layers: "layer"}, {blobs: "blob"}, {7: "shape"}, {}],
        [{2, 100}, {1, name, blobs}, set(range(1, 10)), {1}],
    )  # fmt: skip
    return found


TEXTS = st.sampled_from(
    [
        "",
        "binary: true",
        'note: "a \\" }"',
        "their_param { a: 1 b < c: FOO > }",
        "list: [1, 2]",
        "list: [{ x: 1 }, {}]",
        "x: -inf",
        "# only a comment\n",
        "[their.extension] { deep { deeper { deepest: 0x1F } } }",
        "x: 'a' 'b';",
    ]
)


@settings(max_examples=40)
@given(st.data(), st.booleans(), st.lists(TEXTS, min_size=10, max_size=10))
def test_any_unknown_field_survives_at_any_level(data: st.DataObject, v1: bool, texts: list[str]) -> None:
    before = data.draw(caffemodel(v1))
    with TemporaryDirectory() as name:
        folder = Path(name)
        model, weights, out = folder / "net.prototxt", folder / "net.caffemodel", folder / "out"
        model.write_text(MODEL.format(*texts))
        weights.write_bytes(before)
        network = LoadedNetwork.read(model, [], weights, {})
        removed = plan_pruning(network, "l1", Schedule(0.5), None, 0)
        pruned = cut_network(network, removed, {})
        write(network, pruned, None, out)
        after = (out / "net.caffemodel").read_bytes()
        assert strangers(after, v1) == strangers(before, v1)
        shapes = {layer: [array.shape for array in arrays] for layer, arrays in layer_blobs(pruned.weights).items()}
        assert shapes == {"a": [(2, 3, 1, 1), (2,)], "b": [(2, 2, 1, 1), (2,)]}
        assert check_weights(pruned.model, read_weights(out / "net.caffemodel"), weights) == []
        assert (out / "net.prototxt").read_text() == MODEL.format(*texts).replace("num_output: 4", "num_output: 2")


def test_nothing_is_required(root: Path) -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString((root / "pyhisto/schema/caffe.desc").read_bytes())
    fields = [each for message in files.file[0].message_type for each in message.field]
    assert len(fields) > 400
    assert not [each.name for each in fields if each.label == each.LABEL_REQUIRED]
