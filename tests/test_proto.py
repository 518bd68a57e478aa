"""Reading and writing Caffe's files, beside Caffe's own message classes where they are there."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pyhisto import proto
from pyhisto.arrays import Floats
from pyhisto.errors import InputError


def weights_of(**arrays: Floats) -> proto.Net:
    net = proto.NetParameter()
    for name, values in arrays.items():
        proto.set_blob(net.layer.add(name=name.replace("__", "/"), type="Convolution").blobs.add(), values)
    return net


@pytest.mark.parametrize("suffix", ["caffemodel", "caffemodel.h5"])
def test_weights_come_back(tmp_path: Path, suffix: str) -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(1, 2, 3), "conv1__7x7": np.ones(4, np.float32)}
    path = tmp_path / f"w.{suffix}"
    proto.write_weights(path, weights_of(**arrays))
    read = proto.layer_blobs(proto.read_weights(path))
    assert list(read) == ["a", "conv1/7x7"]
    assert np.array_equal(read["a"][0], arrays["a"])
    assert read["conv1/7x7"][0].dtype == np.float32


def test_old_shapes_and_doubles() -> None:
    blob = proto.BlobProto(num=1, channels=2, height=1, width=3, double_data=np.arange(6.0).tobytes())
    assert proto.blob_array(blob).shape == (1, 2, 1, 3)
    proto.set_blob(blob, np.ones((2, 2)))
    assert blob.double_data
    assert not blob.data
    assert proto.blob_array(blob).dtype == np.float64


@pytest.mark.caffe
def test_caffes_own_classes_agree_on_every_byte(tmp_path: Path) -> None:
    # In a process of its own: it shows that both sets of classes live in one.
    script = """
import h5py
import numpy as np
from pyhisto import proto
from caffe.proto import caffe_pb2
net = proto.NetParameter(name="n")
proto.set_blob(net.layer.add(name="a").blobs.add(), np.arange(6, dtype=np.float32).reshape(2, 3))
theirs = caffe_pb2.NetParameter.FromString(net.SerializeToString())
assert list(theirs.layer[0].blobs[0].data) == [0, 1, 2, 3, 4, 5]
assert list(theirs.layer[0].blobs[0].shape.dim) == [2, 3]
back = proto.NetParameter.FromString(theirs.SerializeToString())
assert back.SerializeToString() == net.SerializeToString()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_damage_is_said(tmp_path: Path) -> None:
    path = tmp_path / "w.caffemodel"
    proto.write_weights(path, weights_of(a=np.ones(1000, np.float32)))
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="cut short"):
        proto.read_weights(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n nothing more")
    with pytest.raises(InputError, match="HDF5"):
        proto.read_weights(path)
    for shape, data in (((2, 2), b"1234"), ((-1, -1), b"1234"), ((5,), b"")):
        blob = proto.BlobProto(data=data)
        blob.shape.dim.extend(shape)
        with pytest.raises(InputError, match="damaged"):
            proto.blob_array(blob)


def test_prototxts_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "n.prototxt"
    for text, words in (
        ("layer {", "not a valid"),
        ("nme: 'x'", "nme"),
        ("name: 'x'", "no layer"),
        ("\xff", "no field|valid"),
    ):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(InputError, match=words):
            proto.read_net(path)
    with pytest.raises(InputError, match="cannot be read"):
        proto.read_net(tmp_path / "none.prototxt")


def test_the_schema_is_compiled_from_its_source(root: Path, tmp_path: Path) -> None:
    import shutil

    protoc = shutil.which("protoc")
    if protoc is None:
        pytest.skip("needs protoc")
    schema = root / "pyhisto" / "schema"
    out = tmp_path / "caffe.desc"
    subprocess.run([protoc, "--proto_path", schema, "--descriptor_set_out", out, schema / "caffe.proto"], check=True)
    assert out.read_bytes() == (schema / "caffe.desc").read_bytes()


def test_an_hdf5_layer_whose_name_is_no_utf8(tmp_path: Path) -> None:
    model = tmp_path / "m.caffemodel.h5"
    with h5py.File(model, "w") as file:
        file.create_group(b"data/\xff\xfe").create_dataset("0", data=np.ones(3, np.float32))
    with pytest.raises(InputError, match="not an HDF5 caffemodel"):
        proto.read_weights(model)
