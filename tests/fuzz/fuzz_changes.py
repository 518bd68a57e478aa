"""Ways to spoil a file, by its kind; the random generator decides which."""

import json
import random
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

NASTY = (
    "", "-1", "0", "1", "nan", "NaN", "inf", "-Infinity", "1e999", "1e-320", "3000000000", "99999999999999999999",
    "9" * 5000, "x" * 5000, "\u00b2", "\u0663", "\U0001f41f", "a\nb", "a\tb", "'", '"', "`id`", "$(id)", ";",
    "../../etc", "/", "\\", "\x00", "\x1b[31m", "%s%n", "{x}", "[]", "true", "null", "0x10", "1_000",
    " 1", "-0", "0.5", "1.5", "\u202e",
)  # fmt: skip
NASTY_JSON: tuple[Any, ...] = (
    None, True, [], {}, [[]], "", "x", "\n", -1, 0, 1.5, 1e308, 10**17, 10**30, 10**400, "9" * 5000, [1, [2, [3]]],
    {"a": {}},
)  # fmt: skip
TEXT = {".prototxt", ".txt", ".csv", ".json", ".jsonl", ".yaml", ".xml"}


def spoil(path: Path, rng: random.Random) -> str:
    """Replace a file (never write into it: it may be linked) by a spoilt one; says how."""
    data = path.read_bytes()
    path.unlink()
    if rng.random() < 0.04:
        return _instead(path, rng)
    change = rng.choice(_changes(path))
    path.write_bytes(change(data, rng)[: 1 << 24])
    return change.__name__.strip("_")


def _changes(path: Path) -> list[Callable[[bytes, random.Random], bytes]]:
    changes: list[Callable[[bytes, random.Random], bytes]] = [_cut, _flip, _zeros, _repeat, _insert]
    if path.suffix in TEXT:
        changes += [_token, _token, _token, _line, _line, _nested]
    if path.suffix == ".json":
        changes += [_value, _value, _value, _value, _value]
    if path.suffix == ".jsonl":
        changes += [_value_of_a_line, _value_of_a_line]
    if path.suffix == ".csv":
        changes += [_cell, _cell, _cell]
    if path.suffix == ".png":
        changes += [_png_header, _png_header]
    if path.suffix == ".mdb":
        changes += [_page, _page, _page, _page_cut]
    return changes


def _instead(path: Path, rng: random.Random) -> str:
    """Something else where the file should be."""
    what = rng.choice(["nothing", "folder", "empty", "link to nothing", "link to itself"])
    if what == "folder":
        path.mkdir()
    elif what == "empty":
        path.touch()
    elif what == "link to nothing":
        path.symlink_to("nowhere")
    elif what == "link to itself":
        path.symlink_to(path.name)
    return what


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _flip(data: bytes, rng: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        if spoilt:
            spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def _zeros(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    length = min(rng.choice([1, 4, 64, 4096]), len(data) - start)
    return data[:start] + rng.choice([b"\0", b"\xff"]) * length + data[start + length :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    part = data[start : start + rng.choice([1, 16, 256, 4096])]
    return data[:start] + part * rng.choice([2, 3, 50]) + data[start:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.randbytes(rng.choice([1, 2, 8, 100])) + data[start:]


def _token(data: bytes, rng: random.Random) -> bytes:
    """Another word or number for one, or one of another place."""
    text = data.decode("utf-8", "surrogateescape")
    tokens = list(re.finditer(r"[\w.+-]+", text))
    if not tokens:
        return data
    token = rng.choice(tokens)
    other = rng.choice(NASTY) if rng.random() < 0.7 else rng.choice(tokens)[0]
    return (text[: token.start()] + other + text[token.end() :]).encode("utf-8", "surrogateescape")


def _line(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    here, there = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.randrange(3)
    if what == 0:
        del lines[here]
    elif what == 1:
        lines.insert(there, lines[here])
    else:
        lines[here], lines[there] = lines[there], lines[here]
    return b"".join(lines)


def _nested(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.choice([b"[", b"{", b'{"a":', b"layer {", b"(", b"<a>", b"- "]) * 100_000 + data[start:]


def _value(data: bytes, rng: random.Random) -> bytes:
    """Another value, or none, for one in a JSON file."""
    content = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            places.append((value, key))
            walk(value[key])

    walk(content)
    if not places:
        return json.dumps(rng.choice(NASTY_JSON)).encode()
    parent, key = rng.choice(places)
    if rng.random() < 0.2:
        del parent[key]
    else:
        parent[key] = rng.choice(NASTY_JSON)
    return _dumps(content)


def _value_of_a_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines()
    number = rng.randrange(len(lines))
    lines[number] = _value(lines[number], rng)
    return b"\n".join(lines) + b"\n"


def _dumps(content: Any) -> bytes:
    """JSON with whole numbers of any length, which Python does not write above 4,300 digits."""
    return json.dumps(content).encode()


def _cell(data: bytes, rng: random.Random) -> bytes:
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    number = rng.randrange(len(lines))
    cells = lines[number].split(",")
    cells[rng.randrange(len(cells))] = rng.choice(NASTY)
    lines[number] = ",".join(cells)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _png_header(data: bytes, rng: random.Random) -> bytes:
    """Another size or type, with the right checksum."""
    header = bytearray(data[12:29])
    sides = [0, 1, 7, 5000, 8192, 40000, 2**31 - 1, 2**32 - 1]
    if rng.random() < 0.7:
        struct.pack_into(">II", header, 4, rng.choice(sides), rng.choice(sides))
    else:
        header[12 + rng.randrange(5)] = rng.randrange(256)
    return data[:12] + bytes(header) + zlib.crc32(bytes(header)).to_bytes(4) + data[33:]


def _page(data: bytes, rng: random.Random) -> bytes:
    """Noise in the head of one of an LMDB's pages: its flags, its offsets."""
    spoilt = bytearray(data)
    start = rng.randrange(max(1, len(data) // 4096)) * 4096
    for _ in range(rng.choice([1, 4, 16])):
        place = start + rng.randrange(64)
        if place < len(spoilt):
            spoilt[place] = rng.randrange(256)
    return bytes(spoilt)


def _page_cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) // 4096 + 1) * 4096]
