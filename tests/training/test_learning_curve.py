import math
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from pyhisto.errors import InputError
from pyhisto.learning_curve import Point, draw, read_points, save_curve, to_line

POINTS = [
    Point(0, "test", loss=0.7, accuracy=0.5, seconds=0.25),
    Point(0, "train", loss=0.75, lr=0.01, seconds=0.25),
    Point(10, "train", loss=math.inf, seconds=1.5),
    Point(20, "train", loss=0.5, lr=0.01, seconds=2),
    Point(20, "test", loss=0.4, accuracy=0.75, seconds=3),
]


def test_lines_come_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    points = [*POINTS, Point(30, "test", loss=0.3, accuracy=0.75, split="val", seconds=4)]
    path.write_text("".join(map(to_line, points)))
    assert read_points(path) == points


def test_a_line_cut_short_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(map(to_line, POINTS))[:-20])
    assert read_points(path) == POINTS[:-1]


@pytest.mark.parametrize(
    "text",
    [
        "x\n",
        "[]\n",
        "{}\n",
        '{"iteration": 1, "phase": "test", "split": "x"}\n',
        '{"iteration": "1", "phase": "train"}\n',
        '{"iteration": 1, "phase": "test", "loss": 1' + 400 * "0" + "}\n",  # no float holds it
        "1\n",
        "null\n",
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=r"metrics.jsonl line 1: not a metrics line"):
        read_points(path)


def test_the_curve_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_curve(tmp_path / name, POINTS, "net")
    first = (tmp_path / "a.png").read_bytes()
    assert first.startswith(b"\x89PNG") and first == (tmp_path / "b.png").read_bytes()


def test_a_curve_needs_no_test_points(tmp_path: Path) -> None:
    save_curve(tmp_path / "a.png", POINTS[1:2], "net")
    save_curve(tmp_path / "b.png", [], "net")


@pytest.mark.parametrize(("split", "name"), [("val", "validation"), ("test", "test"), (None, "test")])
def test_the_legend_says_which_images_were_tested_on(split: str | None, name: str) -> None:
    axes = Figure().subplots()
    draw(axes, [replace(point, split=split) if point.phase == "test" else point for point in POINTS], "net")
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["train loss", f"{name} loss", f"{name} accuracy"]
    assert axes.figure.axes[1].get_ylabel() == f"{name} accuracy, %"
