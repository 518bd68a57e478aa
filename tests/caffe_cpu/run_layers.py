"""Random layers through pycaffe: `run_layers.py OUT.npz SEED COUNT`. Blobs, gradients and parameters into one file.

Run twice, with PYHISTO_STOCK_CAFFE=1 and without, the same seed gives the same layers, inputs and gradients to both.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("GLOG_minloglevel", "2")
import caffe


def window(rng: np.random.Generator, height: int, width: int) -> str:
    """Kernel, stride and padding that fit an image."""
    kernel_h, kernel_w = int(rng.integers(1, min(height, 7) + 1)), int(rng.integers(1, min(width, 7) + 1))
    stride_h, stride_w = rng.integers(1, 4, 2)
    pad_h, pad_w = rng.integers(0, kernel_h), rng.integers(0, kernel_w)
    return (
        f"kernel_h: {kernel_h} kernel_w: {kernel_w} stride_h: {stride_h} stride_w: {stride_w} "
        f"pad_h: {pad_h} pad_w: {pad_w}"
    )


def pooling(rng: np.random.Generator, shape: list[int]) -> str:
    method = rng.choice(["MAX", "AVE"])
    if rng.random() < 0.2:
        return f'type: "Pooling" top: "out" pooling_param {{ pool: {method} global_pooling: true }}'
    mask = 'top: "mask"' if method == "MAX" and rng.random() < 0.3 else ""
    rounding = rng.choice(["CEIL", "FLOOR"])
    return (
        f'type: "Pooling" top: "out" {mask} '
        f"pooling_param {{ pool: {method} round_mode: {rounding} {window(rng, *shape[2:])} }}"
    )


def relu(rng: np.random.Generator, shape: list[int]) -> str:
    slope = rng.choice([0, 0.1])
    return f'type: "ReLU" top: "{rng.choice(["in", "out"])}" relu_param {{ negative_slope: {slope} }}'


def batch_norm(rng: np.random.Generator, shape: list[int]) -> str:
    stored = rng.choice(["", "use_global_stats: true", "use_global_stats: false"])
    return f'type: "BatchNorm" top: "{rng.choice(["in", "out"])}" batch_norm_param {{ eps: 0.001 {stored} }}'


def scale(rng: np.random.Generator, shape: list[int]) -> str:
    axis, bias = rng.integers(0, 3), rng.choice(["true", "false"])
    axes = rng.integers(0, 4 - axis)
    return (
        f'type: "Scale" top: "{rng.choice(["in", "out"])}" '
        f"scale_param {{ axis: {axis} num_axes: {axes} bias_term: {bias} }}"
    )


def scale_by_blob(rng: np.random.Generator, shape: list[int]) -> str:
    axis, bias = int(rng.integers(0, 2)), rng.choice(["true", "false"])
    return f'type: "Scale" bottom: "factors" top: "out" scale_param {{ axis: {axis} bias_term: {bias} }}'


def convolution(rng: np.random.Generator, shape: list[int]) -> str:
    group = int(rng.choice([g for g in (1, 1, 1, 2, 4, shape[1]) if shape[1] % g == 0]))
    outputs = group * int(rng.integers(1, 9))
    bias = rng.choice(["true", "false"])
    kind = rng.random()
    if kind < 0.2:
        size = "kernel_size: 1"
    elif kind < 0.45 and min(shape[2:]) >= 3:
        size = "kernel_size: 3 pad: 1"
    elif kind < 0.55 and min(shape[2:]) >= 5:
        size = "kernel_size: 3 pad: 2 dilation: 2"
    else:
        size = window(rng, *shape[2:])
    several = 'bottom: "second" top: "out" top: "out2"' if rng.random() < 0.2 else 'top: "out"'
    nd = "force_nd_im2col: true" if rng.random() < 0.1 else ""
    return (
        f'type: "Convolution" {several} convolution_param {{ num_output: {outputs} group: {group} bias_term: {bias} '
        f'{size} {nd} weight_filler {{ type: "gaussian" std: 0.1 }} }}'
    )


def convolution_3x3(rng: np.random.Generator, shape: list[int]) -> str:
    """What may be computed by Winograd's products."""
    shape[1:] = [int(rng.integers(16, 49)), *map(int, rng.integers(3, 40, 2))]
    return (
        f'type: "Convolution" top: "out" convolution_param {{ num_output: {rng.integers(16, 49)} kernel_size: 3 '
        f'pad: {rng.integers(0, 3)} weight_filler {{ type: "gaussian" std: 0.1 }} }}'
    )


KINDS: dict[str, Callable[[np.random.Generator, list[int]], str]] = {
    "pooling": pooling,
    "relu": relu,
    "batch_norm": batch_norm,
    "scale": scale,
    "scale_by_blob": scale_by_blob,
    "convolution": convolution,
    "convolution_3x3": convolution_3x3,
}


def values(rng: np.random.Generator, shape: tuple[int, ...], special: bool) -> NDArray[np.float32]:
    """Numbers with ties; with `special`, also infinities, NaN and -0."""
    numbers: NDArray[np.floating] = rng.normal(size=shape).astype(np.float32)
    if rng.random() < 0.5:
        numbers = np.round(numbers * 2) / 2
    if special:
        numbers = np.where(rng.random(shape) < 0.1, rng.choice([np.inf, -np.inf, np.nan, -0.0], size=shape), numbers)
    return numbers.astype(np.float32)


def run(kind: str, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """One random layer, forward and backward twice, the second time with another number of images."""
    shape = [int(rng.integers(1, 6)), int(rng.integers(1, 13)), int(rng.integers(1, 40)), int(rng.integers(1, 40))]
    if rng.random() < 0.1 and kind == "convolution":
        shape[1:] = [int(rng.integers(16, 65)), 28, 28]
    layer = KINDS[kind](rng, shape)
    phase = rng.choice(["TRAIN", "TEST"])
    inputs = {"in": shape}
    if "factors" in layer:
        axis = 1 if "axis: 1" in layer else 0
        inputs["factors"] = shape[axis : int(rng.integers(axis + 1, 5))]
        if axis == 0 and len(inputs["factors"]) == 4 and "bias_term: true" in layer:
            inputs["factors"] = shape[:2]
    if '"second"' in layer:
        inputs["second"] = shape
    text = "force_backward: true\n"
    for name, dims in inputs.items():
        sizes = " ".join(f"dim: {d}" for d in dims)
        text += f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {sizes} }} }} }}\n'
    text += f'layer {{ name: "layer" bottom: "in" {layer} }}\n'
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text)
        file.flush()
        net = caffe.Net(file.name, caffe.TRAIN if phase == "TRAIN" else caffe.TEST)
    for blob in net.params.get("layer", []):
        blob.data[...] = (
            np.abs(rng.normal(size=blob.data.shape)) + 0.1 if kind == "batch_norm" else rng.normal(size=blob.data.shape)
        )
    found: dict[str, NDArray[Any]] = {"text": np.array(text + f"# phase {phase}")}
    special = kind in ("pooling", "relu") and rng.random() < 0.3
    for turn, images in enumerate([shape[0], int(rng.integers(1, 4))]):
        if "axis: 0" not in layer and "factors" not in inputs:  # whose factors' shape has the number of images in it
            for name in inputs:
                net.blobs[name].reshape(images, *shape[1:])
        net.reshape()
        for name in inputs:
            net.blobs[name].data[...] = values(rng, net.blobs[name].data.shape, special)
        net.forward()
        found.update({f"{turn} data {name}": blob.data.copy() for name, blob in net.blobs.items()})
        if kind == "pooling" and (net.blobs["out"].data == -np.finfo(np.float32).max).any():
            break  # a window of nothing: Caffe's own backward pass writes outside of the blob
        tops = [name for name in ("out", "out2") if name in net.blobs] or ["in"]
        for name in tops:
            net.blobs[name].diff[...] = values(rng, net.blobs[name].diff.shape, False)
        for blob in net.params.get("layer", []):
            blob.diff[...] = 1  # gradients of parameters are added to what is there
        net.backward()
        found.update({f"{turn} diff {name}": net.blobs[name].diff.copy() for name in (*inputs, *tops)})
        for index, blob in enumerate(net.params.get("layer", [])):
            found[f"{turn} parameter {index}"] = blob.data.copy()
            found[f"{turn} gradient {index}"] = blob.diff.copy()
    return found


def main() -> None:
    out, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    caffe.set_mode_cpu()
    results = {}
    for kind in KINDS:
        for index in range(count):
            rng = np.random.default_rng([seed, index, *kind.encode()])
            results.update({f"{kind} {index} {name}": array for name, array in run(kind, rng).items()})
    np.savez(out, **results)  # type: ignore[arg-type]  # numpy's stub takes the names for its own options


if __name__ == "__main__":
    main()
