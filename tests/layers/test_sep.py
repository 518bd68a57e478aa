"""The SEP layer inside real Caffe."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyhisto.layers import activation_statistics as statistics

pytestmark = pytest.mark.caffe

NET = """
force_backward: true
layer {{ name: "gate" type: "Input" top: "gate" input_param {{ shape {{ {dims} }} }} }}
layer {{ name: "sep" type: "Python" bottom: "gate" top: "out"
        param {{ lr_mult: 0 }} param {{ lr_mult: 0 }} param {{ lr_mult: 0 }} param {{ lr_mult: 0 }}
        python_param {{ module: "pyhisto.layers.sep" layer: "SEPLayer" param_str: '{settings}' }} }}
"""


def network(folder: Path, dims: tuple[int, ...] = (3, 4), **settings: Any) -> Any:
    import caffe

    path = folder / "sep.prototxt"
    text = NET.format(dims=" ".join(f"dim: {dim}" for dim in dims), settings=json.dumps(settings))
    path.write_text(text, encoding="utf-8")
    return caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize("dims", [(3, 4), (3, 4, 1, 1)])
def test_training_passes_factors_and_gradients(tmp_path: Path, dims: tuple[int, ...]) -> None:
    net = network(tmp_path, dims, stage="training")
    factors, gradient = np.random.default_rng(0).random((2, *dims), np.float32)
    net.blobs["gate"].data[...] = factors
    net.forward()
    net.blobs["out"].diff[...] = gradient
    net.backward()
    assert np.array_equal(net.blobs["out"].data, factors)
    assert np.array_equal(net.blobs["gate"].diff, gradient)
    assert net.params["sep"][statistics.SAMPLES].data[0] == 0


def test_statistics_survive_a_snapshot(tmp_path: Path) -> None:
    net = network(tmp_path, stage="statistics")
    factors = np.random.default_rng(1).random((2, 3, 4), np.float32)
    net.blobs["gate"].data[...] = factors[0]
    net.forward()
    net.save(str(tmp_path / "half.caffemodel"))
    again = network(tmp_path, stage="statistics")
    again.copy_from(str(tmp_path / "half.caffemodel"))
    again.blobs["gate"].data[...] = factors[1]
    again.forward()
    assert np.array_equal(again.blobs["out"].data, factors[1])
    blobs = [again.params["sep"][index].data for index in range(3)]
    assert blobs[statistics.SAMPLES][0] == 6
    mean = statistics.total(*blobs[:2]) / blobs[statistics.SAMPLES]
    assert np.abs(mean - factors.astype(np.float64).mean(axis=(0, 1))).max() < 1e-9


def test_samples_beyond_the_limit_are_not_counted(tmp_path: Path) -> None:
    net = network(tmp_path, stage="statistics", samples=4)
    for _ in range(3):
        net.forward()
    assert net.params["sep"][statistics.SAMPLES].data[0] == 4


@pytest.mark.parametrize("dims", [(3, 4), (3, 4, 1, 1)])
def test_pruning_masks_factors_and_gradients(tmp_path: Path, dims: tuple[int, ...]) -> None:
    net = network(tmp_path, dims, stage="pruning")
    net.params["sep"][statistics.MASK].data[...] = [1, 0, 1, 0]
    net.blobs["gate"].data[...] = 0.5
    net.forward()
    net.blobs["out"].diff[...] = 2
    net.backward()
    assert net.blobs["out"].data.reshape(3, 4).tolist() == [[0.5, 0, 0.5, 0]] * 3
    assert net.blobs["gate"].diff.reshape(3, 4).tolist() == [[2, 0, 2, 0]] * 3


def test_maps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="not N x C"):
        network(tmp_path, (3, 4, 2, 2))
    with pytest.raises(Exception, match="stage 'sleeping'"):
        network(tmp_path, stage="sleeping")
