"""Proof that an ONNX model computes what the Caffe network computes."""

from typing import Any

from pyhisto.errors import InputError
from pyhisto.onnx.export import Export
from pyhisto.onnx.packages import load
from pyhisto.onnx.runtime import Tensors, runner
from pyhisto.proof.comparison import TOLERANCE, Proof, run_both
from pyhisto.proof.engines import available_engine, outputs_of
from pyhisto.proto import Net


def prove(exported: Export, weights: Net, source: object) -> Proof | None:
    """Caffe (else OpenCV) against ONNX Runtime, on random inputs; None where neither can run the network.

    Compared are the outputs and what a Softmax reads. Raises InputError (naming `source`) where the two differ by more
    than TOLERANCE, and as `run_both` does.
    """
    engine = available_engine(exported.net)
    if engine is None:
        return None
    tensors = {name: exported.tensors[name] for name in outputs_of(exported.net)}
    run_onnx = runner(_with_outputs(exported.model, list(tensors.values())))

    def made(inputs: Tensors) -> Tensors:
        found = run_onnx(inputs, list(tensors.values()))
        return {name: found[tensor] for name, tensor in tensors.items()}

    proof = run_both(exported.net, weights, engine, made, source)
    if proof.largest_difference > TOLERANCE:
        raise InputError(
            f"{source}: the ONNX model differs from the network by {proof.largest_difference:.2g} (at most "
            f"{TOLERANCE:g} is allowed); nothing was written. Unless the weights are untrained, please report the "
            "prototxt"
        )
    return proof


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
