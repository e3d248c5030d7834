"""Beyond what was seen: the tail of a column past its extremes, and of simulated scores past the rarest of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline.store.profile.edges import LARGEST

_HEAVIEST = 0.9
_LEAST_ROWS = 30


@dataclass(frozen=True, eq=False)
class ContinuedTail:
    """Values beyond a column's greatest, with their probabilities; ``shape`` of the fitted tail, 0 when not heavy."""

    values: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    shape: float


def continue_tail(means: NDArray[np.float64], rows: NDArray[np.int64]) -> ContinuedTail:
    """Continue the upper tail of a column by a generalised Pareto distribution, fitted to its upper 1 %.

    A reference of N rows lacks the extremes that longer traffic meets: about one row in N lies beyond its greatest.

    Args:
        means: mean value per bin, rising, shape (bins,).
        rows: rows per bin, all positive, shape (bins,).

    Returns:
        Eight values from the greatest up, together of probability 1 / N; none when the tail is no heavier than
        exponential, or lies in fewer than five bins.

    Source: Hosking and Wallis (1987), probability-weighted moments.
    """
    total = rows.sum()
    above = np.cumsum(rows[::-1])[::-1]
    start = max(1, int(np.count_nonzero(above > max(0.01 * total, _LEAST_ROWS))))
    nothing = ContinuedTail(np.empty(0), np.empty(0), 0.0)
    if means.size - start < 5:
        return nothing
    excess, weight = means[start:] - means[start - 1], rows[start:]
    count = weight.sum()
    first = float((excess * weight).sum() / count)
    rest = (above[start:] - weight / 2) / count  # share of the tail that lies above each
    second = float((excess * weight * rest).sum() / count)
    shape = min(2 - first / (first - 2 * second), _HEAVIEST) if first > 2 * second else _HEAVIEST
    if shape <= 0:
        return nothing
    scale = first * (1 - shape)
    levels = 1 / total / 4.0 ** np.arange(8)
    probabilities = np.append(levels[:-1] - levels[1:], levels[-1])
    with np.errstate(over="ignore"):
        values = means[start - 1] + scale / shape * ((count / total / (levels / 2)) ** shape - 1)
    return ContinuedTail(np.clip(values, means[-1], max(LARGEST, means[-1])), probabilities, shape)


def exceeded(scores: NDArray[np.float64], alphas: Sequence[float], power: float) -> list[float]:
    """Return the scores that are exceeded with each probability.

    Args:
        scores: simulated ones, shape (simulations,).
        alphas: falling probabilities. Those that fewer than 30 simulated scores exceed are extrapolated.
        power: beyond, ``score**power`` rises as ``-ln(alpha)``.

    Returns:
        One score per probability, never falling.
    """
    ordered = np.sort(scores)
    seen = [alpha for alpha in alphas if alpha * scores.size >= _LEAST_ROWS]
    quantiles = np.quantile(ordered, [1 - alpha for alpha in seen]).tolist()
    levels = np.arange(int(0.05 * scores.size), 4, -1)
    slope, start = np.polyfit(-np.log((levels - 0.5) / scores.size), ordered[-levels] ** power, 1)
    lines = [start - slope * math.log(alpha) for alpha in alphas[len(seen) :]]
    beyond = [max(line, 0.0) ** (1 / power) for line in lines]
    rising: list[float] = np.maximum.accumulate([*quantiles, *beyond]).tolist()
    return rising
