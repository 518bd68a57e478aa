"""The proof finds what it is there to find, with both engines."""

from pathlib import Path

import numpy as np
import pytest
from networks import RandomNetwork, save

from pyhisto.errors import InputError
from pyhisto.proof.engines import ENGINES
from pyhisto.proto import blob_array, set_blob
from pyhisto.pruning.proof import compare, prove
from pyhisto.pruning.prune import Network, cut_network, plan_pruning, pruned_model
from pyhisto.pruning.schedule import Schedule
from pyhisto.pruning.surgery import rewrite_weights

ENGINE_PARAMS = [pytest.param("caffe", marks=pytest.mark.caffe), "opencv"]


@pytest.fixture
def network(tmp_path: Path) -> Network:
    model, weights = save(tmp_path, RandomNetwork(0).net)
    return Network.read(model, [], weights, {})


@pytest.mark.parametrize("engine", ENGINE_PARAMS)
def test_engines_prove_a_right_pruning(network: Network, engine: str) -> None:
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(0.5), None, 0), {})
    masked = rewrite_weights(network.weights, pruned.cut, mask=True)
    proof = compare((network.model, masked), (pruned_model(network, pruned.texts), pruned.weights), engine)
    assert proof.largest_difference < 1e-5
    assert set(ENGINES) == {"caffe", "opencv"}


@pytest.mark.parametrize("engine", ENGINE_PARAMS)
def test_a_wrong_channel_is_found(network: Network, engine: str) -> None:
    removed = plan_pruning(network, "l1", Schedule(0.5), None, 0)
    pruned = cut_network(network, removed, {})
    # Mask one channel that the pruned network kept.
    other = removed.copy()
    other[next(group.atoms[~removed[group.atoms]][0] for group in network.dependencies.groups if not group.frozen)] = (
        True
    )
    masked = rewrite_weights(network.weights, cut_network_mask(network, other), mask=True)
    proof = compare((network.model, masked), (pruned_model(network, pruned.texts), pruned.weights), engine)
    assert proof.largest_difference > 1e-3


def cut_network_mask(network: Network, removed: np.ndarray):  # type: ignore[no-untyped-def]
    from pyhisto.pruning.surgery import Cut

    return Cut(network.dependencies, removed)


def test_a_difference_stops_the_pruning(network: Network) -> None:
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(0.5), None, 0), {})
    blob = pruned.weights.layer[0].blobs[0]
    set_blob(blob, blob_array(blob) + 0.1)
    with pytest.raises(InputError, match="differs from the masked original"):
        prove(network, pruned)
