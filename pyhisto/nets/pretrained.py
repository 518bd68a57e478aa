"""Published ResNeXt weights (torchvision's, timm's) as a caffemodel for the networks of `resnext`.

Both publishers name the tensors alike: conv1, bn1, layer1.0.conv1 ... layer4.2.bn3, layer1.0.downsample.0 and .1, fc;
BatchNorm's as weight, bias, running_mean, running_var, num_batches_tracked. Every tensor is used, every layer filled,
or it is an error. The published networks read RGB from 0 to 1, divided by a standard deviation; what divides and turns
the channels round goes into conv1's weights, so that the caffemodel reads what every network here reads: BGR from 0 to
255, a mean subtracted (theirs was `resnext.IMAGENET_MEAN`).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Tensors
from pyhisto.errors import InputError
from pyhisto.extras import what_to_install
from pyhisto.graph import Graph, Node
from pyhisto.graph.types import dims
from pyhisto.proto import Net, NetParameter, set_blob

IMAGENET_STD = (0.229, 0.224, 0.225)
"""R, G, B, of values 0 to 1: what the published weights' training divided by."""

CLASSIFIER = "classifier"
FIRST = "conv1"

LAYER = re.compile(r"(?P<kind>res|bn|scale)(?P<stage>[2-5])(?P<block>[a-z])_branch(?P<branch>1|2a|2b|2c)")
COUNTER = "num_batches_tracked"
"""How many batches PyTorch's BatchNorm has seen: no weight, and not always there."""


def read_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a .safetensors file, or of a .pth or .pt file where torch is installed (weights only, no pickle).

    Raises InputError where the file cannot be read as such, or holds numbers that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give published weights, .safetensors or .pth")
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not tensors:
        raise InputError(f"{path}: holds no tensor")
    read = {}
    for name, values in tensors.items():
        if name.endswith(COUNTER):
            continue
        with np.errstate(over="ignore"):
            read[name] = values.astype(np.float32)
        if values.dtype.kind != "f" or not np.isfinite(read[name]).all():
            raise InputError(f"{path}: tensor '{name}' is not of finite floating-point numbers ({values.dtype})")
    return read


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: {what_to_install(error) or error}") from None
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        what = " ".join(str(error).split())
        raise InputError(f"{path}: not a safetensors file, or not of numpy's number types: {what}") from None


def _read_torch(path: Path) -> dict[str, NDArray[Any]]:
    try:
        import torch
    except ImportError:
        raise InputError(
            f"{path}: only torch reads this format, and it is not installed; give the weights as .safetensors"
        ) from None
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no one class for what can be wrong with a file
        raise InputError(f"{path}: torch cannot read it as weights: {' '.join(str(error).split())[:200]}") from None
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    if not isinstance(value, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in value.values()):
        raise InputError(f"{path}: is not a table of tensors; give a state dict")
    return {str(name): tensor.numpy() for name, tensor in value.items()}


def convert(
    net: Net, tensors: Tensors, source: Path, without_classifier: bool = False, std: Sequence[float] = IMAGENET_STD
) -> Net:
    """The weights of a network of `resnext` (its deploy file `net`) from published tensors.

    Args:
        net: the network to make weights for.
        tensors: name -> values, as `read_tensors` gives them.
        source: the tensors' file, which errors name.
        without_classifier: leave out the publisher's classifier and the network's head; Caffe then initialises it.
        std: per channel R, G, B, of values 0 to 1: what the inputs in the published training were divided by.

    Raises InputError where a tensor is missing, is left over or has the wrong shape.
    """
    left = {name: values for name, values in tensors.items() if not without_classifier or not name.startswith("fc.")}
    weights = NetParameter(name=net.name)
    missing = []
    for node in Graph.build(net).nodes:
        if not node.param_shapes:
            continue
        names = tensor_names(node.name, node.type)
        if names is None or names[0].startswith("fc."):
            if without_classifier:
                continue
            if names is None:
                raise InputError(
                    f"{source}: has nothing for layer '{node.name}', which is none of a standard ResNeXt; leave the "
                    "classifier out (--without-classifier) to convert all but the network's own head"
                )
        if absent := [name for name in names if name not in left]:
            missing += absent
            continue
        blobs = [
            _fitting(left.pop(name), name, shape, node, source)
            for name, shape in zip(names, node.param_shapes, strict=False)
        ]
        if node.name == FIRST:
            blobs = [from_rgb(blobs[0], std)]
        if node.type == "BatchNorm":
            blobs.append(np.ones(1, np.float32))  # Caffe divides the two statistics by this
        layer = weights.layer.add(name=node.name, type=node.type)
        for values in blobs:
            set_blob(layer.blobs.add(), values)
    if missing:
        raise InputError(f"{source}: has no tensor {_some(missing)}; are these weights of this network's depth?")
    if left:
        raise InputError(
            f"{source}: nothing in the network takes {_some(list(left))}; is it of another depth, or another network?"
        )
    return weights


def tensor_names(layer: str, kind: str) -> list[str] | None:
    """The tensors of which a layer's blobs are made, in order; None for a layer that the published network lacks."""
    if layer == CLASSIFIER:
        return ["fc.weight", "fc.bias"]
    if layer in ("conv1", "bn_conv1", "scale_conv1"):
        owner = "conv1" if layer == "conv1" else "bn1"
    elif match := LAYER.fullmatch(layer):
        block = f"layer{int(match['stage']) - 1}.{ord(match['block']) - ord('a')}"
        is_convolution = match["kind"] == "res"
        if match["branch"] == "1":
            owner = f"{block}.downsample.{0 if is_convolution else 1}"
        else:
            owner = f"{block}.{'conv' if is_convolution else 'bn'}{'abc'.index(match['branch'][1]) + 1}"
    else:
        return None
    ends = {"Convolution": ["weight"], "BatchNorm": ["running_mean", "running_var"], "Scale": ["weight", "bias"]}
    return [f"{owner}.{end}" for end in ends[kind]] if kind in ends else None


def from_rgb(weights: NDArray[np.float32], std: Sequence[float]) -> NDArray[np.float32]:
    """A first convolution's weights (outputs x RGB x height x width) for BGR from 0 to 255 that nothing divides."""
    divided = weights / (255 * np.asarray(std, np.float64))[:, np.newaxis, np.newaxis]
    return np.ascontiguousarray(divided[:, ::-1], np.float32)


def _fitting(
    values: NDArray[np.float32], name: str, shape: tuple[int, ...], node: Node, source: Path
) -> NDArray[np.float32]:
    if values.shape != shape:
        raise InputError(
            f"{source}: tensor '{name}' is {dims(values.shape)}, layer '{node.name}' needs {dims(shape)}; are these "
            "weights of this network's widths and classes?"
        )
    return values


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f"'{name}'" for name in names[:5]) + more
