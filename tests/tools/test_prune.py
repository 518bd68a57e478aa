"""tools/prune.py as its users run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyhisto.files import sha256
from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import TEST, TRAIN, layer_blobs, read_net, read_solver, read_weights, to_text, write_weights
from pyhisto.pruning.importance import Importance
from tests.networks import random_weights, save

NETWORK = InceptionSEP("released", width=0.125, input_size=64)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A folder with a network's files, weights and importance."""
    folder = tmp_path_factory.mktemp("network")
    command = [sys.executable, root / "prototxt" / "generate.py", "inception-sep", "--variant", "released",
               "--width", "0.125", "--input-size", "64", "--out", folder]  # fmt: skip
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    shapes = {"data": (10, 3, 64, 64)}
    graphs = [Graph.build(NETWORK.train_val("t", "v", 10, 10), phase, input_shapes=shapes) for phase in (TEST, TRAIN)]
    write_weights(folder / "net.caffemodel", random_weights(graphs))
    generator = np.random.default_rng(0)
    blocks = {
        node.name: generator.random((node.tops[0].shape or ())[1])
        for node in graphs[0].nodes
        if node.type == "Scale" and len(node.bottoms) == 2
    }
    Importance(blocks, 1, sha256(folder / "net.caffemodel")).save(folder / "importance.json")
    return folder


def prune(
    root: Path, files: Path, out: Path, *more: object, model: str = "deploy.prototxt"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "tools" / "prune.py", "--model", files / model,
               "--weights", files / "net.caffemodel", "--out", out, *more]  # fmt: skip
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def sep(files: Path, ratio: str = "0.5") -> list[object]:
    return ["--criterion", "sep", "--importance", files / "importance.json", "--ratio", ratio]


def test_all_files_are_cut_alike(root: Path, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    also = [files / f"{name}.prototxt" for name in ("train_val", "statistics", "solver")]
    done = prune(root, files, out, "--also", *also, *sep(files))
    assert done.returncode == 0, done.stderr
    assert "the largest difference from the masked original is" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == [
        "deploy.prototxt", "net.caffemodel", "plan.json", "solver.prototxt", "statistics.prototxt",
        "train_val.prototxt",
    ]  # fmt: skip
    plan = json.loads((out / "plan.json").read_text())
    assert plan["proof"]["largest_difference"] < 1e-4
    blobs = layer_blobs(read_weights(out / "net.caffemodel"))
    widths: dict[str, set[int]] = {}
    for name in ("deploy", "train_val", "statistics"):
        for layer in read_net(out / f"{name}.prototxt").layer:
            if layer.type == "Convolution":
                widths.setdefault(layer.name, set()).add(layer.convolution_param.num_output)
                assert blobs[layer.name][0].shape[0] == layer.convolution_param.num_output
    assert all(len(width) == 1 for width in widths.values())
    # Half of each block's channels; the stem and the reductions have no SEP block behind them and stay.
    assert widths["conv2/3x3"] == {24}
    assert widths["inception_3a/3x3_reduce"] == {12}
    assert sum(next(iter(widths[f"inception_3a/{b}"])) for b in ("1x1", "3x3", "5x5", "pool_proj")) == 16
    # The auxiliary heads read less, and lose nothing of their own.
    assert blobs["loss1/conv"][0].shape[:2] == (16, 32)
    solver = read_solver(out / "solver.prototxt")
    assert (solver.net, solver.snapshot_prefix) == (str(out / "train_val.prototxt"), str(out / "snapshot"))


def test_what_stays_keeps_its_weights(root: Path, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert prune(root, files, out, *sep(files)).returncode == 0
    plan = json.loads((out / "plan.json").read_text())["layers"]
    before, after = (layer_blobs(read_weights(path / "net.caffemodel")) for path in (files, out))
    kept = plan["inception_3a/1x1"]["kept"]
    assert np.array_equal(after["inception_3a/1x1"][0], before["inception_3a/1x1"][0][kept])
    assert np.array_equal(after["inception_3a/relu_1x1_bn"][1], before["inception_3a/relu_1x1_bn"][1][kept])
    assert np.array_equal(after["inception_3a/relu_1x1_bn"][2], before["inception_3a/relu_1x1_bn"][2])
    # The channels with the largest importance stay: of the block's 32, the best 16.
    factors = np.array(json.loads((files / "importance.json").read_text())["blocks"]["inception_3a_scale"])
    assert plan["inception_3a_1x1_up"]["kept"] == sorted(np.argsort(factors)[-16:].tolist())


def test_opencv_proves_where_there_is_no_caffe(root: Path, files: Path, tmp_path: Path) -> None:
    script = (
        "import runpy, sys; sys.modules['caffe'] = None; sys.argv[0] = 'prune.py'; "
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    command = [sys.executable, "-c", script, root / "tools" / "prune.py", "--model", files / "deploy.prototxt",
               "--weights", files / "net.caffemodel", "--out", tmp_path / "out", *sep(files)]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    assert "Proof (opencv; Caffe is not installed)" in done.stdout


@pytest.mark.parametrize("quantity", ["flops", "weights"])
def test_a_target_is_what_is_left(root: Path, files: Path, tmp_path: Path, quantity: str) -> None:
    done = prune(root, files, tmp_path / "out", "--criterion", "l1", f"--target-{quantity}", "0.6")
    assert done.returncode == 0, done.stderr
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert plan["cost"]["after"][quantity] / plan["cost"]["before"][quantity] == pytest.approx(0.6, abs=0.01)
    assert plan["settings"][f"target_{quantity}"] == 0.6
    assert 0 < plan["settings"]["proportion"] < 0.4  # a channel costs twice: where it is made, and where it is read
    rows = {line.split("  ")[0]: line.split() for line in done.stdout.splitlines()}
    assert [rows[name][-1][-1] for name in ("channels", "FLOPs", "weights", "bytes", "activation bytes")] == ["%"] * 5


def test_a_dry_run_writes_nothing(root: Path, files: Path, tmp_path: Path) -> None:
    done = prune(root, files, tmp_path / "out", *sep(files), "--dry-run")
    assert done.returncode == 0
    assert "inception_3a/1x1 + inception_3a_1x1_up: 8 bundles of 2 channels" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.caffe
def test_the_pruned_network_trains_on(root: Path, files: Path, tmp_path: Path) -> None:
    import caffe

    out = tmp_path / "out"
    assert prune(root, files, out, "--also", files / "train_val.prototxt", *sep(files)).returncode == 0
    net = read_net(out / "train_val.prototxt")
    del net.layer[:2]
    inputs = type(net)()
    for name, shape in (("data", (2, 3, 64, 64)), ("label", (2,))):
        inputs.layer.add(name=name, type="Input", top=[name]).input_param.shape.add(dim=shape)
    inputs.MergeFrom(net)
    (tmp_path / "train.prototxt").write_text(to_text(inputs))
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/train.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 8 momentum: 0.9 random_seed: 1'
    )
    solver = caffe.SGDSolver(str(tmp_path / "solver.prototxt"))
    solver.net.copy_from(str(out / "net.caffemodel"))
    losses = []
    for _ in range(8):
        solver.net.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(2, 3, 64, 64)) * 50
        solver.net.blobs["label"].data[...] = [0, 1]
        solver.step(1)
        losses.append(float(solver.net.blobs["loss3/loss3"].data))
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_bad_input_is_one_line_and_leaves_nothing(root: Path, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    broken = tmp_path / "broken.prototxt"
    broken.write_text("layer { name: ")
    other_model, other_weights = save(tmp_path, InceptionSEP("paper", width=0.25, input_size=64).deploy(), name="other")
    cut_short = tmp_path / "short.caffemodel"
    cut_short.write_bytes((files / "net.caffemodel").read_bytes()[:50_000])
    importance = json.loads((files / "importance.json").read_text())
    del importance["blocks"]["inception_3a_scale"]
    stranger = tmp_path / "stranger.json"
    stranger.write_text(json.dumps(importance))
    old = tmp_path / "old.json"
    old.write_text(json.dumps({**json.loads((files / "importance.json").read_text()), "weights_sha256": "0"}))

    score = '{"loss": 1, "accuracy": null}'
    step = f'{{"share": 1e308, "removed": 1, "score": {score}}}'
    endless = tmp_path / "endless.json"
    endless.write_text(
        f'{{"format": 1, "settings": {{}}, "records": 1, "whole": {score}, '
        f'"groups": {{"a": {{"atoms": 4, "steps": [{step}]}}}}}}'
    )

    cases: list[tuple[list[object], str]] = [
        (sep(files, "0"), "not between 0 and 1"),
        (sep(files, "1"), "not between 0 and 1"),
        (sep(files, "nan"), "not between 0 and 1"),
        (["--criterion", "sep", "--ratio", "0.5"], "--importance"),
        ([*sep(files), "--importance", stranger], "another network"),
        ([*sep(files), "--importance", old], "other weights"),
        ([*sep(files), "--importance", broken], "not valid JSON"),
        ([*sep(files), "--weights", other_weights], "weight blob"),
        ([*sep(files), "--weights", cut_short], "cut short"),
        ([*sep(files), "--weights", tmp_path / "none"], "cannot be read"),
        ([*sep(files), "--model", broken], "broken.prototxt"),
        ([*sep(files), "--also", other_model], "other.prototxt needs"),
        ([*sep(files), "--loops", "2", "--loop", "3"], "--loop 3"),
        ([*sep(files), "--keep", "nobody"], "'nobody'"),
        (["--criterion", "sep"], "--ratio"),
        (["--criterion", "l1", "--target-flops", "0.5", "--ratio", "0.5"], "not allowed with"),
        (["--criterion", "l1", "--target-flops", "0.001"], "is the least that can be left"),
        (["--criterion", "l1", "--ratio", "0.5", "--sensitivity", stranger], "give --target-flops"),
        (["--criterion", "l1", "--target-flops", "0.5", "--sensitivity", stranger], "not a sensitivity file"),
        (["--criterion", "l1", "--target-flops", "0.5", "--sensitivity", endless], "not a sensitivity file"),
    ]
    for arguments, words in cases:
        message = complaint(prune(root, files, out, *arguments))
        assert words in message, (words, message)
        assert "Traceback" not in message
        assert not out.exists()
    out.mkdir()
    assert "exists already" in complaint(prune(root, files, out, *sep(files)))


SMALL = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "b" type: "Convolution" bottom: "a" top: "b" convolution_param { num_output: 2 kernel_size: 1 } }
"""


def test_a_given_input_shape_stands_instead_of_the_file_s(root: Path, tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(SMALL)
    write_weights(tmp_path / "net.caffemodel", random_weights([Graph.build(read_net(tmp_path / "net.prototxt"))]))
    half = ["--criterion", "l1", "--ratio", "0.5", "--input-shape"]
    done = prune(root, tmp_path, tmp_path / "out", *half, "data=2x3x8x4", model="net.prototxt")
    assert done.returncode == 0, done.stderr
    # a: 2 of 4 channels, b: 2, of 2 images each of 8 x 4, by 2 x (3 and 2 inputs); for one image.
    flops = 32 * 2 * (3 * 4 + 4 * 2), 32 * 2 * (3 * 2 + 2 * 2)
    assert ["FLOPs", f"{flops[0]:,}", f"{flops[1]:,}", "50.0%"] in [line.split() for line in done.stdout.splitlines()]
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert plan["proof"]["input_shapes"] == {"data": [2, 3, 8, 4]}
    assert "dim: 32 dim: 32" in (tmp_path / "out" / "net.prototxt").read_text()
    done = prune(root, tmp_path, tmp_path / "other", *half, "image=1x3x8x8", model="net.prototxt")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "has no input 'image', whose shape is given; it has data" in done.stderr


def test_fields_of_forks_are_named_and_kept(root: Path, tmp_path: Path) -> None:
    text = SMALL.replace("num_output: 4", "num_output: 4 binary: true")
    (tmp_path / "net.prototxt").write_text(text)
    net = Graph.build(read_net(tmp_path / "net.prototxt", lenient=True))
    write_weights(tmp_path / "net.caffemodel", random_weights([net]))
    done = prune(root, tmp_path, tmp_path / "out", "--criterion", "l1", "--ratio", "0.5", model="net.prototxt")
    assert done.returncode == 0, done.stderr
    assert "net.prototxt:3: layer 'a': convolution_param.binary" in done.stdout
    assert "Proof (opencv; Caffe" in done.stdout
    assert (tmp_path / "out" / "net.prototxt").read_text() == text.replace("num_output: 4", "num_output: 2")
