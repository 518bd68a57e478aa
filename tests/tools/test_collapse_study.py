"""The faults of the re-run of ref. [11], one by one, in real Caffe on patches that any network can tell apart."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep.lmdbs.writer import Spool, encode_record
from pyhisto.lint import lint
from pyhisto.nets.patch_cnn import PatchCNN, PatchCNNVariant
from pyhisto.proto import to_text
from pyhisto.study.collapse import collapse_table, draw_collapse, read_collapse

pytestmark = pytest.mark.caffe


def write_patches(folder: Path, count: int, seed: int) -> Path:
    """Noise, darker where it is malignant."""
    rng = np.random.default_rng(seed)
    spool = Spool(folder.with_suffix(".spool"), count)
    for rank in range(count):
        pixels = rng.integers(60, 160, (32, 32, 3)) + 60 * (1 - rank % 2)
        spool.add(rank, f"{rank}", encode_record(pixels.astype(np.uint8), rank % 2, "raw"))
    spool.write_lmdb(folder)
    spool.close()
    return folder


def test_poolings_in_place_lose_the_image_and_the_same_network_without_them_does_not(
    root: Path, tmp_path: Path
) -> None:
    train, val = write_patches(tmp_path / "train", 60, 0), write_patches(tmp_path / "val", 20, 1)
    done = subprocess.run(
        [sys.executable, root / "tools/collapse_study.py", "--train-lmdb", train, "--val-lmdb", val,
         "--batch-size", "10", "--iterations", "20", "--seed", "2", "--out", tmp_path / "collapse"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    forms = json.loads((tmp_path / "collapse/collapse.json").read_text())["forms"]
    for form in forms:
        before, after = form["untrained"], form["trained"]
        assert before["patches"] == 20 and before["majority"] == 0.5
        if form["pooling"] != "in place":
            assert before["answers"] == 20
            assert after["right"] is not None
        else:
            assert before["answers"] is None or before["answers"] < 10
            assert after["answers"] is None and form["losses"][-1] is None
    assert sorted(form["weight_decay"] for form in forms) == pytest.approx([0.004] * 3 + [0.9] * 3)
    content = read_collapse(tmp_path)
    assert content is not None
    assert [row[0] for row in collapse_table(content).rows] == [
        name for name in ("own top", "in place", "in place, as on a GPU") for _ in range(2)
    ]
    assert len(draw_collapse(content).figure.axes) == 6


def test_the_lint_tells_them_apart(tmp_path: Path) -> None:
    variants: tuple[tuple[PatchCNNVariant, int], ...] = (("in-place", 3), ("repaired", 0))
    for variant, faults in variants:
        file = tmp_path / f"{variant}.prototxt"
        file.write_text(to_text(PatchCNN(variant).deploy()))
        assert [finding.rule for finding in lint(file)] == ["in-place"] * faults


NET = """
force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "TOP" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "TOP" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


def test_no_gradient_passes_a_pooling_in_place(tmp_path: Path) -> None:
    import caffe

    gradients = {}
    for top in ("conv", "pool"):
        model = tmp_path / f"{top}.prototxt"
        model.write_text(NET.replace("TOP", top))
        net = caffe.Net(str(model), caffe.TRAIN)
        net.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
        net.blobs["label"].data[...] = [0, 1]
        net.forward()
        net.backward()
        gradients[top] = np.abs(net.params["conv"][0].diff).max(), np.abs(net.params["fc"][0].diff).max()
    assert gradients["pool"][0] > 1e-3 and gradients["pool"][1] > 1e-3
    assert gradients["conv"][0] == 0 and gradients["conv"][1] > 0
