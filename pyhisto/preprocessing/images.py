"""Image files to pixels, and whole images only: a decoder that is given half a file often returns half a picture."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import cv2
import imagecodecs
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.files import reading

Image: TypeAlias = NDArray[np.uint8]
"""H x W x 3, uint8, BGR."""

PNG = b"\x89PNG\r\n\x1a\n"
RGB_8_BIT = b"\x08\x02\0\0\0"
"""What a PNG header says of 8-bit RGB, not interlaced, in bytes 24 to 28."""
MAX_PIXELS = 1 << 25
"""A larger image is taken for a decompression bomb (BACH's photos have 3 million pixels; slides are read in parts)."""
FAST_PIXELS = 1 << 22
"""In a larger PNG, what `_inflated` copies would take more memory than the picture is worth."""

_silence = Lock()
"""Warnings are ignored in all threads at once, so that only one may do it."""

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a bad file is one line, ours


def read_image(path: Path) -> Image:
    """Decode an image file (PNG, JPEG, TIFF, BMP) to H x W x 3, uint8, BGR, as Caffe's own tools do.

    Raises InputError where the file cannot be read, is cut short, is no image, or is too large for one.
    """
    path = Path(path)
    with reading(path):
        data = path.read_bytes()
    return decode_image(data, str(path))


def decode_image(data: bytes, where: str) -> Image:
    """Decode an image file's bytes; see `read_image`. `where` is what an InputError names."""
    _check_size(data, where)
    if _is_damaged(data):
        raise InputError(f"{where}: the image is cut short or damaged; fetch it again or take it out of the manifest")
    image: NDArray[Any] | None
    try:
        if data.startswith(PNG) and data[24:29] == RGB_8_BIT and _png_pixels(data) <= FAST_PIXELS:
            image = cv2.cvtColor(imagecodecs.spng_decode(_inflated(data)), cv2.COLOR_RGB2BGR)
        else:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, imagecodecs.SpngError, imagecodecs.DeflateError):
        image = None
    if image is None:
        raise InputError(f"{where}: does not decode as an image; fetch it again or take it out of the manifest")
    return np.asarray(image, np.uint8)


def _check_size(data: bytes, where: str) -> None:
    """Look at the header alone, before a decoder allocates what it promises."""
    if data.startswith(PNG) and len(data) >= 24:
        return _refuse_large(_png_pixels(data), where)
    try:
        with _silence, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(io.BytesIO(data)) as header:
                width, height = header.size
    except PIL.Image.DecompressionBombError:
        width = height = MAX_PIXELS
    except (OSError, SyntaxError, ValueError, struct.error):
        raise InputError(f"{where}: not an image, or its header is damaged; fetch it again") from None
    _refuse_large(width * height, where)


def _png_pixels(data: bytes) -> int:
    width, height = struct.unpack_from(">II", data, 16)
    return int(width * height)


def _refuse_large(pixels: int, where: str) -> None:
    if pixels > MAX_PIXELS:
        raise InputError(f"{where}: more than {MAX_PIXELS} pixels, too large for an image of a data set; take it out")


def _is_damaged(data: bytes) -> bool:
    if data.startswith(b"\x89PNG"):
        return not _png_is_whole(data)
    if data.startswith(
        b"\xff\xd8"
    ):  # JPEG: within the coded data 0xff is always escaped, so a true end marker comes last
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    return False


def _png_is_whole(data: bytes) -> bool:
    """Whether the chunks of a PNG file have the right checksums and run on to its end chunk."""
    kind = b""
    for chunk, checksum in _png_chunks(data):
        kind = chunk[:4]
        if zlib.crc32(chunk).to_bytes(4) != checksum:
            return False
    return kind == b"IEND"


def _inflated(data: bytes) -> bytes:
    """An 8-bit RGB PNG with its pixels stored as they are: the same picture, decoded in two thirds of OpenCV's time.

    Inflating is most of the cost of reading a PNG, and libdeflate, which no PNG decoder uses, does it in a third of it.
    """
    width, height = struct.unpack_from(">II", data, 16)
    compressed = b"".join(chunk[4:] for chunk, _ in _png_chunks(data) if chunk[:4] == b"IDAT")
    rows = imagecodecs.deflate_decode(compressed, raw=False, out=height * (1 + 3 * width))
    chunks = (b"IDAT" + zlib.compress(rows, level=0), b"IEND")
    return data[:33] + b"".join((len(c) - 4).to_bytes(4) + c + zlib.crc32(c).to_bytes(4) for c in chunks)


def png_text(path: Path) -> list[str]:
    """The keywords of what a PNG file carries beside its pixels as text or time (tEXt, zTXt, iTXt, tIME)."""
    data = Path(path).read_bytes()
    chunks = (chunk for chunk, _ in _png_chunks(data)) if data.startswith(PNG) else ()
    texts = [chunk for chunk in chunks if chunk[:4] in (b"tEXt", b"zTXt", b"iTXt", b"tIME")]
    return [chunk[4:].partition(b"\0")[0].decode("latin-1") if chunk[:4] != b"tIME" else "tIME" for chunk in texts]


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type and content, checksum) of each chunk up to IEND, as far as the file goes."""
    position = 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        chunk = data[position + 4 : end]
        yield chunk, data[end : end + 4]
        if chunk[:4] == b"IEND":
            return
        position = end + 4
