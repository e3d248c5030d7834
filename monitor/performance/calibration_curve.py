"""How often each score came true on the reference's rows: a curve that never falls, and what chance does to it.

Invariants
----------
- The curve is the isotonic regression of the truth on the score, fitted to bins; between their middles it is straight,
  beyond the outermost level.
- The same histogram and seed give the same curve and the same draws.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 200


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """The share of rows that came true, by score.

    Attributes:
        scores: middles of the reference's filled bins, rising, shape (bins,).
        shares: of their rows that came true, never falling, in [0, 1], same shape.
        drawn: curves that references as large as this one would have given if the truth came as ``shares`` says, shape
            (draws, bins).
        rows: of the reference.
    """

    scores: NDArray[np.float64]
    shares: NDArray[np.float64]
    drawn: NDArray[np.float64]
    rows: int

    def at(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share that is to come true at each score, shape (scores,)."""
        return np.interp(scores, self.scores, self.shares)

    def drawn_at(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the same of every drawn curve, shape (draws, scores)."""
        return np.stack([np.interp(scores, self.scores, shares) for shares in self.drawn])


def fit_curve(edges: NDArray[np.float64], histogram: NDArray[np.int64], seed: int = 0) -> CalibrationCurve:
    """Return the curve of a histogram.

    Args:
        edges: of the bins, rising, shape (bins + 1,).
        histogram: reference rows, shape (2, bins): those that did not come true, those that did.
        seed: of the draws.

    Raises:
        ValueError: one of the two has no rows, so that there is nothing to tell apart.

    Source: Zadrozny and Elkan, Transforming Classifier Scores into Accurate Multiclass Probability Estimates (2002),
    for isotonic regression; Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian
    Binning (2015), for what bins of a score can and cannot tell.
    """
    if not histogram.sum(axis=1).all():
        raise ValueError("a calibration needs rows of both labels")
    rows = histogram.sum(axis=0)
    filled = rows > 0
    rows, came_true = rows[filled], histogram[1, filled]
    shares = rising_means(came_true / rows, rows)
    drawn = np.random.default_rng(seed).binomial(rows, shares, (DRAWS, rows.size)) / rows
    return CalibrationCurve(
        scores=((edges[:-1] + edges[1:]) / 2)[filled],
        shares=shares,
        drawn=np.stack([rising_means(each, rows) for each in drawn]),
        rows=int(rows.sum()),
    )


def rising_means(values: NDArray[np.float64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the never falling values nearest to ``values`` by weighted squares.

    Args:
        values, weights: shape (bins,), weights above 0.

    Source: Ayer, Brunk, Ewing, Reid and Silverman, An Empirical Distribution Function for Sampling with Incomplete
    Information (1955): neighbours that fall are pooled until none does. As ``sklearn.isotonic`` computes it.
    """
    means: list[float] = []
    masses: list[float] = []
    members: list[int] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, mass, count = value, float(weight), 1
        while means and means[-1] >= mean:
            earlier = masses.pop()
            mean = (mean * mass + means.pop() * earlier) / (mass + earlier)
            mass += earlier
            count += members.pop()
        means.append(mean)
        masses.append(mass)
        members.append(count)
    return np.repeat(means, members)
