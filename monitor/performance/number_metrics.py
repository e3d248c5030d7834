"""Metrics of a regression, with intervals, from sums.

The values are exact. The intervals are those of a bootstrap on a sample of at most 5,000 of the window's rows: 400
draws of as many rows as the window has, and what a draw differs from its sample by is put around the exact value.
"""

import math

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.performance.metric import MetricInterval
from driftline.monitor.performance.sums import NumberSums

DRAWS = 400
SAMPLE_ROWS = 5_000
_QUANTILES = (0.025, 0.975)
_NEVER_NEGATIVE = ("mae", "rmse")


def number_metrics(sums: NumberSums, seed: int = 0) -> dict[str, MetricInterval]:
    """Return the metrics of some rows by name; R2 is left out where all labels are equal.

    Args:
        sums: of at least one row.
        seed: of the draws.
    """
    n = sums.rows
    exact = {"mae": sums.absolute / n, "rmse": math.sqrt(sums.square / n), "bias": sums.error / n}
    if sums.spread > 0:
        exact["r2"] = 1 - sums.square / sums.spread
    rng = np.random.default_rng(seed)
    truth, predicted, weights = _bounded(sums.sample, rng)
    counts = rng.multinomial(n, weights / weights.sum(), DRAWS).astype(np.float64)
    drawn, sampled = _values(counts, truth, predicted), _values(weights[None], truth, predicted)
    found = {}
    for name, value in exact.items():
        low, high = value + np.quantile(drawn[name], _QUANTILES) - sampled[name][0]
        if name in _NEVER_NEGATIVE:
            low = max(low, 0.0)
        found[name] = MetricInterval(value, min(value, float(low)), max(value, float(high)))
    return found


def _bounded(sample: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return at most 5,000 of the sample's rows, each drawn as often as it stands for rows."""
    if sample.shape[1] <= SAMPLE_ROWS:
        return sample
    weights = sample[2] / sample[2].sum()
    drawn = sample[:, rng.choice(sample.shape[1], SAMPLE_ROWS, p=weights)]
    drawn[2] = 1.0
    return drawn


def _values(
    counts: NDArray[np.float64], truth: NDArray[np.float64], predicted: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return the metrics of draws, which say how often each row came: shape (draws, rows)."""
    rows, errors, away = counts.sum(axis=1), predicted - truth, truth - truth.mean()
    square = counts @ errors**2
    spread = counts @ away**2 - (counts @ away) ** 2 / rows
    return {
        "mae": counts @ np.abs(errors) / rows,
        "rmse": np.sqrt(square / rows),
        "bias": counts @ errors / rows,
        "r2": 1 - square / np.where(spread > 0, spread, np.inf),
    }
