"""Proof that an ONNX model computes what the Caffe network computes."""

from typing import Any

from pyhisto.arrays import Tensors
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.onnx.export import Export
from pyhisto.onnx.packages import load
from pyhisto.onnx.runtime import runner
from pyhisto.proof.comparison import TOLERANCE, Proof, run_both
from pyhisto.proof.engines import EngineError, choose_engine
from pyhisto.proof.memory import PROOF_BYTES, available_bytes, needed_bytes
from pyhisto.proto import Net


def prove(exported: Export, weights: Net, source: object) -> Proof | None:
    """Caffe (else OpenCV) against ONNX Runtime, on random inputs; None if neither can run the network.

    Compared are the outputs and what a Softmax reads. Raises InputError (naming `source`) if the two differ by more
    than TOLERANCE, and as `run_both` does.
    """
    choice = choose_engine([exported.network])
    if choice is None:
        return None
    _check_memory(exported, source)
    tensors = {name: exported.tensors[name] for name in exported.network.outputs}
    run_onnx = runner(with_outputs(exported.model, list(tensors.values())))

    def made(inputs: Tensors) -> Tensors:
        found = run_onnx(inputs, list(tensors.values()))
        return {name: found[tensor] for name, tensor in tensors.items()}

    try:
        proof = run_both(exported.network, weights, choice, made, source)
    except EngineError:
        return None
    if proof.largest_difference > TOLERANCE:
        raise InputError(
            f"{source}: the ONNX model differs from the network by {proof.largest_difference:.2g} (at most "
            f"{TOLERANCE:g} is allowed); nothing was written. Unless the weights are untrained, please report the "
            "prototxt"
        )
    return proof


def _check_memory(exported: Export, source: object) -> None:
    """The model's images have one size, so that a smaller one cannot be tried."""
    needed, available = needed_bytes(Graph.build(exported.network.net, source=source)), available_bytes()
    if needed > PROOF_BYTES and available is not None and needed > available:
        raise InputError(
            f"{source}: the proof takes about {needed / 2**30:.1f} GiB of memory, and {available / 2**30:.1f} are "
            "available; --no-proof does without"
        )


def with_outputs(model: Any, tensors: list[str]) -> Any:
    """A copy of the model that gives further tensors as outputs, their types left to the runtime."""
    onnx = load("onnx")
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    present = {output.name for output in probe.graph.output}
    for name in dict.fromkeys(tensors):
        if name not in present:
            probe.graph.output.add(name=name)
    return probe
