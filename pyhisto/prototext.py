"""Editing prototxts without losing anything: comments, order, spacing and unknown fields stay as they are.

A Document is a concrete syntax tree: its leaves together are the file's text, to the last blank. Reading looks into the
tree, an edit changes the leaves that it names, and `text()` joins them again. What the format allows is accepted, as
protobuf's own text format reads it: comments, `{}` and `<>`, an optional colon before a brace, lists in `[]`, strings
in pieces, and `,` or `;` after a field. Whether the fields mean anything is for protobuf to say.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from google.protobuf import text_encoding

from pyhisto.errors import InputError
from pyhisto.files import reading

MAX_DEPTH = 100  # messages in messages; Caffe's own go five deep
_TRIVIA = re.compile(r"(?:\s+|#[^\n]*)*")
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\n\\]|\\.)*"|'(?:[^'\n\\]|\\.)*')"""
    r"""|(?P<word>[A-Za-z_][\w+-]*|(?:[0-9+-]|\.[0-9])[\w.+-]*)"""
    r"""|(?P<mark>[{}<>\[\]:,;])""",
    re.ASCII,
)
_EXTENSION = re.compile(r"\[[\w./%\s-]+\]", re.ASCII)
_BREAK = re.compile(r"\r?\n")
_CLOSING = {"{": "}", "<": ">"}


@dataclass(slots=True, eq=False)
class Scalar:
    """A number, a word, or a string (perhaps in several pieces), as it is written."""

    raw: str

    @property
    def value(self) -> str:
        """What it says: a string without quotes and escapes, anything else as it is written."""
        if self.raw[0] not in "\"'":
            return self.raw
        pieces = []
        position = 0
        while match := _TOKEN.match(self.raw, position):
            piece = match["string"][1:-1]
            pieces.append(_unescape(piece) if "\\" in piece else piece)
            position = _skip(self.raw, match.end())
        return "".join(pieces)

    def pieces(self) -> Iterator[str]:
        """The leaves of the tree, in order."""
        yield self.raw


@dataclass(slots=True, eq=False)
class List:
    """`[a, b]`: the items, each with the text in front of it (the opening bracket, or the comma)."""

    items: list[tuple[str, "Value"]]
    closing: str

    def pieces(self) -> Iterator[str]:
        """The leaves of the tree, in order."""
        for before, value in self.items:
            yield before
            yield from value.pieces()
        yield self.closing


@dataclass(slots=True, eq=False)
class Field:
    """A name and its value.

    `lead` is the space and the comments in front, `joint` what stands between the two, `tail` a separator behind.
    """

    lead: str
    name: str
    joint: str
    value: "Value"
    tail: str
    line: int

    def values(self) -> Iterator["Scalar | Message"]:
        """Its value, or each of the values in its list."""
        if isinstance(self.value, List):
            for _, value in self.value.items:
                if not isinstance(value, List):
                    yield value
        else:
            yield self.value

    def pieces(self) -> Iterator[str]:
        """The leaves of the tree, in order."""
        yield self.lead
        yield self.name
        yield self.joint
        yield from self.value.pieces()
        yield self.tail


@dataclass(slots=True, eq=False)
class Message:
    """A message: its fields in order. `line` is where its field begins in the file as it was read, counted from 1."""

    opening: str
    fields: list[Field]
    tail: str
    """The space and the comments after the last field."""
    closing: str
    line: int = field(default=1)

    def pieces(self) -> Iterator[str]:
        """The leaves of the tree, in order."""
        yield self.opening
        for each in self.fields:
            yield from each.pieces()
        yield self.tail
        yield self.closing

    def named(self, name: str) -> list[Field]:
        """The fields of that name."""
        return [each for each in self.fields if each.name == name]

    def messages(self, name: str) -> list["Message"]:
        """The messages under that field name, in order."""
        return [value for each in self.named(name) for value in each.values() if isinstance(value, Message)]

    def message(self, name: str) -> "Message | None":
        """The first message under that field name, or None."""
        return next(iter(self.messages(name)), None)

    def values(self, name: str) -> list[str]:
        """The scalar values under that field name, in order, strings without their quotes."""
        return [value.value for each in self.named(name) for value in each.values() if isinstance(value, Scalar)]

    def get(self, name: str) -> str | None:
        """The first scalar value under that field name, or None."""
        return next(iter(self.values(name)), None)

    def line_of(self, name: str) -> int:
        """The line of the first field of that name in the file as it was read, or the message's own line."""
        return next((each.line for each in self.named(name)), self.line)

    def set_scalar(self, name: str, raw: str) -> None:
        """Write the value of a field that stands at most once; `raw` as it shall be written, a string with its quotes.

        Absent, the field is added behind the others, indented as they are.
        """
        self.replace_values(name, [raw])

    def replace_values(self, name: str, raws: list[str]) -> None:
        """Write all values of a repeated scalar field; `raws` as they shall be written.

        Values are replaced where they stand; surplus fields are removed, missing ones added behind the last. Where the
        field is written as a list, so are the new values.
        """
        present = self.named(name)
        lists = [each for each in present if isinstance(each.value, List)]
        if lists and raws:
            _rewrite_list(lists[0], raws)
            raws, present = [], [each for each in present if each is not lists[0]]
        for each, raw in zip(present, raws, strict=False):
            each.value = Scalar(raw)
        for each in present[len(raws) :]:
            self._remove(each)
        behind = present[min(len(present), len(raws)) - 1] if present and raws else None
        for raw in raws[len(present) :]:
            behind = self._add(name, raw, behind)

    def remove(self, name: str) -> None:
        """Remove every field of that name, each with the comment behind it on its own line; comments above it stay."""
        for each in self.named(name):
            self._remove(each)

    def _remove(self, gone: Field) -> None:
        index = self.fields.index(gone)
        del self.fields[index]
        follower = self.fields[index] if index < len(self.fields) else None
        lead, after = gone.lead, self.tail if follower is None else follower.lead
        starts_line = "\n" in lead or (index == 0 and not self.opening)
        ends_line = "\n" in after or (follower is None and not self.closing)
        if starts_line and ends_line:  # the whole line goes, but for the comments above it
            self._set_space(follower, lead[: _last_break(lead)] + after[_first_break(after) :])
        elif starts_line or (not after and follower is not None):
            self._set_space(follower, lead)

    def _add(self, name: str, raw: str, behind: Field | None) -> Field:
        index = len(self.fields) if behind is None else self.fields.index(behind) + 1
        follower = self.fields[index] if index < len(self.fields) else None
        after = self.tail if follower is None else follower.lead
        indent = self._indent(behind)
        end = _first_break(after)
        if indent is None:
            lead = " "
            after = after or (" " if follower is not None or not self.fields else "")
        elif end < len(after):  # what stands on the line before, such as a comment, stays there
            line_break = "\r\n" if after[end] == "\r" else "\n"
            lead, after = after[:end] + line_break + indent, after[end:]
        else:
            lead = "\n" + indent if self.fields or self.opening else ""
        self._set_space(follower, after)
        added = Field(lead, name, ": ", Scalar(raw), "", self.line)
        self.fields.insert(index, added)
        return added

    def _set_space(self, follower: Field | None, space: str) -> None:
        """Set the text in front of a field, or of the message's end."""
        if follower is None:
            self.tail = space
        else:
            follower.lead = space

    def _indent(self, behind: Field | None) -> str | None:
        """The indentation of a new field, or None where the message is written on one line."""
        for each in [behind, *self.fields]:
            if each is not None and "\n" in each.lead:
                return each.lead[each.lead.rfind("\n") + 1 :]
        if not self.opening:
            return ""
        if not self.fields and "\n" in self.tail:
            return self.tail[self.tail.rfind("\n") + 1 :] + "  "
        return None


Value: TypeAlias = Scalar | List | Message


class Document(Message):
    """A whole prototxt, as a message without braces."""

    def __init__(self, text: str, source: object = "prototxt") -> None:
        """Parse. Raises InputError, naming `source` and the line, where the text is no prototxt."""
        root = _Parser(text, source).document()
        super().__init__(root.opening, root.fields, root.tail, root.closing)

    @classmethod
    def read(cls, path: Path) -> "Document":
        """Parse a file. Raises InputError where it cannot be read or is no prototxt."""
        try:
            with reading(path):
                return cls(Path(path).read_bytes().decode("utf-8"), path)
        except UnicodeDecodeError:
            raise InputError(f"{path}: not a prototxt: not UTF-8 text") from None

    def text(self) -> str:
        """The prototxt, with the edits."""
        return "".join(self.pieces())


def quote(text: str) -> str:
    """A string as a prototxt writes it."""
    escaped: str = text_encoding.CEscape(text.encode("utf-8"), as_utf8=True)
    return f'"{escaped}"'


def _unescape(piece: str) -> str:
    try:
        unescaped: bytes = text_encoding.CUnescape(piece)
    except ValueError:  # an escape that protobuf itself does not take
        return piece
    return unescaped.decode("utf-8", "replace")


def _skip(text: str, position: int) -> int:
    match = _TRIVIA.match(text, position)
    return match.end() if match else position


def _first_break(space: str) -> int:
    """Where the first line break begins; the text's length where there is none."""
    match = _BREAK.search(space)
    return match.start() if match else len(space)


def _last_break(space: str) -> int:
    """Where the last line break begins; 0 where there is none."""
    starts = [match.start() for match in _BREAK.finditer(space)]
    return starts[-1] if starts else 0


def _rewrite_list(target: Field, raws: list[str]) -> None:
    """New values into a list, with the first item's and the first comma's spacing."""
    assert isinstance(target.value, List)
    befores = [before for before, _ in target.value.items]
    first = befores[0] if befores else "["
    comma = befores[1] if len(befores) > 1 and "#" not in befores[1] else ", "
    target.value.items = [(comma if index else first, Scalar(raw)) for index, raw in enumerate(raws)]
    if not befores:
        target.value.closing = "]"


class _Parser:
    def __init__(self, text: str, source: object) -> None:
        self.text, self.source, self.position = text, source, 0
        self.line_ends = [match.start() for match in re.finditer("\n", text)]

    def document(self) -> Message:
        return self._message("", "", 1, 0)

    def _message(self, opening: str, closing: str, line: int, depth: int) -> Message:
        if depth > MAX_DEPTH:
            raise self._error("nested too deeply")
        fields: list[Field] = []
        while True:
            lead = self._trivia()
            mark = self.text[self.position : self.position + 1]
            if mark == closing:
                self.position += len(closing)
                return Message(opening, fields, lead, closing, line)
            if not mark:
                raise self._error(f"ends before the '{closing}' of the message that line {line} begins")
            fields.append(self._field(lead, depth))

    def _field(self, lead: str, depth: int) -> Field:
        line = self._line()
        extension = _EXTENSION.match(self.text, self.position)
        if extension:
            name = extension[0]
            self.position = extension.end()
        else:
            name = self._token("word", "a field's name")
        start = self.position
        self._trivia()
        if self.text.startswith(":", self.position):
            self.position += 1
            self._trivia()
        elif self.text[self.position : self.position + 1] not in ("{", "<", "["):
            raise self._error(f"expected ':' or '{{' after '{name}'")
        joint = self.text[start : self.position]
        value = self._value(line, depth)
        start = self.position
        end = _skip(self.text, start)
        if self.text[end : end + 1] in (",", ";"):
            self.position = end + 1
        return Field(lead, name, joint, value, self.text[start : self.position], line)

    def _value(self, line: int, depth: int, in_list: bool = False) -> Value:
        mark = self.text[self.position : self.position + 1]
        if mark in _CLOSING:
            self.position += 1
            return self._message(mark, _CLOSING[mark], line, depth + 1)
        if mark == "[" and not in_list:
            return self._list(depth)
        start = self.position
        if mark in ('"', "'"):
            while self.text[self.position : self.position + 1] in ('"', "'"):
                self._token("string", "a string without its end quote")
                end = self.position
                self._trivia()
            self.position = end
        else:
            word = self._token("word", "a value")
            if word == "-":
                self._trivia()
                self._token("word", "a number after '-'")
        return Scalar(self.text[start : self.position])

    def _list(self, depth: int) -> List:
        items: list[tuple[str, Value]] = []
        start = self.position
        while True:
            self.position += 1  # the bracket or the comma
            self._trivia()
            if self.text.startswith("]", self.position) and not items:
                self.position += 1
                return List(items, self.text[start : self.position])
            before = self.text[start : self.position]
            items.append((before, self._value(self._line(), depth, in_list=True)))
            start = self.position
            self._trivia()
            if self.text.startswith("]", self.position):
                self.position += 1
                return List(items, self.text[start : self.position])
            if not self.text.startswith(",", self.position):
                raise self._error("expected ',' or ']' in a list")

    def _token(self, kind: str, wanted: str) -> str:
        match = _TOKEN.match(self.text, self.position)
        if match is None or match[kind] is None:
            found = self.text[self.position : self.position + 1]
            raise self._error(f"expected {wanted}, found " + (repr(found) if found else "the end"))
        self.position = match.end()
        return match[0]

    def _trivia(self) -> str:
        start = self.position
        self.position = _skip(self.text, start)
        return self.text[start : self.position]

    def _line(self) -> int:
        return bisect_right(self.line_ends, self.position - 1) + 1

    def _error(self, complaint: str) -> InputError:
        return InputError(f"{self.source}:{self._line()}: not a valid prototxt: {complaint}")
