"""The calibration curve: hand-worked values, scikit-learn beside it, and what its draws are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

from driftline.monitor.performance.calibration_curve import fit_curve, rising_means

EDGES = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_the_hand_worked_curve() -> None:
    # Shares 0, 1/2, 1/4, nothing, 1: the second and third bin fall, so 2 rows of 1/2 and 4 of 1/4 become 6 of 1/3.
    curve = fit_curve(EDGES, np.array([[3, 1, 3, 0, 0], [0, 1, 1, 0, 5]]))
    assert curve.scores == pytest.approx([0.1, 0.3, 0.5, 0.9])
    assert curve.shares == pytest.approx([0, 1 / 3, 1 / 3, 1])
    assert curve.rows == 14
    assert curve.at(np.array([0.0, 0.2, 0.4, 0.7, 1.0])) == pytest.approx([0, 1 / 6, 1 / 3, 2 / 3, 1])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), bins=st.integers(1, 60))
def test_pooling_is_the_isotonic_regression(seed: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    values, weights = rng.random(bins).round(1), rng.integers(1, 20, bins)
    found = rising_means(values, weights)
    assert found == pytest.approx(isotonic_regression(values, sample_weight=weights))
    assert (np.diff(found) >= 0).all()
    assert (found * weights).sum() == pytest.approx((values * weights).sum())


def test_drawn_curves_spread_as_the_rows_of_a_bin_do_and_are_the_same_again() -> None:
    histogram = np.array([[900, 0, 500, 0, 100], [100, 0, 500, 0, 900]])
    curve, again = fit_curve(EDGES, histogram), fit_curve(EDGES, histogram)
    assert np.array_equal(curve.drawn, again.drawn)
    assert curve.drawn.mean(axis=0) == pytest.approx(curve.shares, abs=0.005)
    assert curve.drawn.std(axis=0) == pytest.approx(np.sqrt(curve.shares * (1 - curve.shares) / 1000), rel=0.2)


@pytest.mark.parametrize("label", [0, 1])
def test_rows_of_one_label_alone_calibrate_nothing(label: int) -> None:
    histogram = np.zeros((2, 5), np.int64)
    histogram[label, 2] = 100
    with pytest.raises(ValueError, match="both labels"):
        fit_curve(EDGES, histogram)
