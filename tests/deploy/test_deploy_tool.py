"""tools/deploy.py as its users run it."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pyhisto.deploy.calibration import choose_rows
from pyhisto.deploy.chains import CHAINS
from pyhisto.graph import Graph
from pyhisto.manifest import Row, write_manifest
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proto import NetParameter, parse_text, write_weights
from tests.networks import IMAGE_NET, random_weights

MEAN = (10.5, 20.0, 30.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "net.prototxt").write_text(IMAGE_NET)
    graph = Graph.build(parse_text(IMAGE_NET, NetParameter, Path("net")))
    write_weights(folder / "net.caffemodel", random_weights([graph]))
    Preprocessing("global", 16, MEAN).save(folder / "preprocessing.json")
    generator, rows = np.random.default_rng(0), []
    for number in range(6):
        name = f"{number}.png"
        cv2.imwrite(str(folder / name), generator.integers(0, 256, (16, 16, 3), np.uint8))
        rows.append(Row(name, number % 2, split="train" if number < 4 else "test"))
    write_manifest(folder / "manifest.csv", rows)
    return folder


def deploy(root: Path, folder: Path, chain: str, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "tools" / "deploy.py", "--for", chain, "--model", folder / "net.prototxt",
               "--weights", folder / "net.caffemodel", "--out", out, *more]  # fmt: skip
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


WORDS = {
    "opencv": ("blobFromImage.json", "10.5"),
    "openvino": ("mo.sh", '--mean_values "data[10.5,20,30]" --compress_to_fp16=False'),
    "ncnn": ("ncnn.json", '"PIXEL_BGR"'),
    "mnn": ("quantize.json", '"used_image_num": 4'),
    "rknn": ("convert.py", "mean_values=[[10.5, 20.0, 30.0]]"),
    "ascend": ("aipp.cfg", "min_chn_0: 10.5"),
    "nnie": ("mean.txt", "10.5\n20\n30\n"),
    "sigmastar": ("input_config.ini", "mean_red=30;\nmean_green=20;\nmean_blue=10.5;"),
}


@pytest.mark.parametrize("chain", WORDS)
def test_what_is_written(root: Path, folder: Path, tmp_path: Path, chain: str) -> None:
    recipe = ["--preprocessing", folder / "preprocessing.json", "--manifest", folder / "manifest.csv", "--root", folder]
    out = tmp_path / "out"
    done = deploy(root, folder, chain, out, *recipe)
    assert done.returncode == 0, done.stderr
    assert "the largest difference from the network is" in done.stdout
    file, words = WORDS[chain]
    assert words in (out / file).read_text()
    network = ["net.onnx"] if CHAINS[chain].reads == "onnx" else ["net.prototxt", "net.caffemodel"]
    assert all((out / name).stat().st_size for name in network)
    names = (out / "calibration.txt").read_text().splitlines()
    assert len(names) == 4
    # The training images, of each class in turn; PNG gives the network's pixels back.
    wanted = ["0.png", "2.png", "1.png", "3.png"]
    for name, source in zip(names, wanted, strict=True):
        assert np.array_equal(read_image(out / name), read_image(folder / source))
    report = json.loads((out / "deploy.json").read_text())
    assert report["proof"]["largest_difference"] < 1e-4
    assert report["inputs"]["mean"] == list(MEAN)


def test_calibration_images_by_hand() -> None:
    rows = [Row(str(number), int(number >= 6)) for number in range(10)]
    # 5 of two classes: 3 of the 6 of class 0, 2 of the 4 of class 1, evenly.
    assert [row.path for row in choose_rows(rows, 5)] == ["0", "2", "4", "6", "8"]
    assert len(choose_rows(rows, 100)) == 10


def test_what_the_chain_cannot_take_ends_in_1(root: Path, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "net.prototxt").write_text(IMAGE_NET.replace('type: "ReLU"', 'type: "BNLL"'))
    (other / "net.caffemodel").write_bytes((folder / "net.caffemodel").read_bytes())
    done = deploy(root, other, "sigmastar", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    assert "sigmastar-type: layer 'relu' (BNLL)" in done.stdout
    assert (tmp_path / "out" / "net.prototxt").exists()


def test_bad_input_is_one_line(root: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases: list[tuple[list[object], str]] = [
        (["--manifest", folder / "manifest.csv"], "give --preprocessing"),
        (["--manifest", folder / "manifest.csv", "--preprocessing", folder], "--root"),
        (["--preprocessing", tmp_path / "none"], "cannot be read"),
        (["--weights", folder / "manifest.csv"], "manifest.csv"),
        (["--input-shape", "other=1x3x16x16"], "'other'"),
    ]
    for arguments, words in cases:
        done = deploy(root, folder, "nnie", out, *arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), (arguments, done.stderr)
        assert words in done.stderr
        assert not out.exists()
