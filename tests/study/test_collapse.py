"""A damaged collapse.json is one line, wherever in it the damage is."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pyhisto.errors import InputError
from pyhisto.study.collapse import read_collapse

SCORES = {"patches": 2, "majority": 0.5, "answers": 2, "malignant": 0.5, "right": 0.5, "spread": 0.1,
          "scores": [[0.1, 0], [0.2, 1]]}  # fmt: skip
CONTENT: dict[str, Any] = {
    "iterations": 20,
    "forms": [
        {"pooling": "own top", "weight_decay": 0.004, "mean_weight": [0.1, 0.1], "untrained": SCORES, "trained": SCORES}
    ],
}


def write(folder: Path, content: object) -> Path:
    (folder / "collapse").mkdir()
    (folder / "collapse" / "collapse.json").write_text(json.dumps(content))
    return folder


def test_a_sound_one_is_read(tmp_path: Path) -> None:
    assert read_collapse(tmp_path) is None
    assert read_collapse(write(tmp_path, CONTENT)) == CONTENT


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["forms", 0, "trained", "scores", 0], []),
        (["forms", 0, "trained", "scores"], 3),
        (["forms", 0, "trained"], None),
        (["forms", 0, "mean_weight"], [0, 1]),
        (["forms", 0, "mean_weight"], "ab"),
        (["forms", 0, "weight_decay"], "much"),
        (["forms", 0], []),
        (["forms"], {"a": 1}),
        (["forms"], []),
    ],
)
def test_a_damaged_one_is_one_line(tmp_path: Path, place: list[Any], value: object) -> None:
    content = copy.deepcopy(CONTENT)
    target: Any = content
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(InputError, match=r"collapse\.json: (not what tools/collapse_study\.py writes|holds no form)"):
        read_collapse(write(tmp_path, content))
