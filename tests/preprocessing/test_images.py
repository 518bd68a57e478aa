"""Decoding: whole images come through, everything else is refused with one line."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyhisto.errors import InputError
from pyhisto.preprocessing.images import Image, decode_image, png_text, read_image


def picture() -> Image:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (5, 5), 2), np.uint8)


def encoded(extension: str) -> bytes:
    return cv2.imencode(extension, picture())[1].tobytes()


@pytest.mark.parametrize("extension", [".png", ".tif", ".bmp"])
def test_lossless_formats_come_back(extension: str) -> None:
    assert np.array_equal(decode_image(encoded(extension), "x"), picture())


def test_grey_becomes_three_channels() -> None:
    grey = cv2.imencode(".png", picture()[:, :, 0])[1].tobytes()
    assert decode_image(grey, "x").shape == (40, 60, 3)


@settings(deadline=None)
@given(st.sampled_from([".png", ".jpg", ".tif", ".bmp"]), st.floats(0, 0.999))
def test_no_cut_short_file_passes(extension: str, part: float) -> None:
    data = encoded(extension)
    with pytest.raises(InputError):
        decode_image(data[: int(part * len(data))], "x")


@settings(deadline=None)
@given(st.data())
def test_no_flipped_byte_of_a_png_passes(data: st.DataObject) -> None:
    image = bytearray(encoded(".png"))
    image[data.draw(st.integers(0, len(image) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InputError):
        decode_image(bytes(image), "x")


def test_decompression_bomb_is_refused_by_its_header() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + zlib.crc32(kind + body).to_bytes(4)

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(InputError, match="too large"):
        decode_image(bomb, "bomb.png")


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.png: cannot be read"):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InputError, match=r"text\.png: not an image"):
        read_image(tmp_path / "text.png")


def test_text_in_a_png_is_found(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + zlib.crc32(kind + body).to_bytes(4)

    data = encoded(".png")
    (tmp_path / "plain.png").write_bytes(data)
    assert png_text(tmp_path / "plain.png") == []
    extra = chunk(b"tEXt", b"Comment\0slide of 2014-03-02") + chunk(b"tIME", b"1234567")
    (tmp_path / "text.png").write_bytes(data[:33] + extra + data[33:])  # the header chunk ends at 33
    assert png_text(tmp_path / "text.png") == ["Comment", "tIME"]
    assert np.array_equal(read_image(tmp_path / "text.png"), picture())


@pytest.mark.parametrize("mode", ["RGB", "P", "L", "RGBA", "LA", "1"])
def test_every_kind_of_png_decodes_as_opencv_does(mode: str) -> None:
    out = io.BytesIO()
    PIL.Image.fromarray(picture()[:, :, ::-1]).convert(mode).save(out, "PNG")
    expected = cv2.imdecode(np.frombuffer(out.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decode_image(out.getvalue(), mode), np.asarray(expected))


def test_sixteen_bits_become_eight() -> None:
    deep = cv2.imencode(".png", picture().astype(np.uint16) * 257)[1].tobytes()
    assert np.array_equal(decode_image(deep, "16 bits"), picture())
