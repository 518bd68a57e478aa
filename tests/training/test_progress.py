import re
import time

import pytest

from pyhisto.learning_curve import Point
from pyhisto.training import progress


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    shown = progress.Progress()
    watch = shown.watch()
    watch.begin(100, 300)
    time.sleep(0.1)
    watch.point(Point(200, "test", loss=0.5, accuracy=0.75))
    watch.point(Point(200, "train", loss=0.25, lr=0.01))
    shown.close()
    first, second, last = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"iteration 200 of 300, 00:\d\d left: test loss 0.5000, test 75.0%", first)
    assert second.endswith(": test loss 0.5000, test 75.0%, loss 0.2500, lr 0.01")
    assert last == "iteration 200 of 300: test loss 0.5000, test 75.0%, loss 0.2500, lr 0.01"


def test_a_run_that_cannot_finish_in_its_time_is_told_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = progress.Progress(time_limit=1.0)
    watch = shown.watch()
    watch.begin(0, 1000)
    time.sleep(0.1)  # for 10 iterations: 1000 take 10 s
    watch.point(Point(10, "train", loss=0.5))
    watch.point(Point(20, "train", loss=0.5))
    assert capsys.readouterr().err.count("warning: at this speed the training takes") == 1


def test_a_run_that_can_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    watch = progress.Progress(time_limit=60.0).watch()
    watch.begin(0, 1000)
    watch.point(Point(500, "train", loss=0.5))
    assert "warning" not in capsys.readouterr().err
