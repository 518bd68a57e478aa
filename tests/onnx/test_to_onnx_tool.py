"""tools/to_onnx.py and `predict.py --engine onnx`, as their users run them."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose

from pyhisto.evaluation.predictions import read_predictions
from pyhisto.files import sha256
from pyhisto.manifest import Row, write_manifest
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.onnx.runtime import runner
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.recipe import Preprocessing
from tests.networks import save

Pair = tuple[Path, Path]


@pytest.fixture
def files(tmp_path: Path) -> Pair:
    """The Inception + SEP network, an eighth as wide, for 64 x 64 images, and weights."""
    return save(tmp_path, InceptionSEP("paper", width=0.125, input_size=64).deploy())


def program(root: Path, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "tools" / name, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def to_onnx(root: Path, files: Pair, *more: object) -> subprocess.CompletedProcess[str]:
    out = files[0].with_name("net.onnx")
    return program(root, "to_onnx.py", "--model", files[0], "--weights", files[1], "--out", out, *more)


def test_a_model_is_proved_and_written(root: Path, files: Pair) -> None:
    done = to_onnx(root, files)
    assert done.returncode == 0, done.stderr
    proof, out = done.stdout.splitlines()
    assert proof.startswith("Proof (") and float(proof.split()[-1]) <= 1e-4
    model = onnx.load(out)
    assert {each.key: each.value for each in model.metadata_props} == {
        "model_sha256": sha256(files[0]),
        "weights_sha256": sha256(files[1]),
    }
    assert runner(model)({"data": np.zeros((3, 3, 64, 64), np.float32)}, ["prob"])["prob"].shape == (3, 2)


def test_without_a_proof(root: Path, files: Pair) -> None:
    done = to_onnx(root, files, "--no-proof")
    assert done.returncode == 0 and done.stdout.splitlines()[0] == "No proof was asked for"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_bad_input_is_one_line_and_exit_2(root: Path, files: Pair, tmp_path: Path) -> None:
    model, weights = files
    text, data = model.read_text(), weights.read_bytes()

    def refused(complaint: str) -> None:
        done = to_onnx(root, files)
        assert done.returncode == 2, done.stdout
        assert complaint in done.stderr and done.stderr.count("\n") == 1
        assert not (tmp_path / "net.onnx").exists()
        model.write_text(text)
        weights.write_bytes(data)

    weights.write_bytes(data[: len(data) // 2])
    refused("deploy.caffemodel: not a NetParameter, or cut short")
    edit(model, 'name: "conv1/7x7_s2"', 'name: "conv1"')
    refused("deploy.caffemodel: holds no weights for layer 'conv1' of")
    edit(model, "num_output: 8", "num_output: 16")
    refused("deploy.caffemodel: layer 'conv1/7x7_s2': weight blob 0 is")
    edit(model, 'type: "Sigmoid"', 'type: "Threshold"')
    refused("layer 'inception_3a_prob' (Threshold): has no counterpart in ONNX")
    edit(model, "layer {", "layer [")
    refused("not a valid prototxt")
    edit(model, "layer {", "lair {")  # perhaps a fork's, and passed over: but nothing makes the input then
    refused("nothing before it makes its bottom 'data'")
    model.unlink()
    refused("deploy.prototxt: cannot be read")


@pytest.mark.caffe
def test_predictions_of_caffe_and_onnx_agree_on_real_images(
    root: Path, files: Pair, shared_data: Path, tmp_path: Path
) -> None:
    photos = sorted((shared_data / "BreaKHis_v1").rglob("*-100-*.png"))[:2]
    rows = [Row(f"{index}.png", index, patient=f"p{index}", split="test") for index in range(len(photos))]
    for row, photo in zip(rows, photos, strict=True):
        cv2.imwrite(str(tmp_path / row.path), read_image(photo))
    write_manifest(tmp_path / "manifest.csv", rows)
    Preprocessing("local", size=64, mean=(204.24, 186.73, 208.62)).save(tmp_path)
    tables = []
    for engine in ("caffe", "onnx"):
        done = program(
            root, "predict.py", "--model", files[0], "--weights", files[1], "--engine", engine, "--branch", "local",
            "--manifest", tmp_path / "manifest.csv", "--root", tmp_path, "--out", tmp_path / f"{engine}.csv",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        tables.append(read_predictions([tmp_path / f"{engine}.csv"]).local["model"])
    assert tables[0].shape == (2, 15, 2) and np.ptp(tables[0]) > 0
    assert_allclose(tables[0], tables[1], atol=1e-4)


def test_the_onnx_engine_has_no_gpu(root: Path, files: Pair, tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.csv", [Row("0.png", 0, patient="p", split="test")])
    Preprocessing("global", size=64).save(tmp_path)
    done = program(
        root, "predict.py", "--model", files[0], "--weights", files[1], "--engine", "onnx", "--branch", "global",
        "--manifest", tmp_path / "manifest.csv", "--root", tmp_path, "--out", tmp_path / "out.csv", "--gpu", 0,
    )  # fmt: skip
    assert done.returncode == 2 and "--gpu: the onnx engine runs on the CPU" in done.stderr
