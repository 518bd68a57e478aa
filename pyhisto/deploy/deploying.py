"""From a network's files to the folder that a tool chain is given."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pyhisto.deploy.calibration import LIST, write_images
from pyhisto.deploy.chain import Chain, ChainInputs, Rewrite, Subject
from pyhisto.deploy.form import Form
from pyhisto.deploy.rewrites.fold_batch_norm import fold_batch_norm
from pyhisto.errors import InputError
from pyhisto.files import sha256, whole_folder, write_text
from pyhisto.graph import Graph, Shape, check_weights
from pyhisto.lint.rules import Finding
from pyhisto.manifest import Row
from pyhisto.onnx.export import export, write_model
from pyhisto.onnx.proof import prove as prove_onnx
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proof.comparison import TOLERANCE, Proof, run_both
from pyhisto.proof.engines import PROOF_ENGINES, EngineError, choose_engine
from pyhisto.proto import NetParameter, parse_text, read_weights, write_weights
from pyhisto.prototext import Document


@dataclass(frozen=True)
class Deployed:
    """A form for a chain, before it is written."""

    original: Form
    form: Form
    changes: tuple[str, ...]
    """A line for each."""
    findings: tuple[Finding, ...]
    """What the chain cannot take, or takes otherwise."""


def read(model: Path, weights_path: Path, images: int, input_shapes: Mapping[str, Shape]) -> Form:
    """The form of a deploy network as its files describe it, for so many images at once.

    Raises InputError if the weights do not fit, or the shape of an input is not known.
    """
    document = Document.read(model)
    net = parse_text(document.text(), NetParameter, model, lenient=True)
    graph = Graph.build(net, input_shapes=input_shapes, source=model)
    shapes = {blob.name: (images, *blob.shape[1:]) for blob in graph.inputs if blob.shape and len(blob.shape) == 4}
    graph = Graph.build(net, input_shapes={**input_shapes, **shapes}, source=model)
    weights = read_weights(weights_path)
    lacking = [node.name for node in check_weights(graph, weights, weights_path) if node.type != "Python"]
    if lacking:
        raise InputError(
            f"{weights_path}: holds no weights for layer '{lacking[0]}' of {model}; is it of another network?"
        )
    return Form.of(graph, document, weights)


def rewrite(original: Form, chain: Chain, fold: bool) -> Deployed:
    """The form that the chain takes, and what stays in its way."""
    rewrites: Sequence[Rewrite] = (*chain.rewrites[:1], *([fold_batch_norm] if fold else []), *chain.rewrites[1:])
    form, changes = original, list[str]()
    for each in rewrites:
        form, changed = each(form)
        changes += changed
    findings = sorted(chain.rules.findings(Subject.of(form), original.source), key=lambda finding: finding.line)
    return Deployed(original, form, tuple(changes), tuple(findings))


def prove(deployed: Deployed) -> Proof | None:
    """The original form against the last, in Caffe, else in OpenCV; None if neither runs them.

    Raises InputError if they differ by more than TOLERANCE.
    """
    original, form = deployed.original.runnable(), deployed.form.runnable()
    choice = choose_engine((original, form))
    if choice is None:
        return None
    engine, weights, source = PROOF_ENGINES[choice.engine], deployed.form.weights, deployed.original.source
    try:
        proof = run_both(
            original, deployed.original.weights, choice,
            lambda inputs: engine(form, weights, inputs, original.outputs), source,
        )  # fmt: skip
    except EngineError:
        return None
    if proof.largest_difference > TOLERANCE:
        raise InputError(
            f"{source}: the deploy form differs from the network by {proof.largest_difference:.2g} "
            f"(at most {TOLERANCE:g} is allowed); nothing was written. Please report the prototxt"
        )
    return proof


@dataclass(frozen=True)
class CalibrationImages:
    """How images become inputs, and which of them calibrate."""

    preprocessing: Preprocessing
    rows: Sequence[Row]
    root: Path


def write(
    deployed: Deployed,
    chain: Chain,
    name: str,
    weights_path: Path,
    images: CalibrationImages | None,
    proof: Proof | None,
    out: Path,
) -> list[Path]:
    """Write the folder `out`: the network, its weights, the chain's settings, calibration images, deploy.json.

    Whole or not at all. `name` is the network's, without an ending. Gives the files, relative to `out`.
    """
    form = deployed.form
    blob = form.graph().inputs[0]
    if blob.shape is None or len(blob.shape) != 4:
        raise InputError(f"{form.source}: its input '{blob.name}' is no batch of images")
    count, channels, height, width = blob.shape
    model, weights = (f"{name}.prototxt", f"{name}.caffemodel") if chain.reads == "caffe" else (f"{name}.onnx", "")
    mean = (0.0,) * channels if images is None else images.preprocessing.mean
    inputs = ChainInputs(model, weights, blob.name, (count, channels, height, width), mean, "", 0)
    with whole_folder(out) as folder:
        if images is not None and images.rows:
            names = write_images(images.rows, images.root, images.preprocessing, folder)
            write_text(folder / LIST, "".join(f"{each}\n" for each in names))
            inputs = replace(inputs, images=LIST, count=len(names))
        for file, text in chain.settings(inputs).items():
            write_text(folder / file, text)
        if chain.reads == "caffe":
            write_text(folder / model, form.text)
            write_weights(folder / weights, form.weights)
        else:
            proof = _write_onnx(form, folder / model, proof)
        report = {
            "chain": chain.title, "changes": deployed.changes, "inputs": asdict(inputs),
            "findings": [asdict(finding) for finding in deployed.findings],
            "sources": {form.source: sha256(Path(form.source)), str(weights_path): sha256(weights_path)},
            "proof": {"skipped": True} if proof is None else asdict(proof),
        }  # fmt: skip
        write_text(folder / "deploy.json", json.dumps(report, indent=1) + "\n")
        return sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())


def _write_onnx(form: Form, path: Path, proof: Proof | None) -> Proof | None:
    """Write the form as ONNX; proved again if the form was proved."""
    exported = export(form.graph(), form.weights, form.source, document=form.document())
    again = None if proof is None else prove_onnx(exported, form.weights, form.source)
    write_model(path, exported.model)
    return again
