"""From images to the tree's report by the programs, on real Caffe: the real BISQUE images, and synthetic ones."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyhisto.hierarchy.predictions import read_predictions
from pyhisto.nets.resnext import ResNeXt
from pyhisto.preprocessing.recipe import Preprocessing
from tests.networks import save

pytestmark = pytest.mark.caffe

NETWORK = ["--input-size", 32, "--depths", 1, 1, 1, 1, "--width", 4, "--groups", 2, "--group-width", 2]
SOLVER = ["--max-iter", 4, "--test-interval", 4, "--display", 2, "--snapshot", 2, "--solver-mode", "CPU",
          "--random-seed", 1, "--base-lr", 0.001]  # fmt: skip


def call(root: Path, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / program, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def succeed(root: Path, program: str, *arguments: object) -> str:
    done = call(root, program, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(root: Path, folder: Path, node: str, images: Path, classes: int = 2) -> list[object]:
    """LMDB, network and four iterations of a node; what predict_tree.py takes for it."""
    lmdb, net = folder / "lmdb" / node, folder / node
    settings = ["--branch", "crops", "--size", 32, "--stain", "none", "--augment", 1, "--workers", 1]
    manifest = folder / "manifests" / f"{node}.csv"
    succeed(root, "data_prep/build_lmdb.py", "--manifest", manifest, "--root", images, *settings, "--out", lmdb)
    succeed(root, "prototxt/generate.py", "resnext", "--num-classes", classes, *NETWORK, *SOLVER,
            "--train-lmdb", lmdb / "train", "--val-lmdb", lmdb / "val", "--out", net)  # fmt: skip
    weights = succeed(root, "tools/train.py", "--solver", net / "solver.prototxt", "--out", folder / f"{node}_training")
    return ["--network", node, "m", net / "deploy.prototxt", weights.split()[-1], lmdb / "train"]


def test_the_real_bisque_images_through_the_binary_node(root: Path, shared_data: Path, tmp_path: Path) -> None:
    """A smoke run: two images to learn from say nothing about the method."""
    succeed(root, "data_prep/make_tree_manifests.py", "--root", shared_data, "--bisque", "bisque", "--split",
            "image-wise", "--val-fraction", 0.5, "--out", tmp_path / "manifests")  # fmt: skip
    network = train(root, tmp_path, "Carci", shared_data)
    out = tmp_path / "val.csv"
    succeed(root, "tools/predict_tree.py", *network, "--manifest", tmp_path / "manifests" / "all.csv", "--root",
            shared_data, "--split", "val", "--out", out)  # fmt: skip
    predictions = read_predictions(out)
    assert sorted(predictions.pathologies) == ["Benign", "Malignant"]
    assert predictions.split_by == ("image", "image")
    text = succeed(root, "tools/evaluate_tree.py", "--predictions", out, "--split", "val", "--out", tmp_path / "report")
    assert "Every network by itself" in text
    assert "image-wise" in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.slow
def test_a_whole_tree_of_synthetic_images(root: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    succeed(root, "data_prep/make_synthetic_bach.py", "--patients", 4, "--images", 1, "--workers", 1, "--out", images)
    succeed(root, "data_prep/make_tree_manifests.py", "--root", images, "--manifest", images / "manifest.csv",
            "--test-fraction", 0.25, "--out", tmp_path / "manifests")  # fmt: skip
    networks: list[object] = []
    for node in ("Carci", "NorBe", "InvIs", "Flat"):
        networks += train(root, tmp_path, node, images, 4 if node == "Flat" else 2)
    common = [*networks, "--manifest", tmp_path / "manifests" / "all.csv", "--root", images]
    out = tmp_path / "test.csv"
    succeed(root, "tools/predict_tree.py", *common, "--out", out)
    assert json.loads((tmp_path / "test.json").read_text())["images"] == 4
    text = succeed(root, "tools/evaluate_tree.py", "--predictions", out, "--routing", "path", "product", "--out",
                   tmp_path / "report", "--split", "test")  # fmt: skip
    assert "flat training of the same network" in text
    # OpenCV answers as Caffe does.
    succeed(root, "tools/predict_tree.py", *common, "--engine", "opencv", "--out", tmp_path / "opencv.csv")
    ours, other = read_predictions(out), read_predictions(tmp_path / "opencv.csv")
    assert all(abs(ours.answers[key] - other.answers[key]).max() < 1e-4 for key in ours.answers)
    # Images that a network was trained on are refused.
    done = call(root, "tools/predict_tree.py", *common, "--split", "train", "--out", tmp_path / "train.csv")
    assert done.returncode == 0
    manifest = (tmp_path / "manifests" / "all.csv").read_text().replace(",train", ",test")
    (tmp_path / "cheat.csv").write_text(manifest)
    done = call(root, "tools/predict_tree.py", *networks, "--manifest", tmp_path / "cheat.csv", "--root", images,
                "--out", tmp_path / "no.csv")  # fmt: skip
    assert done.returncode == 2
    assert "were trained on" in done.stderr


def test_networks_that_do_not_fit_their_node_are_refused(root: Path, tmp_path: Path) -> None:
    small: dict[str, Any] = {"input_size": 32, "depths": (1, 1, 1, 1), "width": 4, "groups": 2, "group_width": 2}
    model, weights = save(tmp_path, ResNeXt("paper", num_classes=4, **small).deploy())
    Preprocessing("centre", 32).save(tmp_path / "preprocessing.json")
    manifest = tmp_path / "all.csv"
    manifest.write_text("path,label,patient,slide,magnification,subtype,split\na.tif,0,,,,Normal,test\n")
    common = ["--manifest", manifest, "--root", tmp_path, "--out", tmp_path / "out.csv"]
    network = [model, weights, tmp_path / "preprocessing.json"]
    for node, complaint in (
        ("Carci", "has 4 classes, Carci asks for 2"),
        ("Root", "not a node"),
        ("Flat", "no such file"),
    ):
        done = call(root, "tools/predict_tree.py", "--network", node, "m", *network, *common)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1) or complaint == "no such file", done.stderr
        assert complaint in done.stderr
        assert not (tmp_path / "out.csv").exists()
    twice = ["--network", "Flat", "m", *network] * 2
    assert "same name" in call(root, "tools/predict_tree.py", *twice, *common).stderr
