"""Two-sample chi-square: its effect size as a score, and the test itself."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc


def chi_square_effect(reference: NDArray[Any], window: NDArray[Any]) -> NDArray[np.float64]:
    """Return the chi-square distance of ``window`` from ``reference``, free of the number of rows.

    Args:
        reference: rows per bin or category, shape (bins,), not all 0.
        window: the same of one window, or of many: shape (..., bins).

    Returns:
        sqrt(chi2 * (1 / N + 1 / n)) = sqrt(sum of (p - q)**2 / pooled share), N and n the rows of both sides; shape
        (...), no unit, 0 for equal shares.

    Source: Pearson (1900); the effect is Cohen's w (1988) of the 2 x bins table for equal sides, times 2.
    """
    statistic = _statistic(np.asarray(reference, np.float64), np.asarray(window, np.float64))
    rows = 1 / np.sum(reference, axis=-1) + 1 / np.sum(window, axis=-1)
    effect: NDArray[np.float64] = np.sqrt(statistic * rows)
    return effect


def chi_square_test(
    reference: NDArray[np.int64], window: NDArray[np.int64], unseen_categories: int = 0
) -> tuple[float, float]:
    """Return the two-sample chi-square statistic and its p-value.

    Args:
        reference, window: rows per bin or category, shape (bins,), both with rows. Bins empty on both sides are left
            out.
        unseen_categories: how many categories the last bin lumps together, when it holds what the reference lacks;
            the statistic is the same as with each on its own, the degrees of freedom count them. 0: as it stands.

    Returns:
        The statistic, at least 0, and the probability of such a one or a greater one when both sides are samples of
        one distribution. As ``scipy.stats.chi2_contingency`` without correction; both sides are samples, neither is
        taken as exact.
    """
    statistic = float(_statistic(np.asarray(reference, np.float64), np.asarray(window, np.float64)))
    freedom = int(np.count_nonzero(reference + window)) - 1 + max(unseen_categories - 1, 0)
    return statistic, float(chdtrc(freedom, statistic)) if freedom > 0 else 1.0


def _statistic(reference: NDArray[np.float64], window: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, more = reference.sum(axis=-1, keepdims=True), window.sum(axis=-1, keepdims=True)
    both = reference + window
    difference = reference * np.sqrt(more / rows) - window * np.sqrt(rows / more)
    terms = np.divide(difference**2, both, out=np.zeros_like(difference), where=both > 0)
    statistic: NDArray[np.float64] = terms.sum(axis=-1)
    return statistic
