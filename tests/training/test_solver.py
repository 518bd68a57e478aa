import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pyhisto.errors import InputError
from pyhisto.training.solver import check_solver

Write = Callable[..., Path]


def test_what_training_needs_to_know(in_toy: Write) -> None:
    solver = check_solver(in_toy())
    assert (solver.max_iter, solver.prefix) == (100, "snap/net")
    assert solver.base_lr == pytest.approx(0.01)
    assert solver.nets == (Path("net.prototxt"),) and solver.accuracy == "accuracy"
    assert (solver.shares, solver.slack, solver.tested_on) == ((), 0, None)


def test_the_accuracy_of_naming_one_class(in_toy: Write) -> None:
    counts = {"provenance": {"images": {"train": {"0": 1}, "val": {"0": 45, "1": 15}}}}
    Path("val/preprocessing.json").write_text(json.dumps(counts))
    assert check_solver(in_toy()).shares == (0.75, 0.25)
    assert check_solver(in_toy()).tested_on == "val"
    assert check_solver(in_toy()).slack == 0  # 6 batches of 10 are the 60 records
    assert check_solver(in_toy(test_iter="7")).slack == pytest.approx(10 / 70)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"net": None}, "names no network"),
        ({"net": '"other.prototxt"'}, "its network other.prototxt is not there; relative paths start from"),
        ({"max_iter": "0"}, "max_iter is 0"),
        ({"snapshot_prefix": None}, "no snapshot_prefix"),
        ({"snapshot_after_train": "false"}, "would not keep its last weights"),
        ({"unknown": "1"}, "not a valid SolverParameter prototxt"),
    ],
)
def test_bad_solvers(in_toy: Write, change: dict[str, str | None], complaint: str) -> None:
    with pytest.raises(InputError, match=re.escape(complaint)):
        check_solver(in_toy(**change))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"val"', '"gone"', "net.prototxt: layer 'data': there is no LMDB at gone"),
        ("scale: 0.01", 'mean_file: "mean.binaryproto"', "its mean_file mean.binaryproto is not there"),
        (
            'type: "Data" top',
            'type: "HDF5Data" hdf5_data_param { source: "list" batch_size: 1 } top',
            "its source list",
        ),
    ],
)
def test_missing_data(in_toy: Write, old: str, new: str, complaint: str) -> None:
    solver = in_toy()
    net = Path("net.prototxt")
    net.write_text(net.read_text().replace(old, new))
    with pytest.raises(InputError, match=re.escape(complaint)):
        check_solver(solver)
