"""Proof that an ONNX model computes what the Caffe network computes, on random inputs.

The manner is the pruner's (`pyhisto.pruning.proof`), but here two programs run one network.
"""

from typing import Any

import numpy as np

from pyhisto.errors import InputError
from pyhisto.onnx.export import Export
from pyhisto.onnx.packages import load
from pyhisto.onnx.runtime import Tensors, runner
from pyhisto.proto import Net
from pyhisto.pruning.proof import ENGINES, ROUNDING_MARGIN, SCALES, TOLERANCE, Proof, available_engine, outputs_of


def prove(exported: Export, weights: Net, source: object, seed: int = 0) -> Proof | None:
    """Caffe (else OpenCV) against ONNX Runtime on each of SCALES; None where neither can run the network.

    Compared are the outputs and what a Softmax reads. Inputs on which a change of the last bit alone moves the outputs
    about as far as TOLERANCE prove nothing and are left out, as in the pruner's proof. Raises InputError (naming
    `source`) where the two differ by more than TOLERANCE, or no input is left.
    """
    engine = available_engine(exported.net)
    if engine is None:
        return None
    outputs = outputs_of(exported.net)
    run_onnx = runner(_with_outputs(exported.model, [exported.tensors[name] for name in outputs]))
    generator = np.random.default_rng(seed)
    shapes = {
        layer.top[0]: tuple(layer.input_param.shape[0].dim) for layer in exported.net.layer if layer.type == "Input"
    }
    differences = {}
    for scale in SCALES:
        inputs = {name: (generator.standard_normal(shape) * scale).astype(np.float32) for name, shape in shapes.items()}
        original = ENGINES[engine](exported.net, weights, inputs, outputs)
        found = run_onnx(inputs, [exported.tensors[name] for name in outputs])
        difference = _difference(original, {name: found[exported.tensors[name]] for name in outputs}, source)
        if difference > TOLERANCE:
            nudged = {name: np.nextafter(values, np.float32(np.inf)) for name, values in inputs.items()}
            moved = _difference(original, ENGINES[engine](exported.net, weights, nudged, outputs), source)
            if moved <= TOLERANCE / ROUNDING_MARGIN:
                raise InputError(
                    f"{source}: the ONNX model differs from the network by {difference:.2g} (at most {TOLERANCE:g} is "
                    "allowed); nothing was written. Unless the weights are untrained, please report the prototxt"
                )
            continue
        differences[scale] = difference
    if not differences:
        raise InputError(
            f"{source}: the network turns rounding of its input into differences of {TOLERANCE:g} and more, so that "
            "running it proves nothing; are the weights trained? --no-proof does without"
        )
    return Proof(engine, max(differences.values()), outputs, tuple(differences))


def _difference(original: Tensors, found: Tensors, source: object) -> float:
    """The largest over all outputs; relative to an output's largest value where that is above 1."""
    largest = 0.0
    for name, one in original.items():
        other = found[name]
        if not np.isfinite(one).all():
            raise InputError(f"{source}: output '{name}' is not finite on random input: are the weights trained?")
        if one.shape != other.shape:
            raise InputError(f"{source}: output '{name}' of the ONNX model is {other.shape}, the network's {one.shape}")
        reach = max(1.0, float(np.abs(one).max(initial=0)))
        difference = float(np.abs(one - other).max(initial=0)) / reach
        largest = max(largest, np.inf if np.isnan(difference) else difference)
    return largest


def _with_outputs(model: Any, tensors: list[str]) -> Any:
    """A copy of the model that gives further tensors as outputs, their types left to the runtime."""
    onnx = load("onnx")
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    present = {output.name for output in probe.graph.output}
    for name in dict.fromkeys(tensors):
        if name not in present:
            probe.graph.output.add(name=name)
    return probe
