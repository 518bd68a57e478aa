"""Every layer type of the networks, one at a time, in real Caffe: run_layer_types.py CPU|GPU OUT.npz.

A program, so that each device has a process of its own, whose death is not the tests'. All numbers that go in (bottoms,
weights, the gradient from above) are drawn by numpy from one seed; all that come out are written: `case/what`.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAPS = (4, 6, 13, 13)


@dataclass(frozen=True)
class Case:
    """A layer `l` of bottoms `a`, `b`, ... of these shapes; its top is `top`, or `a` where it works in place."""

    name: str
    layer: str
    """Its text, without name, bottoms and tops."""
    bottoms: Sequence[tuple[int, ...]] = (MAPS,)
    in_place: bool = False
    train: bool = True
    """The phase; else TEST."""
    labels: int = 0
    """The last bottom is labels of so many classes."""
    backward: bool = True


CONV = 'type: "Convolution" convolution_param { num_output: 6 '
POOL = 'type: "Pooling" pooling_param { '

CASES = (
    Case("7x7 convolution, stride 2", CONV + "kernel_size: 7 stride: 2 pad: 3 }"),
    Case("3x3 convolution", CONV + "kernel_size: 3 pad: 1 }"),
    Case("1x1 convolution", CONV + "kernel_size: 1 }"),
    Case("grouped convolution", CONV + "kernel_size: 3 pad: 1 group: 3 bias_term: false }"),
    Case("max pooling, a window over the edge", POOL + "pool: MAX kernel_size: 3 stride: 2 }", [(4, 6, 12, 12)]),
    Case("max pooling, padded", POOL + "pool: MAX kernel_size: 3 stride: 1 pad: 1 }"),
    Case("average pooling", POOL + "pool: AVE kernel_size: 5 stride: 4 }"),
    Case("average pooling, a window over the edge", POOL + "pool: AVE kernel_size: 3 stride: 2 }", [(4, 6, 12, 12)]),
    Case("global average pooling", POOL + "pool: AVE global_pooling: true }"),
    Case("BatchNorm in training", 'type: "BatchNorm" batch_norm_param { eps: 0.001 }', in_place=True),
    Case("BatchNorm in testing", 'type: "BatchNorm" batch_norm_param { eps: 0.001 }', in_place=True, train=False),
    Case("Scale", 'type: "Scale" scale_param { bias_term: true }', in_place=True),
    Case("Scale by a gate", 'type: "Scale" scale_param { axis: 0 bias_term: false }', [MAPS, MAPS[:2]]),
    Case("ReLU", 'type: "ReLU"', in_place=True),
    Case("Sigmoid", 'type: "Sigmoid"', [(4, 6, 1, 1)], in_place=True),
    Case("Reshape", 'type: "Reshape" reshape_param { shape { dim: 0 dim: -1 } }', [(4, 6, 1, 1)]),
    Case(
        "SEP",
        'type: "Python" python_param { module: "pyhisto.layers.sep" layer: "SEPLayer" '
        'param_str: \'{"stage": "training"}\' }',
        [MAPS[:2]],
    ),
    Case("Concat", 'type: "Concat"', [MAPS, (4, 2, 13, 13), (4, 3, 13, 13)]),
    Case("Eltwise", 'type: "Eltwise"', [MAPS, MAPS]),
    Case("InnerProduct", 'type: "InnerProduct" inner_product_param { num_output: 5 }'),
    Case("Dropout in training", 'type: "Dropout" dropout_param { dropout_ratio: 0.7 }', [(50, 40)]),
    Case("Dropout in testing", 'type: "Dropout" dropout_param { dropout_ratio: 0.7 }', [(50, 40)], train=False),
    Case("Softmax", 'type: "Softmax"', [(9, 4)]),
    Case("SoftmaxWithLoss", 'type: "SoftmaxWithLoss" loss_weight: 0.3', [(9, 4), (9,)], labels=4),
    Case("Accuracy", 'type: "Accuracy"', [(9, 4), (9,)], labels=4, train=False, backward=False),
)


def run(caffe: Any, case: Case) -> dict[str, NDArray[Any]]:
    """What comes out of the layer: its top, and the gradients of its bottoms and weights."""
    random = np.random.default_rng(0)
    names = [chr(ord("a") + index) for index in range(len(case.bottoms))]
    top = "a" if case.in_place else "top"
    lines = ["force_backward: true"]
    for name, shape in zip(names, case.bottoms, strict=True):
        dims = " ".join(f"dim: {size}" for size in shape)
        lines.append(f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}')
    bottoms = " ".join(f'bottom: "{name}"' for name in names)
    lines.append(f'layer {{ name: "l" {bottoms} top: "{top}" {case.layer} }}')
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "net.prototxt")
        model.write_text("\n".join(lines), encoding="utf-8")
        net = caffe.Net(str(model), caffe.TRAIN if case.train else caffe.TEST)
    for name, shape in zip(names, case.bottoms, strict=True):
        net.blobs[name].data[...] = random.normal(size=shape)
    if case.labels:
        net.blobs[names[-1]].data[...] = random.integers(0, case.labels, case.bottoms[-1])
    if "Python" not in case.layer:  # its blobs are its own state
        for blob in net.params.get("l", []):
            blob.data[...] = random.uniform(0.1, 1, blob.data.shape)  # a variance is positive
    net.forward()
    found = {"top": net.blobs[top].data.copy()}
    if case.backward:
        if not case.labels:  # a loss makes its own gradient
            net.blobs[top].diff[...] = random.normal(size=net.blobs[top].data.shape)
        net.backward()
        inputs = names[:-1] if case.labels else names
        found |= {f"gradient of {name}": net.blobs[name].diff.copy() for name in inputs}
        found |= {f"gradient of blob {index}": blob.diff.copy() for index, blob in enumerate(net.params.get("l", []))}
    found |= {f"blob {index}": blob.data.copy() for index, blob in enumerate(net.params.get("l", []))}
    return found


def main() -> None:
    """Run all cases."""
    import caffe

    device, out = sys.argv[1:]
    if device == "GPU":
        caffe.set_device(0)
        caffe.set_mode_gpu()
    else:
        caffe.set_mode_cpu()
    caffe.set_random_seed(1)
    found = {f"{case.name}/{what}": value for case in CASES for what, value in run(caffe, case).items()}
    np.savez(out, **found)  # type: ignore[arg-type]  # numpy's stub takes the names for its own options


if __name__ == "__main__":
    main()
