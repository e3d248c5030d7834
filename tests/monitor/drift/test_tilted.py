"""Rare scores drawn often and weighed back are those of many more plain draws."""

import numpy as np
import pytest

from driftline.monitor.drift.tilted import tilted_pairs, weighted_exceeded

ALPHAS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-6)


@pytest.mark.parametrize(("shape", "size"), [("normal", 400), ("lognormal", 100)])
def test_weighed_scores_meet_those_of_many_more_plain_draws(shape: str, size: int) -> None:
    rng = np.random.default_rng(1)
    values = np.sort(getattr(rng, shape)(size=2000)).reshape(40, 50).mean(axis=1)
    held, widths = np.full(40, 1 / 40), np.diff(values)

    def areas(first: np.ndarray, second: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.abs(np.cumsum(second / size - first / 2000, axis=1))[:, :-1] @ widths

    first, second, weights = tilted_pairs(values, held, (2000, size), 3000, rng)
    plain = areas(rng.multinomial(2000, held, 200_000), rng.multinomial(size, held, 200_000))
    found = weighted_exceeded(areas(first, second), weights, ALPHAS)
    assert weights.mean() == pytest.approx(1, abs=0.1)
    assert found[:4] == pytest.approx(np.quantile(plain, 1 - np.array(ALPHAS[:4])), rel=0.05)
    assert found[4] > np.quantile(plain, 1 - 1e-5)


def test_one_value_and_huge_ones_are_drawn_without_failing() -> None:
    for values in (np.array([7.0]), np.array([-1e300, 0.0, 1e300])):
        held = np.full(values.size, 1 / values.size)
        first, second, weights = tilted_pairs(values, held, (50, 100), 200, np.random.default_rng(2))
        assert (first.sum(axis=1) == 50).all()
        assert (second.sum(axis=1) == 100).all()
        assert np.isfinite(weights).all()
