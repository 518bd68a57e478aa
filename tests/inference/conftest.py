"""Networks with weights, made without Caffe, small sets of images, and a bundle."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pyhisto.evaluation.predictions import BRANCHES
from pyhisto.graph import Graph
from pyhisto.inference.bundling import About, Source, make_bundle
from pyhisto.manifest import Row, write_manifest
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proto import NetParameter, read_net, set_blob, write_weights
from tests.inference.made_images import spotted
from tests.networks import IMAGE_NET


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


ABOUT = About("toy", "telling made images apart", ("plain", "spotted"), 0.6, 0.5, "Made images", "CC0", "anything")


def pooled_network(folder: Path, seed: int, classes: int = 2) -> tuple[Path, Path]:
    """The small network, pooled over its whole map, so that it has evidence maps; and its weights."""
    folder.mkdir(parents=True)
    text = IMAGE_NET.replace("kernel_size: 4 stride: 4", "global_pooling: true")
    (folder / "deploy.prototxt").write_text(text.replace("num_output: 2", f"num_output: {classes}"))
    write_random_weights(folder / "deploy.prototxt", folder / "w.caffemodel", seed)
    return folder / "deploy.prototxt", folder / "w.caffemodel"


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of train, val and test; for both branches and two members a network and what an LMDB's folder holds."""
    folder = tmp_path_factory.mktemp("training")
    rows = []
    (folder / "images").mkdir()
    for number in range(24):
        name, split = f"images/{number:02d}.png", ("train", "val", "test")[number // 2 % 3]
        cv2.imwrite(str(folder / name), spotted(number, 40 * (number % 2)))
        rows.append(Row(name, number % 2, patient=f"p{number}", split=split))
    for member in ("one", "two"):
        for index, branch in enumerate(BRANCHES):
            pooled_network(folder / member / branch, 10 * len(member) + index + (member == "two"))
            (folder / member / branch / "lmdb").mkdir()
            Preprocessing(branch, size=16, mean=(180.0, 130.0, 200.0), record="jpeg444").save(
                folder / member / branch / "lmdb"
            )  # fmt: skip
            write_manifest(folder / member / branch / "lmdb/manifest.csv", rows)
    return folder


def sources(training: Path, *members: str) -> list[Source]:
    """The networks of these members."""
    return [
        Source(branch, place / "deploy.prototxt", place / "w.caffemodel", place / "lmdb")
        for member in members
        for branch in ("global", "local")
        for place in [training / member / branch]
    ]


@pytest.fixture(scope="session")
def bundle(training: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two branches and one member."""
    out = tmp_path_factory.mktemp("bundles") / "toy"
    make_bundle(sources(training, "one"), training, ABOUT, 1, out)
    return out


@pytest.fixture(scope="session")
def bag(training: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two branches and two members."""
    out = tmp_path_factory.mktemp("bundles") / "bag"
    make_bundle(sources(training, "one", "two"), training, ABOUT, 1, out)
    return out
