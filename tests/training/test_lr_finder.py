"""The learning rate finder: its arithmetic by hand and by law, and on real Caffe."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyhisto.errors import InputError
from pyhisto.training.lr_finder import SETTLED, Curve, find_rate, follow, read_suggestion
from pyhisto.training.schedules import Ramp
from tests.silent import SILENT


def test_smoothed_by_hand() -> None:
    # 0.02 * 4 / (1 - 0.98) = 4;  (0.98 * 0.08 + 0.02 * 2) / (1 - 0.9604) = 0.1184 / 0.0396
    ((first, smooth), (second, smoother)) = follow([4.0, 2.0])
    assert (first, second) == (4.0, 2.0)
    assert (smooth, smoother) == pytest.approx((4, 0.1184 / 0.0396))


@given(st.floats(0.01, 100), st.integers(1, 200))
def test_a_constant_loss_is_its_own_mean(loss: float, count: int) -> None:
    assert [smoothed for _, smoothed in follow([loss] * count)] == pytest.approx([loss] * count)


@given(st.lists(st.floats(0.1, 5), min_size=1, max_size=60), st.floats(0.01, 100))
def test_the_unit_of_the_loss_does_not_matter(losses: list[float], factor: float) -> None:
    once = [smoothed for _, smoothed in follow(losses)]
    scaled = [smoothed for _, smoothed in follow([factor * loss for loss in losses])]
    assert scaled == pytest.approx([factor * smoothed for smoothed in once])
    assert all(min(losses) - 1e-9 <= smoothed <= max(losses) + 1e-9 for smoothed in once)


@pytest.mark.parametrize("end", [math.nan, math.inf, 1e9])
def test_ends_where_the_loss_diverges(end: float) -> None:
    assert len(list(follow([1.0] * 20 + [end] + [1.0] * 20))) == 20


def test_the_first_losses_do_not_count_as_the_best() -> None:
    # 0.1 and then 1: the mean is above 4 times the first loss long before the 11th, the first that counts.
    assert len(list(follow([0.1] + [1.0] * 50))) == 51


def test_a_tenth_of_where_it_diverges() -> None:
    rates = tuple(10.0 ** (i - 15) for i in range(20))
    smoothed = (*[0.1] * SETTLED, 5.0, 4.0, 3.0, 2.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    curve = Curve(rates, smoothed, smoothed, diverged=False)
    assert (curve.divergence, curve.fault) == (rates[14], None)
    assert curve.suggestion == pytest.approx(0.01)  # rates[14] is 10 ** -1


def test_nothing_to_suggest() -> None:
    rates = tuple(10.0 ** (i - 15) for i in range(20))
    falling, rising = tuple(float(20 - i) for i in range(20)), tuple(float(1 + i) for i in range(20))
    assert "still falls at a learning rate of 1e+04" in str(Curve(rates, falling, falling, diverged=False).fault)
    assert Curve(rates, falling, falling, diverged=True).fault is None  # the next loss was no number
    # Lowest at the 11th, the first that counts; a tenth of a rate that is below 10 times the first is below the first.
    slow = tuple(1.1**i for i in range(20))
    assert "does not fall, or diverges from 2.59 on" in str(Curve(slow, rising, rising, diverged=True).fault)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "suggests"),
        ('{"suggestion": null}', "suggests"),
        ('{"suggestion": -1}', "suggests"),
        ("[]", "not a JSON object"),
        ("no", "not valid JSON"),
    ],
)
def test_a_file_without_a_suggestion(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "lr.json").write_text(text)
    with pytest.raises(InputError, match=rf"lr\.json: {complaint}"):
        read_suggestion(tmp_path / "lr.json")


LINE = """
layer {{ name: "data" type: "HDF5Data" top: "x" top: "y" hdf5_data_param {{ source: "{0}/list.txt" batch_size: 8 }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param {{ num_output: 1 bias_term: 0 }} }}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "loss" }}
"""


@pytest.mark.caffe
def test_finds_where_a_parabola_diverges(tmp_path: Path) -> None:
    """Loss (w - t)^2 / 2, t being 4 or 2 in turn: w - t is multiplied by 1 - lr, which diverges above a rate of 2."""
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = np.ones((16, 1), np.float32)
        file["y"] = np.repeat([[4.0], [2.0]], 8, axis=0).astype(np.float32)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/data.h5\n")
    (tmp_path / "net.prototxt").write_text(LINE.format(tmp_path))
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 5 solver_mode: CPU '
        f'snapshot_prefix: "{tmp_path}/unused"'
    )
    curve = find_rate(tmp_path / "solver.prototxt", Ramp(300), SILENT, tmp_path / "out")
    assert curve.diverged
    # w reaches the middle, and a loss of 0.5, once the rates sum up to a few; near 2 it jumps between the targets.
    assert 0.02 < curve.divergence < 2 and 1 < curve.rates[-1] < 4
    assert min(curve.smoothed) < 0.25 * curve.smoothed[0]
    with pytest.raises(InputError, match=r"still falls at a learning rate of 0\.0087"):
        find_rate(tmp_path / "solver.prototxt", Ramp(50, 1e-5, 0.01), SILENT, tmp_path / "low")
    assert json.loads((tmp_path / "low/lr.json").read_text())["suggestion"] is None
    with pytest.raises(InputError, match="diverges at once"):
        find_rate(tmp_path / "solver.prototxt", Ramp(50, 1e30, 1e31), SILENT, tmp_path / "high")
    with pytest.raises(InputError, match="too short"):
        find_rate(tmp_path / "solver.prototxt", Ramp(20), SILENT, tmp_path / "short")


@pytest.mark.caffe
def test_the_program_leaves_the_weights_alone_and_says_the_same_twice(toy: Any, root: Path) -> None:
    toy.solver(max_iter="10")
    assert toy.train().returncode == 0
    weights = toy.folder / "snap/net_iter_10.caffemodel"
    before = weights.read_bytes()

    def find(out: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, f"{root}/tools/find_lr.py", "--solver", "solver.prototxt", "--out", out, *options]
        return subprocess.run(command, cwd=toy.folder, capture_output=True, text=True, check=False)

    first, second = (find(out, "--weights", str(weights)) for out in ("one", "other"))
    assert first.returncode == 0, first.stderr
    found = json.loads((toy.folder / "one/lr.json").read_text())
    assert first.stdout == second.stdout == f"{found['suggestion']:.4g}\n"
    assert found["suggestion"] == pytest.approx(0.1 * found["divergence"]) and found["rates"][0] == 1e-5
    assert len(found["rates"]) == len(found["losses"]) == len(found["smoothed"]) <= found["ramp"]["iterations"] == 100
    for name in ("lr.json", "lr.png"):
        assert (toy.folder / "one" / name).read_bytes() == (toy.folder / "other" / name).read_bytes()
    assert weights.read_bytes() == before and not list(toy.folder.glob("one/**/*.caffemodel"))
    frozen = find("head", "--weights", str(weights), "--last", "ip", "--end", "1000")
    assert frozen.returncode == 0 and frozen.stdout != first.stdout, frozen.stderr
    refused = find("none", "--last", "ip")
    assert refused.returncode == 2 and refused.stderr == "find_lr.py: layers can only be frozen with --weights\n"
