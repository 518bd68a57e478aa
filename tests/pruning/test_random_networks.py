"""The law of the pruner: a pruned network computes what the masked original computes. On random networks."""

from pathlib import Path

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.proof.comparison import TOLERANCE
from pyhisto.proto import to_text, write_weights
from pyhisto.pruning.proof import prove
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, pruned_model
from pyhisto.pruning.schedule import Schedule
from tests.networks import RandomNetwork, WildNetwork, save

pytestmark = pytest.mark.caffe


DEAD = {50}
"""Of the first sixty: their ReLUs are silent, so that no input changes an output, and running them proves nothing."""


def check(seed: int, folder: Path) -> bool:
    """Whether it could be proved; False for a network that is dead."""
    import caffe

    model, weights = save(folder, RandomNetwork(seed).net, seed)
    network = LoadedNetwork.read(model, [], weights, {})
    generator = np.random.default_rng(seed)
    schedule = Schedule(
        float(generator.uniform(0.1, 0.9)),
        scope=("branch", "block", "network")[seed % 3],
        se_hidden=("rescale", "keep")[seed // 2 % 2],
        multiple=(1, 1, 1, 2)[seed % 4],
    )
    removed = plan_pruning(network, ("l1", "random")[seed % 2], schedule, None, seed)
    assert removed.any() or schedule.multiple > 1
    pruned = cut_network(network, removed, {})
    try:
        proof = prove(network, pruned)
    except InputError as error:
        assert "are the same whatever its input is" in str(error)
        return False
    assert proof is not None
    assert proof.engine == "caffe"
    assert proof.largest_difference <= TOLERANCE
    # The shapes that the graph infers, for the original and the pruned network, are Caffe's own.
    (folder / "pruned.prototxt").write_text(pruned.texts[model.name], encoding="utf-8")
    for graph, path in ((network.model, model), (pruned_model(network, pruned.texts), folder / "pruned.prototxt")):
        blobs = caffe.Net(str(path), caffe.TEST).blobs
        for blob in graph.blobs:
            assert tuple(blobs[blob.name].shape) == blob.shape, (seed, blob.name)
    return True


UNPROVED = {"BN", "Mystery", "Upsample"}
"""Types of random networks that no engine runs: BN if it has four blobs, Upsample with the mask of a pooling."""


def check_wild(seed: int, folder: Path) -> bool:
    """The same for a network with layer types of forks, and unknown ones."""
    wild = WildNetwork(seed)
    model, weights = folder / "deploy.prototxt", folder / "deploy.caffemodel"
    model.write_text(to_text(wild.net), encoding="utf-8")
    write_weights(weights, wild.weights())
    network = LoadedNetwork.read(model, [], weights, {})
    assert {node.type for node in network.model.nodes if node.foreign} <= {"Mystery"}
    generator = np.random.default_rng(seed)
    schedule = Schedule(float(generator.uniform(0.1, 0.9)), scope=("branch", "block", "network")[seed % 3])
    pruned = cut_network(network, plan_pruning(network, ("l1", "random")[seed % 2], schedule, None, seed), {})
    try:
        proof = prove(network, pruned)
    except InputError as error:
        assert "are the same whatever its input is" in str(error)
        return False
    assert proof is not None
    assert proof.largest_difference <= TOLERANCE
    assert {name.rpartition("(")[2].rstrip(")") for name in proof.not_covered} <= UNPROVED
    return True


DEAD_WILD: set[int] = set()


@pytest.mark.parametrize("seed", range(30))
def test_wild_networks(seed: int, tmp_path: Path) -> None:
    assert check_wild(seed, tmp_path) == (seed not in DEAD_WILD)


@pytest.mark.parametrize("seed", range(60))
def test_pruned_equals_masked(seed: int, tmp_path: Path) -> None:
    assert check(seed, tmp_path) == (seed not in DEAD)


@pytest.mark.slow
def test_pruned_equals_masked_on_a_thousand_networks(tmp_path: Path) -> None:
    alive = 0
    for seed in range(60, 1060):
        folder = tmp_path / str(seed)
        folder.mkdir()
        alive += (check, check_wild)[seed % 2](seed, folder)
    assert alive > 900  # of the first five hundred of Caffe's types 468; the others' ReLUs are silent, as number 50's
