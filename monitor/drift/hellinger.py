"""Hellinger distance between the shares of bins or categories."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.shares import shares


def hellinger(reference: NDArray[Any], window: NDArray[Any]) -> NDArray[np.float64]:
    """Return the Hellinger distance of ``window`` from ``reference``.

    Args:
        reference: rows per bin or category, shape (bins,), not all 0.
        window: the same of one window, or of many: shape (..., bins).

    Returns:
        sqrt(sum of (sqrt(p) - sqrt(q))**2 / 2); shape (...), no unit, from 0 for equal shares to 1 for separate ones.

    Source: Hellinger (1909).
    """
    difference = np.sqrt(shares(reference)) - np.sqrt(shares(window))
    distance: NDArray[np.float64] = np.sqrt((difference**2).sum(axis=-1) / 2)
    return distance
