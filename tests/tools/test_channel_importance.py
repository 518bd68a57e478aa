"""tools/channel_importance.py: eq. 5 on a real LMDB through real Caffe."""

import json
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest
from numpy.typing import NDArray

from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import Datum, to_text, write_weights
from tests.networks import random_weights

pytestmark = pytest.mark.caffe

RECORDS = 7
# Convolution sums in another order for another batch size, which one depends on the processor, and the gates of random
# weights are steep.
TOLERANCE = 1e-4
NETWORK = InceptionSEP(width=0.125, input_size=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("statistics")
    pixels = np.random.default_rng(0).integers(0, 256, (RECORDS, 3, 32, 32), np.uint8)
    with lmdb.open(str(folder / "lmdb")) as environment, environment.begin(write=True) as transaction:
        for index, image in enumerate(pixels):
            datum = Datum(channels=3, height=32, width=32, data=image.tobytes(), label=0)
            transaction.put(b"%010d" % index, datum.SerializeToString())
    np.save(folder / "pixels.npy", pixels)
    for batch in (1, 3, 7, 10):
        (folder / f"statistics{batch}.prototxt").write_text(to_text(NETWORK.statistics(str(folder / "lmdb"), batch)))
    (folder / "deploy.prototxt").write_text(to_text(NETWORK.deploy()))
    write_weights(folder / "net.caffemodel", random_weights([Graph.build(NETWORK.deploy())]))
    return folder


def measure(
    root: Path, folder: Path, model: str, weights: str = "net.caffemodel", *options: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "tools" / "channel_importance.py", "--model", folder / model,
               "--weights", folder / weights, "--out", folder / f"{model}.json", *options]  # fmt: skip
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def gates_of_each_record(folder: Path) -> list[dict[str, NDArray[np.floating]]]:
    """SEP block -> the activation factors of one record, by pycaffe, for all records."""
    import caffe

    deploy = caffe.Net(str(folder / "deploy.prototxt"), caffe.TEST, weights=str(folder / "net.caffemodel"))
    mean = np.array(NETWORK.mean, np.float32).reshape(3, 1, 1)
    gates = []
    for image in np.load(folder / "pixels.npy"):
        deploy.blobs["data"].data[0] = image - mean
        deploy.forward()
        gates.append(
            {name: deploy.blobs[f"{name}_prob_reshape"].data[0].copy() for name in ("inception_3a", "inception_4e")}
        )
    return gates


def test_the_first_samples_alone(root: Path, folder: Path) -> None:
    gates = gates_of_each_record(folder)
    done = measure(root, folder, "statistics3.prototxt", "net.caffemodel", "--samples", "4")
    assert done.returncode == 0, done.stderr
    content = json.loads((folder / "statistics3.prototxt.json").read_text())
    assert content["samples"] == 4
    expected = np.mean([gate["inception_4e"].astype(np.float64) for gate in gates[:4]], axis=0)
    assert np.abs(np.array(content["blocks"]["inception_4e_scale"]) - expected).max() < TOLERANCE


def test_the_mean_over_all_samples_whatever_the_batch(root: Path, folder: Path) -> None:
    gates = gates_of_each_record(folder)
    for batch in (1, 3, 7, 10):
        done = measure(root, folder, f"statistics{batch}.prototxt")
        assert done.returncode == 0, done.stderr
        content = json.loads((folder / f"statistics{batch}.prototxt.json").read_text())
        assert content["samples"] == RECORDS
        assert len(content["blocks"]) == 7
        for name in ("inception_3a", "inception_4e"):
            expected = np.mean([gate[name].astype(np.float64) for gate in gates], axis=0)
            assert np.abs(np.array(content["blocks"][f"{name}_scale"]) - expected).max() < TOLERANCE


def many_records(folder: Path, records: int) -> None:
    """An LMDB of noise, and the statistics network for it with batches of two."""
    rng = np.random.default_rng(1)
    with (
        lmdb.open(str(folder / "many"), map_size=1 << 27) as environment,
        environment.begin(write=True) as transaction,
    ):
        for index in range(records):
            image = rng.integers(0, 40 + index % 200, (3, 32, 32), np.uint8)
            datum = Datum(channels=3, height=32, width=32, data=image.tobytes(), label=0)
            transaction.put(b"%010d" % index, datum.SerializeToString())
    (folder / "many.prototxt").write_text(to_text(NETWORK.statistics(str(folder / "many"), 2)))


def test_the_number_of_processes_changes_nothing(root: Path, folder: Path) -> None:
    many_records(folder, 145)  # 73 batches, the last half full: ten jobs
    found = []
    for workers in ("1", "2", "3"):
        done = measure(root, folder, "many.prototxt", "net.caffemodel", "--workers", workers)
        assert done.returncode == 0, done.stderr
        found.append((folder / "many.prototxt.json").read_bytes())
    assert found[0] == found[1] == found[2]
    assert json.loads(found[0])["samples"] == 145


def test_a_process_that_caffe_ends_is_one_line(root: Path, folder: Path) -> None:
    many_records(folder, 145)
    with lmdb.open(str(folder / "many")) as environment, environment.begin(write=True) as transaction:
        broken = Datum(data=b"\xff\xd8 no JPEG", label=0, encoded=True)
        transaction.put(b"%010d" % 100, broken.SerializeToString())
    done = measure(root, folder, "many.prototxt", "net.caffemodel", "--workers", "2")
    assert done.returncode == 2
    said = [line for line in done.stderr.replace("\r", "\n").splitlines() if "batches" not in line and line.strip()]
    assert len(said) == 1
    assert f"{folder}/many: Caffe died over its records: build the LMDB again" in said[0]


def test_bad_input_is_one_line(root: Path, folder: Path) -> None:
    for model, weights, words in (
        ("deploy.prototxt", "net.caffemodel", "no SEP layer in the stage 'statistics'"),
        ("nowhere.prototxt", "net.caffemodel", "cannot be read"),
        ("statistics3.prototxt", "nowhere.caffemodel", "cannot be read"),
        ("elsewhere.prototxt", "net.caffemodel", "holds no LMDB"),
    ):
        if model == "elsewhere.prototxt":
            (folder / model).write_text(to_text(NETWORK.statistics("nowhere", 3)))
        done = measure(root, folder, model, weights)
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
