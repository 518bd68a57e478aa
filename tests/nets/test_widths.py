"""generate.py --widths-of: a network of a pruned one's shape, into which its weights fit."""

import subprocess
import sys
from pathlib import Path

from pyhisto.graph import Graph
from pyhisto.proto import blob_shape, read_net, read_weights


def generate(root: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, root / "prototxt/generate.py", "inception-sep", "--solver-mode", "CPU", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_the_network_that_ships_can_be_trained_again(root: Path, tmp_path: Path) -> None:
    shipped = root / "models/pcam/global"
    done = generate(root, "--widths-of", shipped / "deploy.prototxt", "--input-size", 64, "--out", tmp_path / "net")
    assert done.returncode == 0, done.stderr
    weights = read_weights(shipped / "model.caffemodel")
    stored = {layer.name: tuple(map(blob_shape, layer.blobs)) for layer in weights.layer}
    for name in ("deploy", "train_val", "statistics"):
        for layer in read_net(tmp_path / "net" / f"{name}.prototxt").layer:
            if layer.type == "Convolution":
                assert layer.convolution_param.num_output == stored[layer.name][0][0], layer.name
    deploy = tmp_path / "net/deploy.prototxt"
    made = {node.name: node.param_shapes for node in Graph.build(read_net(deploy), source=deploy).nodes}
    assert made["conv1/7x7_s2"] == stored["conv1/7x7_s2"]
    assert all(made[name] == shapes for name, shapes in stored.items() if shapes)
    assert "--widths-of" in (tmp_path / "net/deploy.prototxt").read_text().partition("\n")[0]


def test_a_network_of_other_layers_lends_no_widths(root: Path, tmp_path: Path) -> None:
    done = generate(root, "--widths-of", root / "prototxt/patch_cnn_32/deploy.prototxt", "--out", tmp_path / "net")
    assert done.returncode == 2 and "has no convolution conv1/7x7_s2; give one" in done.stderr
    assert not (tmp_path / "net").exists()
