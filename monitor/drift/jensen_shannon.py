"""Jensen-Shannon distance between the shares of bins or categories."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.shares import shares


def jensen_shannon(reference: NDArray[Any], window: NDArray[Any]) -> NDArray[np.float64]:
    """Return the Jensen-Shannon distance of ``window`` from ``reference``.

    Args:
        reference: rows per bin or category, shape (bins,), not all 0.
        window: the same of one window, or of many: shape (..., bins).

    Returns:
        Square root of the mean of KL(p || m) and KL(q || m), m = (p + q) / 2, natural logarithm; shape (...), no
        unit, 0 for equal shares, at most sqrt(ln 2) = 0.8326. Categories that one side lacks may be lumped: the
        distance stays the same.

    Source: Lin (1991); Endres and Schindelin (2003) for the root being a metric. As ``scipy`` and Evidently compute it.
    """
    p, q = shares(reference), shares(window)
    middle = (p + q) / 2
    divergence = (_entropy_terms(p, middle) + _entropy_terms(q, middle)).sum(axis=-1) / 2
    root: NDArray[np.float64] = np.sqrt(np.maximum(divergence, 0.0))
    return root


def _entropy_terms(share: NDArray[np.float64], middle: NDArray[np.float64]) -> NDArray[np.float64]:
    held = share > 0
    return share * np.log(np.divide(share, middle, out=np.ones_like(middle), where=held))
