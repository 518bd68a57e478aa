"""Networks with weights, made without Caffe, and a small set of images."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import IMAGE_NET

from pyhisto.graph import Graph
from pyhisto.manifest import Row, write_manifest
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proto import NetParameter, read_net, set_blob, write_weights


def write_random_weights(model: Path, weights: Path, seed: int = 0) -> None:
    """Weights of a network, drawn so that activations keep their size."""
    rng = np.random.default_rng(seed)
    net = NetParameter()
    for node in Graph.build(read_net(model), source=model).nodes:
        if not node.param_shapes:
            continue
        layer = net.layer.add(name=node.name, type=node.type)
        for index, shape in enumerate(node.param_shapes):
            values = rng.normal(0, np.sqrt(2 / np.prod(shape[1:], initial=1)), shape)
            if node.type == "BatchNorm":
                values = (np.zeros, np.ones, np.ones)[index](shape)  # mean, variance, scale factor
            elif len(shape) == 1:
                values = rng.normal(1 if node.type == "Scale" and index == 0 else 0, 0.1, shape)
            set_blob(layer.blobs.add(), values.astype(np.float32))
    write_weights(weights, net)


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """A deploy prototxt for 16 x 16 images and its weights."""
    model, weights = tmp_path / "deploy.prototxt", tmp_path / "small.caffemodel"
    model.write_text(IMAGE_NET)
    write_random_weights(model, weights)
    return model, weights


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory, root: Path) -> tuple[Path, Path]:
    """The Inception + SEP network, an eighth as wide, and its weights."""
    folder = tmp_path_factory.mktemp("narrow") / "net"
    command = [sys.executable, "prototxt/generate.py", "inception-sep", "--width", "0.125", "--out", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    write_random_weights(folder / "deploy.prototxt", folder / "net.caffemodel")
    return folder / "deploy.prototxt", folder / "net.caffemodel"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Seven images of four patients with a manifest, and the preprocessing of both branches; returns the folder."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(7):
        name = f"images/{number}.png"
        (tmp_path / "images").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 256, (60, 90, 3), np.uint8))
        split = "train" if number < 2 else "test"
        rows.append(Row(name, number % 2, patient=f"p{number // 2}", split=split))
    write_manifest(tmp_path / "manifest.csv", rows)
    for branch in ("global", "local"):
        (tmp_path / branch).mkdir()
        Preprocessing(branch, size=16, mean=(120.5, 100.25, 110.0)).save(tmp_path / branch)
    return tmp_path
