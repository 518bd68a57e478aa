"""Before and after: tables, times and the picture of the widths."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format

from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import NetParameter, to_text, write_weights
from pyhisto.pruning.compare import blocks, compare_layers, draw_widths, total
from tests.networks import random_weights

NETWORK = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 2 dim: 3 dim: 4 dim: 4 }} }} }}
layer {{ name: "a/conv" type: "Convolution" bottom: "data" top: "a"
  convolution_param {{ num_output: {a} kernel_size: 3 pad: 1 }} }}
layer {{ name: "a/relu" type: "ReLU" bottom: "a" top: "a" }}
layer {{ name: "ip" type: "InnerProduct" bottom: "a" top: "ip" inner_product_param {{ num_output: 5 }} }}
"""


def graph(text: str) -> Graph:
    return Graph.build(text_format.Parse(text, NetParameter()), source="net")


def folder(place: Path, a: int) -> Path:
    place.mkdir()
    (place / "deploy.prototxt").write_text(NETWORK.format(a=a))
    write_weights(place / "net.caffemodel", random_weights([graph(NETWORK.format(a=a))]))
    return place


def compare(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "tools" / "compare.py", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_costs_side_by_side() -> None:
    layers = compare_layers(graph(NETWORK.format(a=8)), graph(NETWORK.format(a=6)))
    assert [layer.name for layer in layers] == ["data", "a/conv", "a/relu", "ip"]
    conv, ip = layers[1], layers[3]
    assert conv.before and conv.after and ip.before and ip.after
    assert (conv.before.channels, conv.after.channels) == (8, 6)
    # 3 x 3 x 3 weights and a bias for each output; 2 x 27 operations for each of 8 (6) x 16 outputs, 4 bytes each.
    assert (conv.before.cost.weights, conv.after.cost.weights) == (8 * 28, 6 * 28)
    assert (conv.before.cost.flops, conv.after.cost.flops) == (2 * 27 * 8 * 16, 2 * 27 * 6 * 16)
    assert (conv.before.cost.activation_bytes, conv.after.cost.activation_bytes) == (512, 384)
    # 8 (6) x 16 inputs and a bias for each of 5 outputs.
    assert (ip.before.cost.weights, ip.after.cost.weights) == (5 * 129, 5 * 97)
    assert (total(layers, "before").weights, total(layers, "after").weights) == (224 + 645, 168 + 485)
    assert conv.before.forward_ms is None


def test_times_come_by_name() -> None:
    times = {"a/conv": (2.0, 3.0), "data_split": (1.0, 1.0)}
    layers = compare_layers(graph(NETWORK.format(a=8)), graph(NETWORK.format(a=6)), (times, {"ip": (4.0, 5.0)}))
    conv, ip = layers[1], layers[3]
    assert conv.before and conv.after and ip.before and ip.after
    assert (conv.before.forward_ms, conv.before.backward_ms, conv.after.forward_ms) == (2, 3, None)
    assert (ip.before.forward_ms, ip.after.backward_ms) == (None, 5)


def test_a_layer_may_be_new_or_gone() -> None:
    more = NETWORK + 'layer {{ name: "prob" type: "Softmax" bottom: "ip" top: "prob" }}'
    one, other = graph(NETWORK.format(a=8)), graph(more.format(a=8))
    assert [(layer.name, layer.before is None) for layer in compare_layers(one, other)][-1] == ("prob", True)
    assert [(layer.name, layer.after is None) for layer in compare_layers(other, one)][-1] == ("prob", True)


def test_networks_without_a_common_layer_are_refused() -> None:
    stranger = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 } } }'
    with pytest.raises(InputError, match="no layer in common"):
        compare_layers(graph(NETWORK.format(a=8)), graph(stranger))


def test_blocks_by_names() -> None:
    names = ["conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3", "inception_3a/1x1", "inception_3a_1x1_up",
             "inception_3b/1x1", "res2a_branch1", "res2a_branch2a", "res2b_branch2a", "conv1_1", "conv1_2", "fc6",
             "loss1/fc", "loss11/classifier"]  # fmt: skip
    assert list(blocks(names)) == [
        names[:1], names[1:3], names[3:5], names[5:6], names[6:8], names[8:9], names[9:11], ["fc6"], ["loss1/fc"],
        ["loss11/classifier"],
    ]  # fmt: skip


def test_the_picture_has_a_bar_pair_a_layer() -> None:
    net = InceptionSEP("paper", width=0.25, input_size=64)
    before, after = (
        graph(to_text(net.deploy())),
        graph(to_text(InceptionSEP("paper", width=0.125, input_size=64).deploy())),
    )
    layers = compare_layers(before, after)
    axes = draw_widths(layers, "title").axes[0]
    widths = [layer for layer in layers if layer.type in ("Convolution", "InnerProduct")]
    assert len(widths) == 60  # 3 of the stem, 8 in each of 7 blocks, the classifier
    assert [label.get_text() for label in axes.get_yticklabels()] == [layer.name for layer in widths]
    bars = [patch.get_width() for container in axes.containers for patch in container]
    assert bars[:2] == [8, 16]  # conv1 after and before: 64 / 8 and 64 / 4
    assert axes.texts[0].get_text() == "16 → 8"
    assert axes.texts[-1].get_text() == "2"


def test_tables_and_picture_from_the_command_line(root: Path, tmp_path: Path) -> None:
    before, after = folder(tmp_path / "before", 8), folder(tmp_path / "after", 6)
    done = compare(root, "--before", before, "--after", after, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "comparison.md", "layers.csv", "totals.csv", "widths.png",
    ]  # fmt: skip
    with open(tmp_path / "out" / "totals.csv", newline="") as file:
        totals = {row["measure"]: row for row in csv.DictReader(file)}
    assert (totals["weights"]["before"], totals["weights"]["after"]) == ("869", "653")
    sizes = [str((place / "net.caffemodel").stat().st_size) for place in (before, after)]
    assert [totals["bytes on disk"]["before"], totals["bytes on disk"]["after"]] == sizes
    with open(tmp_path / "out" / "layers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert "forward_ms_before" not in rows[0]  # nobody measured
    assert rows[1]["channels_before"] == "8" and rows[1]["channels_after"] == "6"
    assert "## Before and after" in (tmp_path / "out" / "comparison.md").read_text()
    # The same again gives the same bytes.
    assert compare(root, "--before", before, "--after", after, "--out", tmp_path / "again").returncode == 0
    for path in (tmp_path / "out").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


@pytest.mark.caffe
def test_measured_times(root: Path, tmp_path: Path) -> None:
    before, after = folder(tmp_path / "before", 8), folder(tmp_path / "after", 6)
    done = compare(root, "--before", before, "--after", after, "--time", "2", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "out" / "totals.csv", newline="") as file:
        totals = {row["measure"]: row for row in csv.DictReader(file)}
    assert float(totals["forward ms"]["before"]) > 0 and float(totals["backward ms"]["after"]) > 0
    with open(tmp_path / "out" / "layers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["forward_ms_before"]) >= 0 for row in rows)


def test_bad_input_is_one_line_and_leaves_nothing(root: Path, tmp_path: Path) -> None:
    before, after = folder(tmp_path / "before", 8), folder(tmp_path / "after", 6)
    out = tmp_path / "out"
    empty = tmp_path / "empty"
    empty.mkdir()
    (after / "second.caffemodel").write_bytes((after / "net.caffemodel").read_bytes())
    weights = after / "net.caffemodel"
    for arguments, words in (
        (["--before", before, "--after", empty], "deploy.prototxt: cannot be read"),
        (["--before", before, "--after", after], "holds 2 weights files"),
        (["--before", before, "--after", after, "--weights-after", before / "net.caffemodel"], "weight blob 0"),
        (["--before", before, "--weights-before", tmp_path / "none", "--after", weights], "cannot be read"),
        (["--before", before, "--after", after / "deploy.prototxt", "--time", "0"], "below 1"),
    ):
        done = compare(root, *arguments, "--out", out)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
        assert not out.exists()
    assert compare(root, "--before", before, "--after", before, "--out", empty).returncode == 2
