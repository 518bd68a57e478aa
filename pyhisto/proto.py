"""Caffe's messages, and reading and writing the files that hold them. No Caffe needed.

The message classes live in a descriptor pool of their own, so that pycaffe's own `caffe_pb2` can be imported into
the same process. In that pool the four numeric arrays of a BlobProto are declared as bytes: a packed repeated field
and a bytes field look the same on the wire, and a network's millions of weights are then read and written as
buffers, not as Python numbers. `blob_array` and `set_blob` are the way to them.

A caffemodel is read by a schema of its own, which knows the layers' names and blobs and nothing else: forks give field
numbers other meanings, so that what is not needed is not interpreted. protobuf keeps such fields byte for byte, and
writes them again.
"""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError, Message

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.files import reading, whole_file
from pyhisto.lenient import known_text

Net: TypeAlias = Any
"""A NetParameter. (The classes are made at run time, so a type checker cannot see their fields.)"""


BLOB_ARRAYS = {"data": "<f4", "diff": "<f4", "double_data": "<f8", "double_diff": "<f8"}
"""The numeric arrays of a BlobProto and their little-endian types on the wire."""

RAW_TYPES = {0: "<f8", 1: "<f4", 2: "<f2"}
"""raw_data_type -> the little-endian type of raw_data, in which NVIDIA's Caffe and OpenCV store half precision."""

_OLD_SHAPE = ("num", "channels", "height", "width")

_WEIGHTS = {
    "NetParameter": ("layer", "layers"),
    "LayerParameter": ("name", "blobs"),
    "V1LayerParameter": ("name", "blobs", "layer"),
    "V0LayerParameter": ("name", "blobs"),
    "BlobProto": ("shape", *BLOB_ARRAYS, *_OLD_SHAPE),
    "BlobShape": ("dim",),
}
"""What is read of a caffemodel."""

_RAW = ("raw_data_type", "raw_data")
"""What is read of a blob beside that if its numbers are nowhere else: another fork's fields may have these numbers."""


def _schema() -> descriptor_pb2.FileDescriptorProto:
    files = descriptor_pb2.FileDescriptorSet.FromString((Path(__file__).parent / "schema" / "caffe.desc").read_bytes())
    (schema,) = files.file
    blob = next(message for message in schema.message_type if message.name == "BlobProto")
    for field in blob.field:
        if field.name in BLOB_ARRAYS:
            field.label, field.type = field.LABEL_OPTIONAL, field.TYPE_BYTES
            field.ClearField("options")
    return schema


def _weights_schema(*of_blobs: str) -> descriptor_pb2.FileDescriptorProto:
    schema = _schema()
    weights = descriptor_pb2.FileDescriptorProto(name=schema.name, package=schema.package)
    for message in schema.message_type:
        if message.name in _WEIGHTS:
            names = (*_WEIGHTS[message.name], *(of_blobs if message.name == "BlobProto" else ()))
            kept = [field for field in message.field if field.name in names]
            weights.message_type.add(name=message.name, field=kept, enum_type=message.enum_type)
    return weights


def _message_classes(schema: descriptor_pb2.FileDescriptorProto) -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(schema)
    classes: dict[str, Any] = message_factory.GetMessageClassesForFiles([schema.name], pool)
    return classes


_CLASSES = _message_classes(_schema())


def _message_class(name: str) -> Any:
    return _CLASSES[f"caffe.{name}"]


Weights = _message_classes(_weights_schema())["caffe.NetParameter"]
"""A caffemodel: a NetParameter of which only names and blobs are known."""

_RawWeights = _message_classes(_weights_schema(*_RAW))["caffe.NetParameter"]
"""A caffemodel whose blobs hold raw data."""

NetParameter = _message_class("NetParameter")
LayerParameter = _message_class("LayerParameter")
SolverParameter = _message_class("SolverParameter")
SolverState = _message_class("SolverState")
BlobProto = _message_class("BlobProto")
FillerParameter = _message_class("FillerParameter")
Datum = _message_class("Datum")
TRAIN, TEST = 0, 1  # enum Phase


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that end a line, or do not show."""

MAX_AXES, MAX_SIZE = 32, 2**31 - 1
"""What Caffe's Blob can hold: blob.hpp, kMaxBlobAxes, and an int along each axis."""


def blob_shape(blob: Any) -> tuple[int, ...]:
    """The shape of a BlobProto, written the new way (`shape`) or the old way (num, channels, height, width)."""
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    if any(map(blob.HasField, _OLD_SHAPE)):
        return blob.num, blob.channels, blob.height, blob.width
    if (raw := _raw_type(blob)) is not None:
        return (len(blob.raw_data) // raw.itemsize,)
    return (len(blob.data or blob.double_data) // (4 if blob.data else 8),)


def _raw_type(blob: Any) -> "np.dtype[Any] | None":
    """The type of a blob's raw data; None if its numbers are not stored like that."""
    if blob.data or blob.double_data or not getattr(blob, "raw_data", b""):
        return None
    return np.dtype(RAW_TYPES[blob.raw_data_type]) if blob.raw_data_type in RAW_TYPES else None


def blob_array(blob: Any, what: str = "data") -> Floats:
    """A BlobProto's numbers (`data`, or `diff`) in its own shape; float32 or float64; read-only.

    Numbers in half precision come as float32.

    Raises InputError where shape and count disagree: a truncated or hostile file.
    """
    shape = blob_shape(blob)
    # A dimension below zero has a product of the right size beside another one below zero.
    if len(shape) > MAX_AXES or min(shape, default=0) < 0 or max(shape, default=0) > MAX_SIZE:
        raise InputError(f"a blob has {len(shape)} axes of {shape[:MAX_AXES]}: the file is damaged")
    for field in (what, f"double_{what}"):
        values = getattr(blob, field)
        if values:
            if math.prod(shape) * np.dtype(BLOB_ARRAYS[field]).itemsize != len(values):
                raise InputError(f"a blob of shape {shape} holds {len(values)} bytes of {field}: the file is damaged")
            return np.frombuffer(values, BLOB_ARRAYS[field]).reshape(shape)
    if what == "data" and (raw := _raw_type(blob)) is not None:
        if math.prod(shape) * raw.itemsize != len(blob.raw_data):
            raise InputError(f"a blob of shape {shape} holds {len(blob.raw_data)} bytes of raw data: it is damaged")
        numbers = np.frombuffer(blob.raw_data, raw).reshape(shape)
        return numbers.astype(np.float32) if raw.itemsize == 2 else numbers
    if math.prod(shape) == 0:
        return np.zeros(shape, np.float32)
    raise InputError(f"a blob of shape {shape} has no {what}: the file is damaged, or its arrays are not packed")


def set_blob(blob: Any, values: Floats) -> None:
    """Make a BlobProto hold `values` (any shape) as float32, or in the precision that it held before.

    Its gradients go. Fields that nobody knows stay.
    """
    raw = _raw_type(blob)
    double = bool(blob.double_data) or (not blob.data and raw is None and values.dtype == np.float64)
    for field in (*BLOB_ARRAYS, *_OLD_SHAPE):
        blob.ClearField(field)
    blob.shape.dim[:] = values.shape
    if raw is not None:
        blob.raw_data = np.ascontiguousarray(values, raw).tobytes()
    elif double:
        blob.double_data = np.ascontiguousarray(values, "<f8").tobytes()
    else:
        blob.data = np.ascontiguousarray(values, "<f4").tobytes()


def read_text(path: Path, message_class: Any, lenient: bool = False) -> Any:
    """Read a message from a prototxt. Unknown fields are an error, as in Caffe, or are passed over (`lenient`).

    What is read leniently lacks them: edit its text (`prototext`), rather than write it again.
    """
    return parse_text(_read_bytes(path), message_class, Path(path), lenient)


def parse_text(text: str | bytes, message_class: Any, source: Path, lenient: bool = False) -> Any:
    """Parse a message from prototxt text; `source` is what an error names."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        message = _parse(text, message_class, source, lenient)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise InputError(
            f"{source}: not a valid {message_class.DESCRIPTOR.name} prototxt: {_one_line(error)}"
        ) from None
    except RecursionError:
        raise InputError(f"{source}: not a valid prototxt: nested too deeply") from None
    if message_class is NetParameter:
        _check_names(message, source)
    return message


def _parse(text: str, message_class: Any, source: Path, lenient: bool) -> Any:
    try:
        return text_format.Parse(text, message_class())
    except text_format.ParseError:
        if not lenient:
            raise
    return text_format.Parse(known_text(text, message_class.DESCRIPTOR, source), message_class())


def _check_names(net: Net, source: Path) -> None:
    for layer in [*net.layer, *net.layers]:
        for name in (layer.name, str(layer.type), *layer.bottom, *layer.top):
            _check_name(name, source)


def _check_name(name: str | bytes, source: Path) -> None:
    """Names stand in messages and tables, each on one line. Raises InputError where one cannot."""
    if isinstance(name, bytes) or CONTROL.search(name):  # protobuf gives bytes where a name is not UTF-8
        raise InputError(f"{source}: the name {name[:60]!r} is not UTF-8, or holds a control character")


def read_net(path: Path, lenient: bool = False) -> Net:
    """Read a network description (prototxt)."""
    net = read_text(path, NetParameter, lenient)
    if not (net.layer or net.layers):
        raise InputError(f"{path}: holds no layer; is it a network's prototxt?")
    return net


def read_solver(path: Path) -> Any:
    """Read a solver's settings (prototxt)."""
    return read_text(path, SolverParameter)


def to_text(message: Message) -> str:
    """A message as prototxt."""
    return str(text_format.MessageToString(message))


def read_weights(path: Path) -> Net:
    """Read a caffemodel, binary or HDF5 (told apart by the content), as `Weights`."""
    path = Path(path)
    if is_hdf5(path):
        from pyhisto.hdf5 import read_hdf5_weights  # h5py takes its time to load, and few files need it

        net = Weights()
        for name, arrays in read_hdf5_weights(path).items():
            layer = net.layer.add(name=name)
            for values in arrays:
                set_blob(layer.blobs.add(), values)
    else:
        net = read_binary(path, Weights)
        if any(not (blob.data or blob.double_data) for layer in weight_layers(net) for blob in layer.blobs):
            net = read_binary(path, _RawWeights)
    if not (net.layer or net.layers):
        raise InputError(f"{path}: holds no layer; is it a caffemodel?")
    for layer in weight_layers(net):
        _check_name(layer.name, path)
    return net


def write_weights(path: Path, net: Net) -> None:
    """Write a caffemodel: HDF5 where the name ends in .h5, else binary. Whole or not at all."""
    with whole_file(path) as partial:
        if str(path).endswith(".h5"):
            from pyhisto.hdf5 import write_hdf5_weights

            try:
                write_hdf5_weights(
                    partial, ((layer.name, [*map(blob_array, layer.blobs)]) for layer in weight_layers(net))
                )
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{path}: HDF5 cannot hold layers of these names ({_one_line(error)}); give weights in binary form"
                ) from None
        else:
            partial.write_bytes(net.SerializeToString())


def read_binary(path: Path, message_class: Any) -> Any:
    """Read a binary message (a caffemodel, a solver state, a mean image)."""
    try:
        return message_class.FromString(_read_bytes(path))
    except DecodeError:
        raise InputError(f"{path}: not a {message_class.DESCRIPTOR.name}, or cut short") from None


def write_binary(path: Path, message: Message) -> None:
    """Write a binary message, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_bytes(message.SerializeToString())


def layer_blobs(weights: Net, readable: bool = False) -> dict[str, list[Floats]]:
    """The arrays of every layer of a caffemodel that has any, by layer name.

    Raises InputError if one is damaged; or passes such a layer over, if those that can be read (`readable`) are enough.
    """
    blobs = {}
    for layer in weight_layers(weights):
        if layer.blobs:
            try:
                blobs[layer.name] = [blob_array(blob) for blob in layer.blobs]
            except InputError as error:
                if not readable:
                    raise InputError(f"layer '{layer.name}': {error}") from None
    return blobs


def weight_layers(weights: Net) -> list[Any]:
    """What holds `name` and `blobs` of a caffemodel's layers, be it in today's format, V1 or V0."""
    return [*weights.layer, *(old.layer if old.HasField("layer") else old for old in weights.layers)]


def bare_weights(weights: Net, without: Iterable[str] = ()) -> Net:
    """A caffemodel of names and blobs alone, for programs that interpret all fields by a schema of their own."""
    bare = Weights()
    for name, arrays in layer_blobs(weights, readable=True).items():
        if name not in set(without):
            copy = bare.layer.add(name=name)
            for values in arrays:
                set_blob(copy.blobs.add(), values)
    return bare


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do."""
    with reading(path), open(path, "rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _read_bytes(path: Path) -> bytes:
    with reading(path):
        return Path(path).read_bytes()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
