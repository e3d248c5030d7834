"""Metrics of a regression, with intervals, from sums.

The values are exact. The intervals are those of a studentised bootstrap on a sample of at most 5,000 of the window's
rows: 400 draws of as many rows as the window has; what a draw differs from its sample by is told in standard errors of
the draw, and put around the exact value in those of the sample. A few large errors make percentiles of the draws
too narrow, most of all of RMSE and R2: rows without such errors also lack their spread.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), 12.5 (bootstrap-t).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.performance.metric import MetricInterval
from driftline.monitor.performance.sums import NumberSums, bounded_sample

DRAWS = 400
SAMPLE_ROWS = 5_000
_QUANTILES = (0.025, 0.975)
# Standard errors: draws that lack the one error that outweighs all others would put the end anywhere.
_FARTHEST = 6.0


class _Found(NamedTuple):
    """A metric of draws and its standard error, both of shape (draws,)."""

    value: NDArray[np.float64]
    error: NDArray[np.float64]


def number_metrics(sums: NumberSums, seed: int = 0) -> dict[str, MetricInterval]:
    """Return the metrics of some rows by name; R2 is left out where all labels are equal.

    Args:
        sums: of at least one row.
        seed: of the draws.
    """
    n = sums.rows
    exact = {"mae": sums.absolute / n, "mse": sums.square / n, "bias": sums.error / n}
    if sums.spread > 0:
        exact["unexplained"] = sums.square / sums.spread
    rng = np.random.default_rng(seed)
    truth, predicted, weights = bounded_sample(sums.sample, SAMPLE_ROWS, rng)
    counts = rng.multinomial(n, weights / weights.sum(), DRAWS).astype(np.float64)
    drawn, sampled = _values(counts, truth, predicted), _values(weights[None], truth, predicted)
    found = {name: _around(value, drawn[name], sampled[name]) for name, value in exact.items()}
    mae, mse = (_at_least_0(found[name]) for name in ("mae", "mse"))
    metrics = {"mae": mae, "rmse": MetricInterval(*map(math.sqrt, mse.to_json())), "bias": found["bias"]}
    if "unexplained" in found:
        share = _at_least_0(found["unexplained"])
        metrics["r2"] = MetricInterval(1 - share.value, 1 - share.high, 1 - share.low)
    return metrics


def _around(value: float, drawn: _Found, sampled: _Found) -> MetricInterval:
    """Return the interval around an exact value; draws of equal rows, which have no spread, tell nothing."""
    told = drawn.error > 0
    if not told.any():
        return MetricInterval(value, value, value)
    apart = (drawn.value[told] - sampled.value[0]) / drawn.error[told]
    high, low = value - np.clip(np.quantile(apart, _QUANTILES), -_FARTHEST, _FARTHEST) * sampled.error[0]
    return MetricInterval(value, min(value, float(low)), max(value, float(high)))


def _at_least_0(found: MetricInterval) -> MetricInterval:
    return MetricInterval(found.value, max(found.low, 0.0), found.high)


def _values(
    counts: NDArray[np.float64], truth: NDArray[np.float64], predicted: NDArray[np.float64]
) -> dict[str, _Found]:
    """Return the metrics of draws, which say how often each row came: shape (draws, rows).

    ``mse`` is the square of RMSE, ``unexplained`` what R2 lacks of 1: the share of the labels' spread that errors have.
    """
    rows, errors, away = counts.sum(axis=1), predicted - truth, truth - truth.mean()
    moments = [np.abs(errors), errors, errors**2, errors**4, away, away**2, errors**2 * away**2, away**4]
    size, error, square, fourth, mean, spread, both, spread_fourth = (
        counts @ np.stack(moments, axis=1) / rows[:, None]
    ).T
    spread = spread - mean**2
    share = np.divide(square, spread, out=np.zeros_like(square), where=spread > 0)
    # Of a ratio of means: the spread of what the rows' errors have beyond their share of the labels' spread.
    beyond = fourth - 2 * share * both + share**2 * spread_fourth
    of_share = np.divide(beyond, spread**2, out=np.zeros_like(square), where=spread > 0)
    return {
        "mae": _Found(size, _error(square - size**2, rows)),
        "mse": _Found(square, _error(fourth - square**2, rows)),
        "bias": _Found(error, _error(square - error**2, rows)),
        "unexplained": _Found(share, _error(of_share, rows)),
    }


def _error(variance: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error of the mean of rows with this variance."""
    return np.sqrt(np.maximum(variance, 0.0) / rows)
