"""What lies beyond the seen is met by what was drawn beyond it."""

import numpy as np
import pytest

from driftline.monitor.drift.tails import continue_tail, exceeded


def test_a_normal_column_is_not_continued_and_a_power_law_is() -> None:
    rng = np.random.default_rng(1)
    for values, heavy in ((rng.uniform(size=20_000), False), (rng.pareto(2, 20_000), True)):
        tail = continue_tail(np.sort(values), np.ones(20_000, np.int64))
        assert bool(tail.values.size) is heavy
        assert (tail.shape > 0.3) is heavy


def test_a_continued_tail_holds_one_row_in_n_beyond_the_greatest() -> None:
    values = np.sort(np.random.default_rng(2).pareto(2, 20_000))
    tail = continue_tail(values, np.ones(20_000, np.int64))
    assert tail.probabilities.sum() == pytest.approx(1 / 20_000)
    assert (np.diff(tail.values) >= 0).all()
    assert tail.values[0] >= values[-1]
    assert tail.values[-1] < 100 * values[-1]


def test_extrapolated_scores_meet_those_of_many_more_simulations() -> None:
    rng = np.random.default_rng(3)
    scores = np.abs(rng.normal(size=(1_000_000, 4))).sum(axis=1)
    asked = (1e-1, 1e-2, 1e-3, 1e-4)
    truth = np.quantile(scores, 1 - np.array(asked))
    assert exceeded(scores[:4000], asked, 1.5) == pytest.approx(truth, rel=0.06)


def test_scores_never_fall_and_may_all_be_zero() -> None:
    assert exceeded(np.zeros(1000), (1e-1, 1e-3, 1e-6), 1.5) == pytest.approx([0, 0, 0], abs=1e-9)
    for power in (0.75, 1.5):
        found = exceeded(np.random.default_rng(4).pareto(2, 4000), (1e-1, 1e-2, 1e-3, 1e-5, 1e-8), power)
        assert (np.diff(found) > 0).all()
