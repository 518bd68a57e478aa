"""Public Caffe models with weights (SSD, cascades, super resolution, ...): pruned, proved, written, run again."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pyhisto.proof.comparison import TOLERANCE
from pyhisto.proof.engines import PROOF_ENGINES
from pyhisto.proof.runnable import runnable
from pyhisto.proto import read_weights
from pyhisto.prototext import Document
from pyhisto.pruning.proof import prove
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule, Scope
from tests.pruning.public_models import PUBLIC_MODELS, public_model

FAST = [("l1", 0.6, "block")]
SLOW = [
    (criterion, ratio, scope)
    for criterion in ("l1", "random")
    for ratio in (0.3, 0.6)
    for scope in ("branch", "block", "network")
    if (criterion, ratio, scope) not in FAST
]


@pytest.mark.parametrize(
    ("criterion", "ratio", "scope"), [*FAST, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]
)
@pytest.mark.parametrize("name", PUBLIC_MODELS)
def test_pruned_and_proved(
    name: str, criterion: str, ratio: float, scope: Scope, shared_data: Path, tmp_path: Path
) -> None:
    model, weights = public_model(shared_data, name)
    network = LoadedNetwork.read(model, [], weights, {})
    assert not any(node.foreign for node in network.model.nodes)
    removed = plan_pruning(network, criterion, Schedule(ratio, scope=scope), None, 0)
    pruned = cut_network(network, removed, {})
    assert not pruned.not_counted
    assert pruned.after.flops < (1 if scope == "network" else 1 - ratio / 2) * pruned.before.flops
    proof = prove(network, pruned)
    assert proof is not None
    assert proof.not_covered == ()
    assert proof.smooth_image
    assert proof.largest_difference <= TOLERANCE

    out = tmp_path / "out"
    write(network, pruned, proof, out)
    again = LoadedNetwork.read(out / model.name, [], out / weights.name, {})
    run = runnable(again.model, Document.read(out / model.name))
    inputs = {blob: np.zeros(shape, np.float32) for blob, shape in run.inputs.items()}
    engine = PROOF_ENGINES["opencv" if proof.engine == "opencv" else "caffe"]
    assert engine(run, read_weights(out / weights.name), inputs, run.outputs).keys() == set(run.outputs)


@pytest.mark.parametrize("name", ["res10_ssd", "yufacedetect"])
def test_opencv_reads_the_files_that_are_written(name: str, shared_data: Path, tmp_path: Path) -> None:
    model, weights = public_model(shared_data, name)
    network = LoadedNetwork.read(model, [], weights, {})
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(0.3), None, 0), {})
    write(network, pruned, None, tmp_path / "out")
    net = cv2.dnn.readNetFromCaffe(str(tmp_path / "out" / model.name), str(tmp_path / "out" / weights.name))
    shape = network.model.inputs[0].shape
    net.setInput(np.random.default_rng(0).uniform(-120, 120, shape).astype(np.float32))
    assert net.forward().shape[::3] == (1, 7)
