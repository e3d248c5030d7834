"""Normed Wasserstein distance: how far the values moved, in standard deviations of the reference."""

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.distribution_gap import DistributionGap, StackedCounts
from driftline.store.profile.numeric import NumericBins, NumericCounts

_RELATIVE_FLOOR = 1e-9
_CONSTANT_UNIT = 1e-3
WINSORISED = 1e-3  # of the rows on each side
LARGEST_SCORE = 1e12  # its square still adds up in the history's 32-bit floats


def normed_wasserstein(reference: NumericCounts, window: NumericCounts | StackedCounts) -> NDArray[np.float64]:
    """Return the area between both distribution functions over the reference's standard deviation.

    A window that moved as a whole by half a standard deviation scores 0.5.

    Args:
        reference: a numeric column of the reference, at least one finite value.
        window: the same column of the window, on the same bins, at least one finite value; or of many windows.

    Returns:
        Integral of |F - G| / ``unit(reference.bins)``, shape () or (windows,): no unit, 0 for equal distributions, at
        most ``LARGEST_SCORE``. Exact but for bins inside which F - G changes its sign.

    Source: Vallender (1974) for the area form. Evidently divides by ``max(std, 0.001)``; see ``unit``.
    """
    return _in_units(DistributionGap(reference, window).area(), reference.bins)


def winsorised_wasserstein(reference: NumericCounts, window: NumericCounts | StackedCounts) -> NDArray[np.float64]:
    """Return the normed Wasserstein distance of the values between ``winsor_limits``, those beyond set to these.

    Args:
        reference: a numeric column of the reference, at least one finite value.
        window: the same column of the window, on the same bins, at least one finite value; or of many windows.

    Returns:
        As ``normed_wasserstein``, never more. One row of a power law can lie as far out as a thousand others together;
        here it counts as one of the farthest thousandth.

    Source: Huber and Ronchetti, Robust Statistics (2009), for winsorising.
    """
    return _in_units(DistributionGap(reference, window).area_between(*winsor_limits(reference)), reference.bins)


def winsor_limits(reference: NumericCounts) -> tuple[float, float]:
    """Return the outermost edges beyond each of which a thousandth of the reference lies, or more."""
    edges, below = reference.bins.edges, np.cumsum(reference.counts)[:-1] / reference.value_rows
    low = int(np.searchsorted(below, WINSORISED))
    high = int(np.searchsorted(below, 1 - WINSORISED, side="right")) - 1
    return float(edges[min(low, edges.size - 1)]), float(edges[max(high, 0)])


def _in_units(area: NDArray[np.float64], bins: NumericBins) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        return np.minimum(area / unit(bins), LARGEST_SCORE)


def unit(bins: NumericBins) -> float:
    """Return what one point of the score stands for, in the column's own unit: never zero.

    It is the reference's standard deviation. A reference of one value has none: a thousandth of that value (or 0.001
    at zero) takes its place, so that leaving it by 0.01 % scores 0.1.
    """
    magnitude = float(np.abs(bins.edges[[0, -1]]).max())
    if bins.distinct > 1 and bins.deviation > _RELATIVE_FLOOR * magnitude:
        return bins.deviation
    return _CONSTANT_UNIT * magnitude if magnitude > 1e-300 else _CONSTANT_UNIT
