import pytest

from pyhisto.glog import failure
from pyhisto.learning_curve import Point
from pyhisto.training.log import LogReader

LOG = """\
I20261121 22:02:19.7 14915 solver.cpp:346] Iteration 0, Testing net (#0)
I20261121 22:02:19.7 14917 data_layer.cpp:73] Restarting data prefetching from start.
I20261121 22:02:19.7 14915 solver.cpp:413]     Test net output #0: loss1/loss = 0.8 (* 0.3 = 0.24 loss)
I20261121 22:02:19.7 14915 solver.cpp:413]     Test net output #1: loss1/top-1 = 0.25
I20261121 22:02:19.7 14915 solver.cpp:413]     Test net output #2: loss3/loss3 = 0.7 (* 1 = 0.7 loss)
I20261121 22:02:19.7 14915 solver.cpp:413]     Test net output #3: loss3/top-1 = 0.5
I20261121 22:02:19.7 14915 solver.cpp:320] Iteration 0, loss = 2.13817
I20261121 22:02:19.7 14915 solver.cpp:336]     Train net output #0: loss3/loss3 = 2.13817 (* 1 = 2.13817 loss)
I20261121 22:02:19.7 14915 sgd_solver.cpp:106] Iteration 0, lr = 0.0004
I1121 22:02:20.1 14915 solver.cpp:320] Iteration 10 (2.5 iter/s, 4s/10 iters), loss = -nan
I1121 22:02:20.1 14915 solver.cpp:581] Snapshotting to binary proto file snap_iter_10.caffemodel
I1121 22:02:20.1 14915 solver.cpp:346] Iteration 10, Testing net (#0)
I1121 22:02:20.1 14915 solver.cpp:413]     Test net output #0: loss3/loss3 = 0.6 (* 1 = 0.6 loss)
I1121 22:02:20.1 14915 solver.cpp:413]     Test net output #3: loss3/top-1 = 0.75
I1121 22:02:20.1 14915 solver.cpp:346] Iteration 10, Testing net (#1)
I1121 22:02:20.1 14915 solver.cpp:413]     Test net output #0: loss3/loss3 = 9 (* 1 = 9 loss)
I1121 22:02:20.1 14915 solver.cpp:325] Optimization Done.
"""


def read(text: str) -> list[Point]:
    reader = LogReader("loss3/top-1")
    return [point for line in text.splitlines(keepends=True) for point in reader.feed(line)] + list(reader.finish())


def test_points_of_a_log() -> None:
    first, second, third, fourth = read(LOG)
    assert first == Point(0, "test", loss=0.24 + 0.7, accuracy=0.5)
    assert second == Point(0, "train", loss=2.13817, lr=0.0004)
    assert (third.iteration, third.phase, third.lr) == (10, "train", None)
    assert third.loss != third.loss  # NaN
    assert fourth == Point(10, "test", loss=0.6, accuracy=0.75)  # of the first test net


def test_a_log_without_prefixes() -> None:
    assert read("Iteration 20, loss = 0.5\nIteration 20, lr = 0.01\n") == [Point(20, "train", loss=0.5, lr=0.01)]


def test_an_interrupted_test_is_no_point() -> None:
    assert read("Iteration 20, Testing net (#0)\nTest interrupted.\n") == []


FATAL = "F1121 22:02:19.7 14915 data_transformer.cpp:63] Check failed: 3 == 1 (3 vs. 1) \n"
TRACE = "*** Check failure stack trace: ***\n    @ 0x7f  google::LogMessage::Fail()\n"
PYTHON = "Traceback (most recent call last):\nImportError: No module named 'sep'\n"
LOADER = "I1121 22:02:19.7 1 a.cpp:1] one\ncaffe: cannot open shared object file\n"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (LOG + FATAL + TRACE, "Check failed: 3 == 1 (3 vs. 1)"),
        (PYTHON + FATAL + TRACE, "ImportError: No module named 'sep'; Check failed: 3 == 1 (3 vs. 1)"),
        (LOADER, "one / caffe: cannot open shared object file"),
        ("", "it said nothing"),
    ],
)
def test_what_a_failed_run_says(log: str, said: str) -> None:
    assert failure(log.splitlines(keepends=True)) == said
