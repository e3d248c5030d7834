"""Total variation distance: the share of rows that would have to change their bin or category."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.shares import shares


def total_variation(reference: NDArray[Any], window: NDArray[Any]) -> NDArray[np.float64]:
    """Return the total variation distance of ``window`` from ``reference``.

    Args:
        reference: rows per bin or category, shape (bins,), not all 0.
        window: the same of one window, or of many: shape (..., bins).

    Returns:
        Sum of |p - q| / 2; shape (...), no unit, from 0 for equal shares to 1 for separate ones.

    Source: Levin, Peres and Wilmer, Markov Chains and Mixing Times (2009), proposition 4.2.
    """
    distance: NDArray[np.float64] = np.abs(shares(reference) - shares(window)).sum(axis=-1) / 2
    return distance
