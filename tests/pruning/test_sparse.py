"""Sparse weights on disk: what is read is what was written, in the smaller form."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.proto import Net, NetParameter, layer_blobs, set_blob
from pyhisto.pruning.sparse import read_sparse, write_sparse

NUMBERS = st.one_of(st.just(0.0), st.floats(width=32))  # -0, nan and inf among them


def net_of(*blobs: tuple[str, list[Floats]]) -> Net:
    net = NetParameter()
    for name, values in blobs:
        layer = net.layer.add(name=name, type="Convolution")
        for array in values:
            set_blob(layer.blobs.add(), array)
    return net


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from([np.float32, np.float64]).flatmap(
                lambda dtype: arrays(dtype, array_shapes(max_dims=4, max_side=5), elements=NUMBERS)
            ),
            min_size=1,
            max_size=3,
        ),
        max_size=4,
    )
)
def test_read_is_what_was_written_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, layers: list[list[Floats]]
) -> None:
    path = tmp_path_factory.mktemp("sparse") / "model.sparse"
    net = net_of(*((f" inception_{number}/1x1 é", arrays) for number, arrays in enumerate(layers)))
    assert write_sparse(path, net) == path.stat().st_size
    before, after = layer_blobs(net), layer_blobs(read_sparse(path))
    assert list(before) == list(after)
    for name in before:
        assert [array.dtype for array in before[name]] == [array.dtype for array in after[name]]
        assert [array.shape for array in before[name]] == [array.shape for array in after[name]]
        assert [array.tobytes() for array in before[name]] == [array.tobytes() for array in after[name]]


def test_each_blob_takes_the_smaller_form(tmp_path: Path) -> None:
    weights = np.zeros((4, 25), np.float32)
    weights[0, :10] = 1.5
    bias = np.ones(4, np.float32)
    # 9 bytes of magic and version + 4 (layers); the layer: 2 + 2 ("ip") + 2 (blobs). Weights: 1 + 1 + 2 * 4 of header,
    # 100 bits in 13 bytes, 10 values in 40. Bias: 1 + 1 + 4 of header, and dense, 16 (sparse it would be 1 + 16).
    assert write_sparse(tmp_path / "a", net_of(("ip", [weights, bias]))) == 13 + 6 + (10 + 13 + 40) + (6 + 16)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.sparse"
    weights = np.eye(6, dtype=np.float32)
    write_sparse(path, net_of(("ip", [weights, np.ones(3, np.float32)])))
    data = path.read_bytes()
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError, match=r"model\.sparse: "):
            read_sparse(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(InputError, match="damaged"):
        read_sparse(path)
    empty = data[:19] + b"\0\x08" + b"\xff" * 28 + b"\0" * 4  # no number, but a shape that numpy cannot hold
    path.write_bytes(empty)
    with pytest.raises(InputError, match="damaged"):
        read_sparse(path)
    huge = data[:19] + b"\0\x04" + b"\xff" * 16  # a dense blob of four axes of 2^32 - 1
    path.write_bytes(huge)
    with pytest.raises(InputError, match="damaged"):
        read_sparse(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_sparse(tmp_path / "none")


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 400), value=st.integers(0, 255))
def test_a_changed_byte_gives_weights_or_one_complaint(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("sparse") / "model.sparse"
    write_sparse(path, net_of(("ip", [np.eye(6, dtype=np.float32), np.ones(3, np.float32)])))
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(data)
    try:
        read_sparse(path)
    except InputError as error:
        assert "\n" not in str(error)
