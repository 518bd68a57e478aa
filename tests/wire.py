"""Protobuf's wire format, for tests that look at files byte by byte."""

from collections.abc import Iterator

Field = tuple[int, bytes, bytes]
"""Number, all its bytes, and its content (of a field of varying length)."""


def varint(value: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    """A field of varying length: a string, bytes, or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def fields(data: bytes) -> Iterator[Field]:
    """The fields of a message, in order."""
    position = 0
    while position < len(data):
        start = position
        number, position, content = _one(data, position)
        yield number, data[start:position], content


def _read(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


def _one(data: bytes, position: int) -> tuple[int, int, bytes]:
    tag, position = _read(data, position)
    number, kind = tag >> 3, tag & 7
    if kind == 0:
        return number, _read(data, position)[1], b""
    if kind in (1, 5):
        return number, position + (8 if kind == 1 else 4), b""
    if kind == 2:
        length, position = _read(data, position)
        return number, position + length, data[position : position + length]
    assert kind == 3, kind  # a group, to the end of the same number
    while True:
        end, after = _read(data, position)
        if end == number << 3 | 4:
            return number, after, b""
        _, position, _ = _one(data, position)
