"""Wasserstein and Kolmogorov-Smirnov from profiles, against SciPy on the raw rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from driftline.monitor.drift.distribution_gap import StackedCounts
from driftline.monitor.drift.kolmogorov_smirnov import kolmogorov_smirnov, kolmogorov_smirnov_p_value
from driftline.monitor.drift.wasserstein import LARGEST_SCORE, normed_wasserstein, unit, winsorised_wasserstein

Pair = Callable[..., Any]


def both(pair: Any) -> tuple[float, float]:
    reference, window = pair
    sides = reference.profile.numeric("x"), window.numeric("x")
    return normed_wasserstein(*sides), kolmogorov_smirnov(*sides)


def test_the_hand_worked_values(numeric_pair: Pair) -> None:
    # Everything moves by 1, the reference's deviation is sqrt(1.25); each jump of F - G is 1/4.
    area, height = both(numeric_pair([0.0, 1, 2, 3], [1.0, 2, 3, 4]))
    assert area == pytest.approx(1 / 1.25**0.5)
    assert height == pytest.approx(0.25)


def test_zero_on_the_reference_itself(numeric_pair: Pair) -> None:
    values = np.random.default_rng(1).lognormal(size=5000)
    area, height = both(numeric_pair(values, values))
    assert area == pytest.approx(0, abs=1e-9)
    assert height == pytest.approx(0, abs=1e-12)


def test_far_outside_the_range_it_is_exact(numeric_pair: Pair) -> None:
    rng = np.random.default_rng(2)
    before, now = rng.normal(size=20_000), rng.normal(1e6, 1000, 3000)
    area, height = both(numeric_pair(before, now))
    assert area == pytest.approx(stats.wasserstein_distance(before, now) / before.std(), rel=1e-9)
    assert height == 1.0


@pytest.mark.parametrize("rows", [150, 5000])
@pytest.mark.parametrize("off_grid", [False, True])
def test_discrete_reference_meets_live_values_on_and_off_its_grid(
    numeric_pair: Pair, rows: int, off_grid: bool
) -> None:
    rng = np.random.default_rng(rows)
    before = rng.choice([0.0, 1, 5, 20, 100], 20_000, p=[0.4, 0.3, 0.2, 0.05, 0.05])
    now = rng.choice([0.0, 1, 5, 20, 100], rows) + (rng.uniform(-0.4, 3.6, rows) if off_grid else 0)
    area, height = both(numeric_pair(before, now))
    assert area == pytest.approx(stats.wasserstein_distance(before, now) / before.std(), abs=1e-3)
    assert height == pytest.approx(stats.ks_2samp(before, now, method="asymp").statistic, abs=1e-3)


def test_live_values_collapsed_to_one_constant(numeric_pair: Pair) -> None:
    before = np.random.default_rng(3).normal(size=30_000)
    area, _ = both(numeric_pair(before, np.full(1000, 0.3217)))
    assert area == pytest.approx(stats.wasserstein_distance(before, [0.3217]) / before.std(), abs=1e-4)


def test_smooth_shift_agrees_to_a_thousandth(numeric_pair: Pair) -> None:
    rng = np.random.default_rng(4)
    before, now = rng.gamma(2, 3, 50_000), rng.gamma(2.2, 3, 10_000)
    area, height = both(numeric_pair(before, now))
    assert area == pytest.approx(stats.wasserstein_distance(before, now) / before.std(), abs=1e-3)
    assert height == pytest.approx(stats.ks_2samp(before, now, method="asymp").statistic, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    scale=st.floats(1e-6, 1e6),
    spread=st.floats(0.2, 5),
    shift=st.floats(-3, 3),
    rows=st.integers(100, 3000),
    digits=st.integers(0, 3),
)
def test_any_change_of_a_cloud_agrees_to_five_thousandths(
    numeric_pair: Pair, seed: int, scale: float, spread: float, shift: float, rows: int, digits: int
) -> None:
    rng = np.random.default_rng(seed)
    before = np.round(rng.normal(size=8000), digits) * scale
    now = (rng.normal(size=rows) * spread + shift) * scale
    area, height = both(numeric_pair(before, now))
    assert area == pytest.approx(stats.wasserstein_distance(before, now) / before.std(), abs=5e-3)
    assert height == pytest.approx(stats.ks_2samp(before, now, method="asymp").statistic, abs=8e-3)


def test_small_scale_is_not_blind(numeric_pair: Pair) -> None:
    rng = np.random.default_rng(5)
    before = rng.normal(0, 1e-7, 5000)
    area, _ = both(numeric_pair(before, rng.normal(3e-7, 1e-7, 5000)))
    assert area == pytest.approx(3, abs=0.1)


def test_constant_reference_scores_what_leaves_it(numeric_pair: Pair) -> None:
    reference, window = numeric_pair([5.0] * 200, [5.0] * 100 + [5.1] * 100)
    assert unit(reference.profile.numeric("x").bins) == pytest.approx(5e-3)
    assert both((reference, window))[0] == pytest.approx(0.05 / 5e-3)
    assert both(numeric_pair([5.0] * 200, [5.0] * 100))[0] == 0
    assert both(numeric_pair([0.0] * 200, [0.0] * 100))[0] == 0


@pytest.mark.parametrize("scale", [1e-310, 1.0, 1e300])
def test_huge_values_give_a_finite_score(numeric_pair: Pair, scale: float) -> None:
    for now in ([1e300] * 120, [-1.7e308, 1.7e308] * 60, [1.0] * 120):
        area, height = both(numeric_pair(np.random.default_rng(6).normal(size=500) * scale, np.array(now)))
        assert 0 < area <= LARGEST_SCORE
        assert 0 <= height <= 1


def test_values_whose_sum_has_no_number_are_like_themselves(numeric_pair: Pair) -> None:
    huge = [1.7e308, -1.7e308] * 100
    assert both(numeric_pair(huge, huge)) == (0, 0)


def test_p_value_is_scipys_asymptotic_one() -> None:
    rng = np.random.default_rng(7)
    before, now = rng.normal(size=3000), rng.normal(0.05, 1, 2000)
    expected = stats.ks_2samp(before, now, method="asymp")
    found = kolmogorov_smirnov_p_value(float(expected.statistic), 3000, 2000)
    assert found == pytest.approx(float(expected.pvalue), abs=0.02)


def test_stacked_windows_score_as_each_alone(numeric_pair: Pair) -> None:
    rng, before = np.random.default_rng(6), np.random.default_rng(5).gamma(2, size=3000)
    pairs = [numeric_pair(before, rng.gamma(2 + rows / 500, size=rows)) for rows in (1, 2, 40, 300)]
    reference, windows = pairs[0][0].profile.numeric("x"), [window.numeric("x") for _, window in pairs]
    fields = ("counts", "offset_sums", "least", "greatest")
    stacked = StackedCounts(reference.bins, *(np.array([getattr(w, field) for w in windows]) for field in fields))
    for statistic in (normed_wasserstein, winsorised_wasserstein, kolmogorov_smirnov):
        assert statistic(reference, stacked).tolist() == pytest.approx([statistic(reference, w) for w in windows])
