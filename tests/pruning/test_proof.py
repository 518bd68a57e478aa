"""The proof finds what it is there to find, with both engines."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.proof.engines import PROOF_ENGINES, EngineChoice, EngineName
from pyhisto.proof.memory import available_bytes, needed_bytes
from pyhisto.proof.runnable import runnable
from pyhisto.proto import blob_array, read_net, set_blob, write_weights
from pyhisto.pruning.proof import compare, prove
from pyhisto.pruning.pruner import LoadedNetwork, Pruned, cut_network, plan_pruning, pruned_model
from pyhisto.pruning.schedule import Schedule
from pyhisto.pruning.surgery import ChannelCut, rewrite_weights
from tests.networks import RandomNetwork, random_weights, save

ENGINE_PARAMS = [pytest.param("caffe", marks=pytest.mark.caffe), "opencv"]


@pytest.fixture
def network(tmp_path: Path) -> LoadedNetwork:
    model, weights = save(tmp_path, RandomNetwork(0).net)
    return LoadedNetwork.read(model, [], weights, {})


@pytest.mark.parametrize("engine", ENGINE_PARAMS)
def test_engines_prove_a_right_pruning(network: LoadedNetwork, engine: EngineName) -> None:
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(0.5), None, 0), {})
    masked = rewrite_weights(network.weights, pruned.cut, mask=True)
    networks = (runnable(network.model), masked), (runnable(pruned_model(network, pruned.texts)), pruned.weights)
    proof = compare(*networks, EngineChoice(engine, ""), "net")
    assert proof.largest_difference < 1e-5
    assert set(PROOF_ENGINES) == {"caffe", "opencv"}


@pytest.mark.parametrize("engine", ENGINE_PARAMS)
def test_a_wrong_channel_is_found(network: LoadedNetwork, engine: EngineName) -> None:
    removed = plan_pruning(network, "l1", Schedule(0.5), None, 0)
    pruned = cut_network(network, removed, {})
    # Mask one channel that the pruned network kept.
    other = removed.copy()
    other[next(group.atoms[~removed[group.atoms]][0] for group in network.dependencies.groups if not group.frozen)] = (
        True
    )
    masked = rewrite_weights(network.weights, ChannelCut(network.dependencies, other), mask=True)
    networks = (runnable(network.model), masked), (runnable(pruned_model(network, pruned.texts)), pruned.weights)
    proof = compare(*networks, EngineChoice(engine, ""), "net")
    assert proof.largest_difference > 1e-3


NETWORK = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 dim: {side} dim: {side} }} }} }}
layer {{ name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param {{ num_output: 8 kernel_size: 3 pad: 1 {more} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "a" top: "a" }}
{between}
layer {{ name: "b" type: "Convolution" bottom: "{last}" top: "b" convolution_param {{ num_output: 2 kernel_size: 1 }} }}
"""


def written(
    folder: Path, scale: float = 1, side: int = 8, more: str = "", between: str = "", last: str = "a"
) -> LoadedNetwork:
    """A network in a file, and weights whose last layer is `scale` times as large as usual."""
    model, weights = folder / "net.prototxt", folder / "net.caffemodel"
    model.write_text(NETWORK.format(side=side, more=more, between=between, last=last))
    graph = Graph.build(read_net(model, lenient=True), source=model)
    net = random_weights([graph])
    for blob in net.layer[-1].blobs:
        set_blob(blob, blob_array(blob) * np.float32(scale))
    write_weights(weights, net)
    return LoadedNetwork.read(model, [], weights, {})


def pruned_by_half(network: LoadedNetwork) -> Pruned:
    return cut_network(network, plan_pruning(network, "l1", Schedule(0.5), None, 0), {})


@pytest.mark.parametrize("scale", [1, 1e-6, 1e-20, 1e6])
def test_the_tolerance_is_relative_to_the_outputs(scale: float, tmp_path: Path) -> None:
    network = written(tmp_path, scale)
    pruned = pruned_by_half(network)
    proof = prove(network, pruned)
    assert proof is not None and proof.largest_difference < 1e-5
    blob = pruned.weights.layer[-1].blobs[0]
    set_blob(blob, blob_array(blob) * np.float32(1.01))
    with pytest.raises(InputError, match="differs from the masked original"):
        prove(network, pruned)


def test_outputs_that_no_input_changes_prove_nothing(tmp_path: Path) -> None:
    network = written(tmp_path, 0)
    with pytest.raises(InputError, match="the same whatever its input is"):
        prove(network, pruned_by_half(network))


@pytest.mark.caffe
@pytest.mark.parametrize("more", ["binary: true", "pad_type: REFLECT"])
def test_caffe_proves_only_what_it_can_read(more: str, tmp_path: Path) -> None:
    network = written(tmp_path, more=more)
    proof = prove(network, pruned_by_half(network))
    assert proof is not None and proof.engine == "opencv"
    assert more.split(":", maxsplit=1)[0] in proof.instead_of_caffe
    assert "Proof (opencv; Caffe cannot read the prototxt: " in proof.describe("x")


@pytest.mark.caffe
def test_what_runs_is_the_text_that_is_written(tmp_path: Path) -> None:
    network = written(tmp_path)
    pruned = pruned_by_half(network)
    text = pruned.texts["net.prototxt"]
    other = text.replace("pad: 1", "pad: 1 dilation: 1", 1)
    assert other != text
    assert prove(network, replace(pruned, texts={"net.prototxt": other})) is not None
    with pytest.raises(InputError, match=r"differs|has become"):
        prove(network, replace(pruned, texts={"net.prototxt": text.replace("pad: 1", "pad: 2 dilation: 2", 1)}))


def test_a_huge_input_is_proved_at_a_smaller_one(tmp_path: Path) -> None:
    # The input, a, and what the convolution unfolds: (3 + 8 + 2 + 27) x 6000^2 x 4 bytes = 5.4 GiB.
    network = written(tmp_path, side=6000)
    assert needed_bytes(network.model) == (3 + 8 + 2 + 27) * 6000**2 * 4
    proof = prove(network, pruned_by_half(network))
    assert proof is not None and proof.inputs_made_smaller
    assert proof.input_shapes == {"data": (1, 3, 1500, 1500)}  # 3000^2 take 1.3 GiB
    assert "at data=1x3x1500x1500, as the file's own input takes too much memory" in proof.describe("x")


def test_a_network_that_has_to_be_huge_says_so_first(tmp_path: Path) -> None:
    fixed = (
        'layer { name: "r" type: "Reshape" bottom: "a" top: "r" '
        "reshape_param { shape { dim: 1 dim: 8 dim: 8000 dim: 32000 } } }"
    )
    network = written(tmp_path, side=16000, between=fixed, last="r")
    # (3 + 8 + 2 + 27) x 16000^2 x 4 bytes = 38 GiB; the reshaped blob lies in a's memory.
    available = available_bytes()
    if available is None or available > 38 << 30:
        pytest.skip("there is memory enough")
    with pytest.raises(InputError, match=r"the proof takes about 3\d\.\d GiB of memory.* allows no smaller input"):
        prove(network, pruned_by_half(network))


def test_a_difference_stops_the_pruning(network: LoadedNetwork) -> None:
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(0.5), None, 0), {})
    blob = pruned.weights.layer[0].blobs[0]
    set_blob(blob, blob_array(blob) + 0.1)
    with pytest.raises(InputError, match="differs from the masked original"):
        prove(network, pruned)
