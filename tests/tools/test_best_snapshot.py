"""tools/best_snapshot.py: the best of the snapshots that are there, the earliest of equals."""

import subprocess
import sys
from pathlib import Path

from pyhisto.learning_curve import Point, to_line


def best(root: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, root / "tools/best_snapshot.py", "--metrics", folder / "metrics.jsonl",
               "--prefix", folder / "sgd", "--out", folder / "best.caffemodel"]  # fmt: skip
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_the_best_tested_snapshot_is_copied(root: Path, tmp_path: Path) -> None:
    tests = {0: 0.5, 10: 0.99, 20: 0.8, 30: 0.9, 40: 0.9}  # of iteration 10 there is no snapshot
    points = [Point(iteration, "test", 0.1, None, accuracy, "val") for iteration, accuracy in tests.items()]
    (tmp_path / "metrics.jsonl").write_text("".join(map(to_line, points)))
    for iteration in (20, 30, 40):
        (tmp_path / f"sgd_iter_{iteration}.caffemodel").write_text(str(iteration))
    done = best(root, tmp_path)
    assert done.returncode == 0 and "iteration 30, validation accuracy 90.0%" in done.stdout, done.stderr
    assert (tmp_path / "best.caffemodel").read_text() == "30"


def test_without_a_tested_snapshot_it_says_so(root: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(to_line(Point(10, "test", 0.1, None, 0.9, "test")))
    (tmp_path / "sgd_iter_10.caffemodel").write_text("10")
    done = best(root, tmp_path)
    assert done.returncode == 2 and "was tested on validation images" in done.stderr and done.stderr.count("\n") == 1
