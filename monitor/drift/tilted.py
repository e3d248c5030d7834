"""Rare differences of two samples' means, drawn often and weighed back: importance sampling.

Of all changes as large as a given Wasserstein distance, chance brings about most easily the one that moves the mean:
no function of slope 1 varies more than the values themselves. So pairs of samples are drawn from a mixture in which
one side's large values are likelier and the other's rarer, by ``exp(t * value)``, and each pair counts by the ratio of
its true probability to that in the mixture. Some thousand pairs tell what chance does once in 100 million.

Source: Siegmund, Importance sampling in the Monte Carlo study of sequential tests (1976); Owen and Zhou, Safe and
effective importance sampling (2000), for the mixture.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

_LEVELS = (0.0, -2.5, 2.5, -3.5, 3.5, -4.5, 4.5, -5.5, 5.5)  # of the mean's difference, in its standard deviations
_UNTILTED = 3  # times as many pairs as at any other level
_STEPS = 25


def tilted_pairs(
    values: NDArray[np.float64],
    probabilities: NDArray[np.float64],
    rows: tuple[int, int],
    pairs: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Draw pairs of samples of one distribution whose means differ more often than they would.

    Args:
        values, probabilities: the distribution, shape (values,).
        rows: of the first and of the second sample.
        pairs: about how many.

    Returns:
        Rows per value of both samples, shape (pairs, values), and each pair's weight; weights have mean 1.
    """
    centred = values / (float(np.abs(values).max()) or 1.0)  # squares of large values overflow
    centred = centred - probabilities @ centred
    centred /= float(np.sqrt(probabilities @ centred**2)) or 1.0
    strengths = [_strength(centred, probabilities, rows, level) for level in _LEVELS]
    shares = np.array([_UNTILTED] + [1] * (len(_LEVELS) - 1)) / (_UNTILTED + len(_LEVELS) - 1)
    draws = np.rint(shares * pairs).astype(np.int64)
    drawn: list[list[NDArray[np.int64]]] = [[], []]
    for strength, count in zip(strengths, draws.tolist(), strict=True):
        for side, sign in enumerate((-1, 1)):
            held = _tilted(centred, probabilities, sign * strength / rows[side])
            drawn[side].append(rng.multinomial(rows[side], held, count))
    first, second = (np.concatenate(parts) for parts in drawn)
    difference = second @ centred / rows[1] - first @ centred / rows[0]
    ratios = np.array([
        strength * difference
        - sum(n * _cumulant(centred, probabilities, s * strength / n) for s, n in zip((-1, 1), rows, strict=True))
        for strength in strengths
    ])  # fmt: skip
    return first, second, np.exp(-logsumexp(ratios, axis=0, b=(draws / draws.sum())[:, None]))


def weighted_exceeded(
    scores: NDArray[np.float64], weights: NDArray[np.float64], alphas: Sequence[float]
) -> list[float]:
    """Return the scores that are exceeded with each probability.

    Args:
        scores, weights: of the drawn pairs, shape (pairs,); weights have mean 1.
        alphas: falling probabilities.

    Returns:
        One score per probability, never falling.
    """
    order = np.argsort(scores)[::-1]
    beyond = np.cumsum(weights[order]) / scores.size
    found = np.interp(np.log(alphas), np.log(np.maximum(beyond, 1e-300)), scores[order])
    rising: list[float] = np.maximum.accumulate(found).tolist()
    return rising


def _tilted(values: NDArray[np.float64], probabilities: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    logarithms = np.log(probabilities) + strength * values
    tilted = np.exp(logarithms - logarithms.max())
    return np.asarray(tilted / tilted.sum())


def _cumulant(values: NDArray[np.float64], probabilities: NDArray[np.float64], strength: float) -> float:
    return float(logsumexp(strength * values, b=probabilities))


def _strength(
    values: NDArray[np.float64], probabilities: NDArray[np.float64], rows: tuple[int, int], level: float
) -> float:
    """Return the tilt under which the means differ by ``level`` standard deviations, as far as the values allow."""
    spread = float(np.sqrt(1 / rows[0] + 1 / rows[1]))
    low, high = 0.0, 8 * abs(level) / spread
    for _ in range(_STEPS):
        middle = np.copysign((low + high) / 2, level)
        means = [values @ _tilted(values, probabilities, s * middle / n) for s, n in zip((-1, 1), rows, strict=True)]
        if abs(means[1] - means[0]) < abs(level) * spread:
            low = (low + high) / 2
        else:
            high = (low + high) / 2
    return float(np.copysign(low, level))
