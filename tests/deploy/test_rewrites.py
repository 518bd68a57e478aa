"""Each rewrite: what it changes, worked out by hand, and that both networks compute the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from pyhisto.deploy.chain import Chain, Subject
from pyhisto.deploy.chains import CHAINS
from pyhisto.deploy.chains.nnie import book as nnie
from pyhisto.deploy.chains.sigmastar import book as sigmastar
from pyhisto.deploy.deploying import Deployed, prove, rewrite
from pyhisto.deploy.form import Form
from pyhisto.deploy.rewrites.drop_passing_layers import drop_passing_layers
from pyhisto.deploy.rewrites.fold_batch_norm import fold_batch_norm
from pyhisto.deploy.rewrites.pool_in_steps import pool_in_steps
from pyhisto.deploy.rewrites.reshape_from_axis_0 import reshape_from_axis_0
from pyhisto.deploy.rewrites.say_rounding import leave_out_rounding_up, say_ceil_mode
from pyhisto.deploy.rewrites.state_global_statistics import state_global_statistics
from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import NetParameter, layer_blobs, parse_text, set_blob, to_text
from pyhisto.proto import Weights as WeightsMessage
from pyhisto.prototext import Document
from tests.networks import RandomNetwork, random_weights

INPUT = (
    'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: {} dim: {} dim: {} }} }} }}\n'
)


def form_of(text: str, blobs: Mapping[str, Sequence[object]] | None = None) -> Form:
    graph = Graph.build(parse_text(text, NetParameter, Path("net"), lenient=True), source="net")
    weights = random_weights([graph])
    if blobs is not None:
        weights = WeightsMessage()
        for name, values in blobs.items():
            layer = weights.layer.add(name=name)
            for each in values:
                set_blob(layer.blobs.add(), np.array(each, np.float32))
    return Form.of(graph, Document(text), weights)


def types(form: Form) -> list[str]:
    return [node.type for node in form.graph().nodes]


def proved(original: Form, form: Form) -> float:
    proof = prove(Deployed(original, form, (), ()))
    assert proof is not None
    return proof.largest_difference


NORMALISED = (
    INPUT.format(1, 1, 1)
    + """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 1 bias_term: false } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" batch_norm_param { eps: 0 } }
layer { name: "scale" type: "Scale" bottom: "bn" top: "scale" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "scale" top: "scale" }
"""
)


def test_a_fold_by_hand() -> None:
    """Statistics are sums over 2: mean 3 and 5, variance 4 and 9; gamma 2 and 3, beta 1 and -1."""
    blobs: dict[str, list[object]] = {
        "conv": [[[[[10.0]]], [[[20.0]]]]],
        "bn": [[6, 10], [8, 18], [2]],
        "scale": [[2, 3], [1, -1]],
    }
    form, changed = fold_batch_norm(form_of(NORMALISED, blobs))
    assert types(form) == ["Input", "Convolution", "ReLU"]
    weights = layer_blobs(form.weights)
    assert list(weights) == ["conv"]
    # 10 x 2 / 2 and 20 x 3 / 3; -3 / 2 x 2 + 1 and -5 / 3 x 3 - 1.
    assert weights["conv"][0].ravel() == pytest.approx([10, 20])
    assert weights["conv"][1] == pytest.approx([-2, -6])
    assert form.graph().node("conv").tops[0].name == "scale"
    assert changed == ["conv: holds bn and scale"]


FOLDED = {
    "Deconvolution": 'type: "Deconvolution" convolution_param { num_output: 6 kernel_size: 2 group: 2 }',
    "grouped": 'type: "Convolution" convolution_param { num_output: 6 kernel_size: 3 group: 2 }',
    "InnerProduct": 'type: "InnerProduct" inner_product_param { num_output: 6 }',
    "transposed": 'type: "InnerProduct" inner_product_param { num_output: 6 transpose: true }',
}


@pytest.mark.parametrize("kind", FOLDED)
@pytest.mark.parametrize("scale", [True, False])
def test_every_kind_is_folded_and_computes_the_same(kind: str, scale: bool) -> None:
    text = INPUT.format(4, 5, 5) + f'layer {{ name: "a" bottom: "data" top: "a" {FOLDED[kind]} }}\n'
    text += 'layer { name: "bn" type: "BatchNorm" bottom: "a" top: "a" }\n'
    text += 'layer { name: "s" type: "Scale" bottom: "a" top: "a" }\n' if scale else ""
    text += 'layer { name: "end" type: "TanH" bottom: "a" top: "end" }\n'
    original = form_of(text)
    form, changed = fold_batch_norm(original)
    assert len(changed) == 1
    assert "BatchNorm" not in types(form) and "Scale" not in types(form)
    assert proved(original, form) < 1e-5


NOT_FOLDED = {
    "read by another": 'layer { name: "c" type: "TanH" bottom: "a" top: "c" }',
    "shared": 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" param { name: "w" } param { name: "b" } '
    "convolution_param { num_output: 2 kernel_size: 1 } }",
}


@pytest.mark.parametrize("why", NOT_FOLDED)
def test_what_others_need_is_not_folded(why: str) -> None:
    text = INPUT.format(3, 4, 4) + (
        'layer { name: "a" type: "Convolution" bottom: "data" top: "a" param { name: "w" } param { name: "b" } '
        "convolution_param { num_output: 2 kernel_size: 1 } }\n"
        'layer { name: "bn" type: "BatchNorm" bottom: "a" top: "bn" }\n'
    )
    assert fold_batch_norm(form_of(text + NOT_FOLDED[why]))[1] == []


@pytest.mark.parametrize("seed", range(25))
def test_folded_is_unfolded_on_random_networks(seed: int) -> None:
    original = form_of(to_text(RandomNetwork(seed).net))
    form = drop_passing_layers(fold_batch_norm(original)[0])[0]
    assert proved(original, form) < 1e-4


def test_a_pooling_in_two_steps_by_hand() -> None:
    """28 x 28 is 784 positions: 7 x 7 and then 4 x 4, or 4 x 4 and then 7 x 7."""
    text = INPUT.format(3, 28, 28) + (
        'layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { pool: AVE global_pooling: true } }\n'
        'layer { name: "end" type: "TanH" bottom: "p" top: "end" }\n'
    )
    original = form_of(text)
    form, changed = pool_in_steps(original)
    nodes = form.graph().nodes
    assert [node.tops[0].shape for node in nodes] == [(1, 3, 28, 28), (1, 3, 4, 4), (1, 3, 1, 1), (1, 3, 1, 1)]
    assert changed == ["p: pools in two steps, 7 x 7 first"]
    assert proved(original, form) < 1e-5
    # 67 is prime and above 64, so that nothing can be done, and a rule says so.
    prime = form_of(text.replace("dim: 28", "dim: 67"))
    assert pool_in_steps(prime) == (prime, [])
    assert [finding.rule for finding in sigmastar.findings(Subject.of(prime), "net")] == ["sigmastar-pooling"]
    few = form_of(text.replace("dim: 28", "dim: 8"))
    assert pool_in_steps(few) == (few, [])


RESHAPES = {
    "axis: 1 shape { dim: 2 dim: -1 dim: 0 }": ("dim: 0 dim: 2 dim: -1 dim: 0", (1, 2, 6, 5)),
    "axis: -3 shape { dim: -1 dim: 5 dim: 1 }": ("dim: 0 dim: 0 dim: -1 dim: 5 dim: 1", (1, 4, 3, 5, 1)),
    "axis: 1 num_axes: 2 shape { dim: 12 }": ("dim: 1 dim: 12 dim: 5", (1, 12, 5)),
    "shape { dim: 0 dim: 60 }": ("dim: 0 dim: 60", (1, 60)),
}


@pytest.mark.parametrize("written", RESHAPES)
def test_a_reshape_by_hand(written: str) -> None:
    """Of 1 x 4 x 3 x 5."""
    text = INPUT.format(4, 3, 5) + (
        f'layer {{ name: "r" type: "Reshape" bottom: "data" top: "r" reshape_param {{ {written} }} }}\n'
        'layer { name: "end" type: "TanH" bottom: "r" top: "end" }\n'
    )
    original = form_of(text)
    form, changed = reshape_from_axis_0(original)
    dims, shape = RESHAPES[written]
    assert dims in " ".join(form.text.split())
    assert "axis" not in form.text
    assert form.graph().node("r").tops[0].shape == shape
    assert len(changed) == ("axis" in written)
    assert proved(original, form) == 0


def test_passing_layers_go_and_outputs_stay() -> None:
    text = INPUT.format(2, 1, 1) + (
        'layer { name: "d1" type: "Dropout" bottom: "data" top: "d1" }\n'
        'layer { name: "d2" type: "Dropout" bottom: "d1" top: "d2" }\n'
        'layer { name: "t" type: "TanH" bottom: "d2" top: "t" }\n'
        'layer { name: "d3" type: "Dropout" bottom: "t" top: "out" }\n'
    )
    original = form_of(text)
    form, changed = drop_passing_layers(original)
    assert [(node.name, node.bottoms[0].name) for node in form.graph().nodes[1:]] == [("t", "data"), ("d3", "t")]
    assert len(changed) == 2
    assert proved(original, form) == 0


def test_words() -> None:
    text = INPUT.format(2, 5, 5) + (
        'layer { name: "p" type: "Pooling" bottom: "data" top: "p" '
        "pooling_param { pool: MAX kernel_size: 2 stride: 2 round_mode: CEIL } }\n"
        'layer { name: "b_cpu" type: "BatchNorm" bottom: "p" top: "b" }\n'
        'layer { name: "c" type: "BatchNorm" bottom: "b" top: "c" batch_norm_param { eps: 0.1 } }\n'
    )
    original = form_of(text)
    assert "ceil_mode: true" in say_ceil_mode(original)[0].text
    plain = leave_out_rounding_up(original)[0]
    assert "round_mode" not in plain.text and proved(original, plain) == 0
    stated, changed = state_global_statistics(original)
    assert stated.text.count("use_global_stats: true") == len(changed) == 2
    assert "eps: 0.1" in stated.text
    assert [finding.rule for finding in nnie.findings(Subject.of(plain), "net")] == ["nnie-mark"]
    down = form_of(text.replace("CEIL", "FLOOR"))
    rules = [finding.rule for finding in nnie.findings(Subject.of(leave_out_rounding_up(down)[0]), "net")]
    assert sorted(rules) == ["nnie-mark", "nnie-rounding"]


def test_fields_that_nobody_knows_come_through() -> None:
    text = INPUT.format(2, 5, 5) + 'layer { name: "t" type: "TanH" bottom: "data" top: "t" strange_param { x: 7 } }\n'
    assert "strange_param { x: 7 }" in rewrite(form_of(text), CHAINS["ascend"], True).form.text


@pytest.mark.parametrize("chain", CHAINS.values(), ids=list(CHAINS))
def test_the_papers_network_is_taken_by_every_chain(chain: Chain) -> None:
    original = form_of(to_text(InceptionSEP("paper", width=0.125, input_size=64).deploy()))
    deployed = rewrite(original, chain, True)
    assert [finding for finding in deployed.findings if finding.severity == "error"] == []
    assert "Dropout" not in types(deployed.form) and "BatchNorm" not in types(deployed.form)


def test_every_rule_names_its_source() -> None:
    rules = [rule for chain in CHAINS.values() for rule in chain.rules.rules]
    assert len({rule.id for rule in rules}) == len(rules) >= 15
    assert all(rule.pointer and rule.reason for rule in rules)
