"""tools/sensitivity.py on a real LMDB through real Caffe: what a mask loses is what the pruned network loses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pyhisto.proto import TEST, NetParameter, layer_blobs, parse_text, read_net, read_weights
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, rank_atoms
from pyhisto.pruning.schedule import Schedule, choose_by_group
from pyhisto.pruning.validation import Validation
from tests.labelled import FACTOR, MEAN, RECORDS, write_labelled

pytestmark = pytest.mark.caffe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("sensitivity"))


def command(root: Path, folder: Path, out: Path, *more: object) -> list[str]:
    arguments = [sys.executable, root / "tools" / "sensitivity.py", "--model", folder / "deploy.prototxt",
                 "--also", folder / "train_val.prototxt", "--weights", folder / "net.caffemodel", "--criterion", "l1",
                 "--shares", "0.3", "0.5", "0.8", "--out", out, *more]  # fmt: skip
    return list(map(str, arguments))


def measure(root: Path, folder: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(root, folder, out, *more), capture_output=True, text=True, check=False)


def test_each_record_counts_once(root: Path, folder: Path, tmp_path: Path) -> None:
    import caffe

    done = measure(root, folder, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    whole = json.loads((tmp_path / "out" / "sensitivity.json").read_text())["whole"]
    net = caffe.Net(str(folder / "deploy.prototxt"), caffe.TEST, weights=str(folder / "net.caffemodel"))
    records = np.load(folder / "records.npz")
    net.blobs["data"].data[...] = (records["pixels"].astype(np.float32) - MEAN) * FACTOR
    net.forward()
    scores = net.blobs["ip"].data.astype(np.float64)
    lost = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(RECORDS), records["labels"]]
    assert whole["loss"] == pytest.approx(lost.mean(), rel=1e-5)
    assert whole["accuracy"] == pytest.approx((scores.argmax(axis=1) == records["labels"]).mean())
    assert (tmp_path / "out" / "sensitivity.png").stat().st_size > 5000


def test_a_mask_loses_what_the_pruned_network_loses(root: Path, folder: Path, tmp_path: Path) -> None:
    assert measure(root, folder, tmp_path / "out").returncode == 0
    groups = json.loads((tmp_path / "out" / "sensitivity.json").read_text())["groups"]
    assert [(key, group["atoms"]) for key, group in groups.items()] == [("conv1", 6), ("conv2", 8)]
    # 0.3 of 6 are 1.8, of 8 2.4; 0.5 of them 3 and 4, 0.8 of them 4.8 and 6.4.
    assert [step["removed"] for step in groups["conv1"]["steps"]] == [2, 3, 5]
    assert [step["removed"] for step in groups["conv2"]["steps"]] == [2, 4, 6]
    files = folder / "deploy.prototxt", [folder / "train_val.prototxt"], folder / "net.caffemodel"
    network = LoadedNetwork.read(*files, {})
    scores = rank_atoms(network, "l1", None, 0)
    names = [group.name for group in network.dependencies.groups]
    for key, group in groups.items():
        for step in group["steps"]:
            shares = [step["share"] if name == key else 0.0 for name in names]
            removed = choose_by_group(network.dependencies, scores, shares, Schedule(None))
            pruned = cut_network(network, removed, {})
            net = parse_text(pruned.texts["train_val.prototxt"], NetParameter, Path("pruned"))
            score = Validation(net, TEST, pruned.weights, "pruned").score()
            assert score.loss == pytest.approx(step["score"]["loss"], rel=1e-5)
            assert score.accuracy == pytest.approx(step["score"]["accuracy"])


def test_fewer_records_are_spread_evenly(folder: Path) -> None:
    net, weights = read_net(folder / "train_val.prototxt"), read_weights(folder / "net.caffemodel")
    validation = Validation(net, TEST, weights, "net", records=7)
    # 23 records: 0 x 23 / 7, 1 x 23 / 7, ..., rounded down.
    wanted = np.load(folder / "records.npz")["pixels"][[0, 3, 6, 9, 13, 16, 19]]
    batches = [batch["data"] for batch in validation.batches()]
    assert [len(batch) for batch in batches] == [5, 2]
    assert np.concatenate(batches) == pytest.approx((wanted - np.float32(MEAN)) * np.float32(FACTOR), abs=1e-5)


def test_the_weights_are_whole_again_after_a_mask(folder: Path) -> None:
    weights = read_weights(folder / "net.caffemodel")
    validation = Validation(read_net(folder / "train_val.prototxt"), TEST, weights, "net")
    before = validation.score()
    zeros = {"conv1": [np.zeros_like(blob) for blob in layer_blobs(weights)["conv1"]]}
    validation.set_weights(zeros)
    assert validation.score() != before
    validation.restore(zeros)
    assert validation.score() == before


def test_a_killed_run_goes_on(root: Path, folder: Path, tmp_path: Path) -> None:
    assert measure(root, folder, tmp_path / "whole").returncode == 0
    out = tmp_path / "killed"
    log = out / "measured.jsonl"
    with subprocess.Popen(
        command(root, folder, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        while not (log.exists() and len(log.read_text().splitlines()) > 2):
            assert process.poll() is None or log.exists()
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
    for left in (log, out / "sensitivity.json"):
        if left.exists() and left.suffix == ".json":
            left.unlink()
    with open(log, "a") as file:
        file.write('{"masked": "conv')  # what a kill leaves of a line
    kept = log.read_text().splitlines()[:3]
    done = measure(root, folder, out)
    assert done.returncode == 0, done.stderr
    assert log.read_text().splitlines()[:3] == kept
    assert (out / "sensitivity.json").read_text() == (tmp_path / "whole" / "sensitivity.json").read_text()
    refused = measure(root, folder, out, "--records", 5)
    assert refused.returncode == 2
    assert "is of other settings" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    with open(log, "ab") as file:
        file.write(b"\xff\n")
    damaged = measure(root, folder, out)
    assert (damaged.returncode, damaged.stderr.count("\n")) == (2, 1)
    assert "measured.jsonl: damaged; remove it and measure again" in damaged.stderr


def test_pruning_by_it(root: Path, folder: Path, tmp_path: Path) -> None:
    assert measure(root, folder, tmp_path / "out").returncode == 0
    prune = [sys.executable, root / "tools" / "prune.py", "--model", folder / "deploy.prototxt",
             "--also", folder / "train_val.prototxt", "--weights", folder / "net.caffemodel", "--criterion", "l1",
             "--target-flops", "0.5", "--sensitivity", tmp_path / "out" / "sensitivity.json",
             "--out", tmp_path / "pruned"]  # fmt: skip
    done = subprocess.run(list(map(str, prune)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    plan = json.loads((tmp_path / "pruned" / "plan.json").read_text())
    # A channel of conv1 is 1/6 of nearly all; the nearest to a half is what whole channels allow.
    assert plan["cost"]["after"]["flops"] / plan["cost"]["before"]["flops"] == pytest.approx(0.5, abs=0.06)
    assert set(plan["settings"]["shares"]) == {"conv1", "conv2"}


def test_bad_input_is_one_line(root: Path, folder: Path, tmp_path: Path) -> None:
    no_data = [argument for argument in command(root, folder, tmp_path / "out") if "train_val" not in argument]
    no_data.remove("--also")
    done = subprocess.run(no_data, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "has no Data layer in the TEST phase" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_python_layer_that_cannot_be_made(root: Path, folder: Path, tmp_path: Path) -> None:
    """Caffe prints the exception itself, and loses it: Python makes a SystemError of that."""
    spoilt = tmp_path / "train_val.prototxt"
    layer = 'layer { name: "x" type: "Python" bottom: "label" top: "x" python_param { module: "math" layer: "No" } }'
    text = (folder / "train_val.prototxt").read_text()
    spoilt.write_text(f"{text}\n{layer}\n")
    arguments = [spoilt if str(word).endswith("train_val.prototxt") else word
                 for word in command(root, folder, tmp_path / "out")]  # fmt: skip
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "a Python layer of it cannot be made; correct it" in done.stderr.splitlines()[-1]
