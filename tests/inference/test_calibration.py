"""Temperature and calibration error, with values worked out by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pyhisto.errors import InputError
from pyhisto.inference.calibration import RANGE, calibration_error, fit_temperature, log_loss, reliability, tempered


def test_a_temperature_divides_the_scores() -> None:
    # Odds of 9 are 3 at temperature 2 (the root), 81 at temperature 1/2.
    assert_allclose(tempered(np.array([0.9, 0.1]), 2.0), [0.75, 0.25])
    assert_allclose(tempered(np.array([[0.1, 0.9]]), 0.5), [[1 / 82, 81 / 82]])
    assert_allclose(tempered(np.array([0.2, 0.3, 0.5]), 1.0), [0.2, 0.3, 0.5])
    assert_allclose(tempered(np.array([1.0, 0.0]), 2.0).sum(), 1.0)


def test_the_temperature_that_makes_confidence_true() -> None:
    """Always 0.9 sure and right in 3 of 4: odds of 9 have to become 3, so that the temperature is 2."""
    probabilities = np.tile([0.9, 0.1], (8, 1))
    labels = np.array([0, 0, 0, 1] * 2)
    assert fit_temperature(probabilities, labels) == pytest.approx(2.0, abs=1e-3)
    assert log_loss(tempered(probabilities, 2.0), labels) == pytest.approx(-(3 * np.log(0.75) + np.log(0.25)) / 4)
    assert RANGE[0] <= fit_temperature(probabilities, np.zeros(8, int)) < 0.1  # always right: the colder the better
    with pytest.raises(InputError, match="no images to fit a temperature on"):
        fit_temperature(probabilities[:0], labels[:0])


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.95, 0.05], [0.55, 0.45], [1.0, 0.0]])
    labels = np.array([0, 0, 0, 1, 0])
    bins = reliability(probabilities, labels, bins=10)
    assert [(part.count, round(part.right, 3)) for part in bins if part.count] == [(1, 0.0), (4, 0.75)]
    # |0.55 - 0| / 5 + 4 |0.9375 - 0.75| / 5
    assert calibration_error(bins) == pytest.approx(0.11 + 0.15)
