"""LMDBs: what goes in comes out, in key order, with bytes that depend on nothing else."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.lmdbs import writer as lmdb_writer
from data_prep.lmdbs.writer import Spool, decode_record, encode_record, lmdb_bytes
from pyhisto.errors import InputError
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.preprocessing.encoding import ENCODINGS, Encoding, as_read
from pyhisto.preprocessing.images import Image


def picture(seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (8, 9, 3), np.uint8)


def write(folder: Path, records: list[tuple[int, str, bytes]]) -> bytes:
    folder.mkdir()
    spool = Spool(folder / "spool", len(records))
    for rank, name, record in records:
        spool.add(rank, name, record)
    spool.write_lmdb(folder / "db")
    spool.close()
    assert sorted(path.name for path in folder.iterdir()) == ["db"]
    return (folder / "db/data.mdb").read_bytes()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.text("abc/_.é", max_size=40), st.binary(max_size=9000)), min_size=1), st.randoms())
def test_order_of_arrival_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, bytes]], rng: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    items = [(rank, *record) for rank, record in enumerate(records)]
    first = write(folder / "a", items)
    rng.shuffle(items)
    assert write(folder / "b", items) == first
    expected = [(f"{rank:010d}_{name}", record) for rank, (name, record) in enumerate(records)]
    assert list(LmdbFolder(folder / "a/db").items()) == expected


def test_the_map_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_writer, "FIRST_MAP", 1 << 16)
    monkeypatch.setattr(lmdb_writer, "BATCH", 1 << 15)
    records = [(rank, "x_", bytes([rank]) * 20_000) for rank in range(60)]  # 1.2 MB
    size = len(write(tmp_path / "a", records))
    assert [record for _, record in LmdbFolder(tmp_path / "a/db").items()] == [record for _, _, record in records]
    # The estimate leaves out the tree's own pages: a few of 4096.
    assert 0 <= size - lmdb_bytes(len(record) for _, _, record in records) <= 8 * 4096


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_record_round_trip(encoding: Encoding) -> None:
    image, label = decode_record(encode_record(picture(), 3, encoding))
    assert label == 3
    assert np.array_equal(image, as_read(picture(), encoding))
    assert np.array_equal(image, picture()) == (encoding in ("png", "raw"))


def test_key_too_long(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 2)
    spool.add(0, "é" * 250, b"")  # 11 + 500 = 511 bytes, LMDB's limit
    with pytest.raises(InputError, match="too long for an LMDB key"):
        spool.add(1, "é" * 250 + "a", b"")
    spool.close()


def test_no_lmdb(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no LMDB"):
        list(LmdbFolder(tmp_path).items())
    (tmp_path / "data.mdb").write_bytes(b"x" * 20_000)
    with pytest.raises(InputError, match="not an LMDB, or damaged"):
        list(LmdbFolder(tmp_path).items())
