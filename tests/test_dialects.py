"""How a pooling rounds, in BVLC's words and in forks'."""

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from pyhisto.arrays import Floats
from pyhisto.dialects import with_rounding
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.proof.engines import PROOF_ENGINES, EngineName, choose_engine
from pyhisto.proof.runnable import runnable
from pyhisto.proto import NetParameter, parse_text, write_weights
from pyhisto.prototext import Document
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning
from pyhisto.pruning.schedule import Schedule
from tests.networks import random_weights

# Of 6 rows 3x3 windows at stride 2 and pad 1 have (6 + 2 - 3) / 2 = 2.5 steps: 3 rows rounded down, 4 rounded up.
NET = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 dim: 6 dim: 6 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 4 kernel_size: 1 }} }}
layer {{ name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param {{ kernel_size: 3 stride: 2 pad: 1 {rounding} }}  # rounds
}}
layer {{ name: "out" type: "Convolution" bottom: "pool" top: "out"
  convolution_param {{ num_output: 2 kernel_size: 1 }} }}
"""
DOWN = ["round_mode: FLOOR", "round_mode: 1", "ceil_mode: false", "ceil_mode: 0"]
UP = ["", "round_mode: CEIL", "round_mode: 0", "ceil_mode: true", "ceil_mode: 1"]


def graph_of(rounding: str) -> Graph:
    return Graph.build(parse_text(NET.format(rounding=rounding), NetParameter, Path("net.prototxt")))


@pytest.mark.parametrize(("rounding", "side"), [*((each, 3) for each in DOWN), *((each, 4) for each in UP)])
def test_both_are_read(rounding: str, side: int) -> None:
    assert graph_of(rounding).blob("pool").shape == (1, 4, side, side)


def test_not_both_at_once() -> None:
    with pytest.raises(InputError, match=r"'pool'.*either round_mode or ceil_mode"):
        graph_of("round_mode: FLOOR ceil_mode: false")


@pytest.mark.parametrize("rounding", DOWN + UP)
def test_a_pruned_network_keeps_the_dialect_that_it_was_read_in(tmp_path: Path, rounding: str) -> None:
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model.write_text(NET.format(rounding=rounding))
    write_weights(weights, random_weights([graph_of(rounding)]))
    network = LoadedNetwork.read(model, [], weights, {})
    removed = plan_pruning(network, "l1", Schedule(0.5, None, "block", "rescale", 1, ()), None, 0)
    text = cut_network(network, removed, {}).texts["net.prototxt"]
    assert text == model.read_text().replace("num_output: 4", "num_output: 2")


@pytest.mark.parametrize(
    ("rounding", "bvlc", "fork"),
    [
        ("round_mode: FLOOR", "round_mode: FLOOR", "ceil_mode: false"),
        ("round_mode: 1", "round_mode: 1", "ceil_mode: false"),
        ("round_mode: 0", "round_mode: 0", "ceil_mode: true"),
        ("ceil_mode: 0", "round_mode: FLOOR", "ceil_mode: 0"),
        ("ceil_mode: true", "round_mode: CEIL", "ceil_mode: true"),
        ("", "", ""),
    ],
)
def test_translation_changes_that_field_alone(rounding: str, bvlc: str, fork: str) -> None:
    text = NET.format(rounding=rounding)
    assert with_rounding(text, "round_mode") == NET.format(rounding=bvlc)
    assert with_rounding(text, "ceil_mode") == NET.format(rounding=fork)


@pytest.mark.caffe
@pytest.mark.parametrize(("bvlc", "fork"), [("round_mode: FLOOR", "ceil_mode: false"), ("", "ceil_mode: true")])
def test_the_engines_round_alike(bvlc: str, fork: str) -> None:
    graph = graph_of(bvlc)
    weights = random_weights([graph])
    inputs = {"data": np.random.default_rng(0).standard_normal((1, 3, 6, 6)).astype(np.float32)}

    def run(engine: EngineName, rounding: str) -> Floats:
        network = runnable(graph_of(rounding), Document(NET.format(rounding=rounding)))
        return PROOF_ENGINES[engine](network, weights, inputs, ("out",))["out"]

    caffe = run("caffe", bvlc)
    assert caffe.shape == graph.blob("out").shape
    assert all(np.abs(caffe - run("opencv", rounding)).max() < 1e-5 for rounding in (bvlc, fork))


@pytest.mark.caffe
def test_a_caffe_that_cannot_read_the_fork_s_word_is_not_asked_to() -> None:
    text = NET.format(rounding="ceil_mode: false")
    choice = choose_engine([runnable(graph_of("ceil_mode: false"), Document(text))], [text])
    assert choice is not None and choice.engine == "opencv"
    assert "Caffe cannot read the prototxt" in choice.instead_of_caffe and "ceil_mode" in choice.instead_of_caffe


@pytest.mark.caffe
def test_bvlcs_caffe_reads_every_committed_network(root: Path) -> None:
    import caffe  # noqa: F401
    from caffe.proto import caffe_pb2

    files = sorted((root / "prototxt").rglob("*.prototxt"))
    assert len(files) > 30
    for file in files:
        kind = caffe_pb2.SolverParameter if file.name == "solver.prototxt" else caffe_pb2.NetParameter
        text_format.Parse(file.read_text(), kind())
