"""What the readers of Caffe's prototxts disagree on; above all, the one field that they spell differently: how Pooling
rounds.

BVLC's Caffe has `round_mode: CEIL` or `FLOOR`, forks (OpenCV's reader, too) have `ceil_mode: true` or `false`, and both
have it as field 13, where one's 0 is the other's 1. A prototxt tells them apart by the name. A caffemodel does not, so
that its poolings are never read: whatever it says of them is copied as it is.
"""

from typing import Literal, TypeAlias

from pyhisto.lenient import known_text
from pyhisto.proto import NetParameter
from pyhisto.prototext import Document, Field, Scalar

RoundingField: TypeAlias = Literal["round_mode", "ceil_mode"]

_UP = {"round_mode": ("CEIL", "0"), "ceil_mode": ("true", "True", "t", "1")}
"""The values that mean rounding up."""

_WORDS: dict[RoundingField, tuple[str, str]] = {"round_mode": ("FLOOR", "CEIL"), "ceil_mode": ("false", "true")}
"""How rounding down, and up, are written."""


def with_rounding(text: str, dialect: RoundingField) -> str:
    """A network's prototxt with its poolings' rounding in a dialect, and nothing else changed."""
    other: RoundingField = "ceil_mode" if dialect == "round_mode" else "round_mode"
    if other not in text:
        return text
    document = Document(text)
    for layer in document.messages("layer") + document.messages("layers"):
        for parameter in layer.messages("pooling_param"):
            for each in parameter.named(other):
                _respell(each, dialect)
    return document.text()


def for_opencv(text: str) -> str:
    """A network's prototxt as OpenCV reads it: with `ceil_mode`, and without fields that nobody knows.

    OpenCV takes such a field, and loses the whole message that it stands in, without a word.
    """
    return known_text(with_rounding(text, "ceil_mode"), NetParameter.DESCRIPTOR, "prototxt", foreign_layers=True)


def _respell(field: Field, dialect: RoundingField) -> None:
    if isinstance(field.value, Scalar):
        up = field.value.value in _UP[field.name]
        field.name, field.value = dialect, Scalar(_WORDS[dialect][up])
