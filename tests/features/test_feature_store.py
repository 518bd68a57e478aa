"""The features file: what goes in comes out, always as the same bytes; damage is one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.features.store import Features, read_features, write_features

IMAGES = ["b/2.png", "a/1.png", "c/ä.png"]


def made_up() -> Features:
    rng = np.random.default_rng(0)
    return Features(IMAGES, {name: rng.random((3, n), np.float32) for name, n in (("LBP", 10), ("ORB", 32))})


def test_round_trip_and_bytes(tmp_path: Path) -> None:
    features = made_up()
    write_features(tmp_path / "one.npz", features)
    write_features(tmp_path / "two.npz", features)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    read = read_features(tmp_path / "one.npz")
    assert read.images == IMAGES
    assert list(read.values) == ["LBP", "ORB"]
    assert np.array_equal(read.values["ORB"], features.values["ORB"])


def test_rows_come_in_the_order_asked_for() -> None:
    features = made_up()
    assert np.array_equal(features.rows("LBP", ["c/ä.png", "b/2.png"]), features.values["LBP"][[2, 0]])
    with pytest.raises(InputError, match=r"d\.png: no features of it \(2 such images\)"):
        features.rows("LBP", ["b/2.png", "d.png", "e.png"])


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({}, "no list of images"),
        ({"images": np.arange(3)}, "no list of images"),
        ({"images": np.array(["a", "b", "a"]), "LBP": np.zeros((3, 10), np.float32)}, "lists an image twice"),
        ({"images": np.array(["a"])}, "holds no descriptor"),
        ({"images": np.array(["a"]), "HOG": np.zeros((1, 9), np.float32)}, "'HOG' is none of LBP, CLBP"),
        ({"images": np.array(["a"]), "LBP": np.zeros((1, 9), np.float32)}, r"LBP is float32 of shape \(1, 9\)"),
        ({"images": np.array(["a"]), "LBP": np.zeros((1, 10))}, "LBP is float64"),
        ({"images": np.array(["a"]), "LBP": np.full((1, 10), np.nan, np.float32)}, "not finite"),
        ({"images": np.array(["a"]), "LBP": np.array([{}], object)}, "not a features file, or damaged"),
    ],
)
def test_faults(tmp_path: Path, arrays: dict[str, Any], fault: str) -> None:
    path = tmp_path / "features.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=f"features.npz: .*{fault}"):
        read_features(path)


def test_damage(tmp_path: Path) -> None:
    path = tmp_path / "features.npz"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_features(path)
    write_features(path, made_up())
    data = path.read_bytes()
    for damaged in (b"", b"PK\x03\x04", data[:-30], data[: len(data) // 2], b"x" * 100):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"features\.npz: "):
            read_features(path)
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(data), 200):  # one byte wrong: an error of ours, or the numbers unharmed
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            read = read_features(path)
        except InputError:
            continue
        assert all(np.array_equal(read.values[name], made_up().values[name]) for name in read.values)
