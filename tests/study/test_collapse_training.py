"""What is measured of a form's answers, by hand; tests/tools/test_collapse_study.py trains all forms."""

import numpy as np
import pytest

from pyhisto.study.collapse_training import SHOWN, describe_form, measure_answers


def test_answers_are_counted() -> None:
    # Malignant is called if the difference is above 0: twice of 4, once rightly; the benign one of -1 is right too.
    found = measure_answers(np.array([2.0, 2.00001, -1, -3]), np.array([1, 0, 0, 1]))
    assert (found["patches"], found["answers"], found["malignant"], found["right"]) == (4, 3, 0.5, 0.5)
    assert found["majority"] == 0.5 and found["scores"] == [[2.0, 1], [2.00001, 0], [-1, 0], [-3, 1]]
    # The mean is 0, the squares are 4, 4, 1 and 9: the root of 18 / 4.
    assert found["spread"] == pytest.approx(4.5**0.5, abs=1e-4)


def test_only_some_scores_are_kept() -> None:
    found = measure_answers(np.arange(3 * SHOWN, dtype=np.float64), np.zeros(3 * SHOWN, np.int64))
    assert found["scores"][:2] == [[0, 0], [3, 0]] and len(found["scores"]) == SHOWN
    assert (found["majority"], found["right"]) == (1, 1 / (3 * SHOWN))


def test_nan_is_told_and_not_written() -> None:
    sound, broken = (measure_answers(np.array([1.0, end]), np.array([1, 0])) for end in (-1, np.nan))
    assert broken["answers"] is None and broken["scores"] == [[1, 1], [None, 0]]
    form = {"pooling": "in place", "weight_decay": 0.9, "untrained": sound, "trained": broken}
    assert describe_form(form) == (
        "pooling in place, weight decay 0.9: untrained 2 different scores for 2 patches; trained: every score is NaN"
    )
    assert describe_form({**form, "untrained": broken, "trained": sound}) == (
        "pooling in place, weight decay 0.9: untrained NaN for 2 patches; trained 2, 50.0% called malignant, "
        "100.0% right (always the larger class: 50.0%)"
    )
