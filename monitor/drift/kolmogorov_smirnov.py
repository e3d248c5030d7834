"""Kolmogorov-Smirnov distance: the greatest difference of two distribution functions."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from driftline.monitor.drift.distribution_gap import DistributionGap, StackedCounts
from driftline.store.profile.numeric import NumericCounts


def kolmogorov_smirnov(reference: NumericCounts, window: NumericCounts | StackedCounts) -> NDArray[np.float64]:
    """Return the greatest |F - G| of both distribution functions.

    Args:
        reference: a numeric column of the reference, at least one finite value.
        window: the same column of the window, on the same bins, at least one finite value; or of many windows.

    Returns:
        Shape () or (windows,): 0 for equal distributions, 1 for separate ones. The error is at most a bin's mass.

    Source: Smirnov (1939), the two-sample statistic.
    """
    return DistributionGap(reference, window).height()


def kolmogorov_smirnov_p_value(distance: float, reference_rows: int, window_rows: int) -> float:
    """Return the asymptotic probability of such a distance or a greater one between samples of one distribution.

    Args:
        distance: ``kolmogorov_smirnov``.
        reference_rows, window_rows: finite values on each side.

    Returns:
        In [0, 1]; too large (cautious) for discrete columns.

    Source: Stephens (1970): the limit distribution at (e + 0.12 + 0.11 / e) * distance, e the root of the effective
    number of rows.
    """
    root = math.sqrt(reference_rows * window_rows / (reference_rows + window_rows))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))
