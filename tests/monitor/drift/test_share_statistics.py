"""Each statistic on shares: a hand-worked value, SciPy's, and what must hold for any counts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import distance

from driftline.monitor.drift.chi_square import chi_square_effect, chi_square_test
from driftline.monitor.drift.hellinger import hellinger
from driftline.monitor.drift.jensen_shannon import jensen_shannon
from driftline.monitor.drift.population_stability_index import population_stability_index
from driftline.monitor.drift.registry import SHARE_STATISTICS
from driftline.monitor.drift.total_variation import total_variation

Statistic = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]]


@pytest.mark.parametrize(
    ("statistic", "reference", "window", "worked"),
    [
        # p = (3/4, 1/4), q = (1/4, 3/4), m = (1/2, 1/2): KL = 3/4 ln 3/2 + 1/4 ln 1/2 = 0.130812 both ways
        (jensen_shannon, [3, 1], [1, 3], 0.361680),
        (jensen_shannon, [1, 0], [0, 1], 0.832555),  # sqrt(ln 2)
        # ((1 - 0.707107)**2 + 0.5) / 2 = 0.292893
        (hellinger, [1, 0], [1, 1], 0.541196),
        (hellinger, [5, 0], [0, 2], 1.0),
        (total_variation, [1, 1, 2], [2, 1, 1], 0.25),
        # half a row more each: p = (3/4, 1/4), q = (1/4, 3/4): 1/2 ln 3 + 1/2 ln 3
        (population_stability_index, [1, 0], [0, 1], 1.098612),
        # chi2 = 4 * 5**2 / 15 = 6.6667, times (1/30 + 1/30) = 0.4444
        (chi_square_effect, [10, 20], [20, 10], 0.666667),
    ],
)
def test_the_hand_worked_value(statistic: Statistic, reference: list[int], window: list[int], worked: float) -> None:
    assert float(statistic(np.array(reference), np.array(window))) == pytest.approx(worked, abs=1e-6)


counts = st.lists(st.integers(0, 10_000), min_size=8, max_size=8).filter(any).map(np.array)


@pytest.mark.parametrize("statistic", SHARE_STATISTICS.values(), ids=SHARE_STATISTICS)
@given(reference=counts, window=counts, order=st.permutations(range(8)))
def test_never_negative_and_free_of_the_order_of_bins(
    statistic: Statistic, reference: NDArray[Any], window: NDArray[Any], order: list[int]
) -> None:
    score = float(statistic(reference, window))
    assert score >= 0
    assert float(statistic(reference[order], window[order])) == pytest.approx(score, abs=1e-7)


@pytest.mark.parametrize("statistic", SHARE_STATISTICS.values(), ids=SHARE_STATISTICS)
@given(reference=counts)
def test_zero_on_equal_counts(statistic: Statistic, reference: NDArray[Any]) -> None:
    assert float(statistic(reference, reference)) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("statistic", SHARE_STATISTICS.values(), ids=SHARE_STATISTICS)
def test_many_windows_at_once_score_as_one_by_one(statistic: Statistic) -> None:
    rng = np.random.default_rng(1)
    reference, windows = rng.integers(1, 50, 6), rng.integers(0, 50, (9, 6)) + 1
    assert statistic(reference, windows) == pytest.approx([float(statistic(reference, w)) for w in windows], abs=1e-12)


@given(reference=counts, window=counts)
def test_jensen_shannon_is_scipys(reference: NDArray[Any], window: NDArray[Any]) -> None:
    expected = distance.jensenshannon(reference / reference.sum(), window / window.sum())
    # The root of a difference near zero keeps half of the digits.
    assert float(jensen_shannon(reference, window)) ** 2 == pytest.approx(
        float(np.nan_to_num(expected)) ** 2, abs=1e-14
    )


@given(reference=counts, window=counts)
def test_chi_square_is_scipys_two_sample_test(reference: NDArray[Any], window: NDArray[Any]) -> None:
    table = np.stack([reference, window])
    table = table[:, table.sum(axis=0) > 0]
    expected = stats.chi2_contingency(table, correction=False)
    statistic, p_value = chi_square_test(reference, window)
    assert statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


def test_lumped_unseen_categories_keep_the_chi_square_test() -> None:
    lumped = chi_square_test(np.array([50, 30, 0]), np.array([20, 20, 12]), unseen_categories=3)
    apart = chi_square_test(np.array([50, 30, 0, 0, 0]), np.array([20, 20, 2, 4, 6]))
    assert lumped == pytest.approx(apart)


def test_a_side_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        jensen_shannon(np.array([1, 2]), np.array([0, 0]))
