import math

import numpy as np
import pytest

from driftline.monitor.quality.chance import _log_probability, most_out_of_range


def test_one_row_lies_outside_two_others_with_probability_two_thirds() -> None:
    assert math.exp(_log_probability(2, 1, 1)) == pytest.approx(2 / 3)


def test_all_of_two_rows_lie_outside_two_others_in_half_of_the_cases() -> None:
    # Of the 4! orders, the two references are neighbours in 3 * 2 * 2 = 12.
    assert math.exp(_log_probability(2, 2, 2)) == pytest.approx(1 / 2)


@pytest.mark.parametrize(("reference_rows", "window_rows"), [(100, 100), (1_000, 300), (300, 3_000)])
def test_chance_exceeds_the_bound_about_as_often_as_it_may(reference_rows: int, window_rows: int) -> None:
    rng = np.random.default_rng(5)
    alpha, repeats = 0.02, 4_000
    bound = most_out_of_range(reference_rows, window_rows, alpha)
    over = 0
    for _ in range(repeats):
        reference, window = rng.random(reference_rows), rng.random(window_rows)
        over += np.sum((window < reference.min()) | (window > reference.max())) > bound
    assert over / repeats <= alpha + 3 * math.sqrt(alpha / repeats)
    assert math.exp(_log_probability(reference_rows, window_rows, bound)) > alpha


def test_huge_windows_cost_no_more_than_small_ones() -> None:
    assert 1e3 < most_out_of_range(100_000, 100_000_000, 1e-6) < 1e5
