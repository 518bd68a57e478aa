"""The one field that Caffe's dialects spell differently: how Pooling rounds.

BVLC's Caffe has `round_mode: CEIL` or `FLOOR`, forks (OpenCV's reader, too) have `ceil_mode: true` or `false`, and both
have it as field 13, where one's 0 is the other's 1. A prototxt tells them apart by the name. A caffemodel does not, so
that its poolings are never read: whatever it says of them is copied as it is.
"""

from typing import Literal, TypeAlias

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


def _respell(field: Field, dialect: RoundingField) -> None:
    if isinstance(field.value, Scalar):
        up = field.value.value in _UP[field.name]
        field.name, field.value = dialect, Scalar(_WORDS[dialect][up])
