"""Population stability index between the shares of bins or categories."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PRIOR_ROWS = 0.5


def population_stability_index(reference: NDArray[Any], window: NDArray[Any]) -> NDArray[np.float64]:
    """Return the population stability index of ``window`` against ``reference``.

    Half a row is added to every bin on both sides, so that an empty one is finite and a single row outside the
    reference weighs little in a small window.

    Args:
        reference: rows per bin or category, shape (bins,), not all 0.
        window: the same of one window, or of many: shape (..., bins).

    Returns:
        Sum of (q - p) * ln(q / p), p and q the smoothed shares; shape (...), natural logarithm, no unit, 0 for equal
        shares, no upper bound.

    Source: Jeffreys (1946), as the symmetric divergence; Yurdakul (2018) for its use on bins. Hand-worked in the test.
    """
    p, q = _smoothed(reference), _smoothed(window)
    index: NDArray[np.float64] = ((q - p) * np.log(q / p)).sum(axis=-1)
    return index


def _smoothed(counts: NDArray[Any]) -> NDArray[np.float64]:
    padded = np.asarray(counts, np.float64) + _PRIOR_ROWS
    smoothed: NDArray[np.float64] = padded / padded.sum(axis=-1, keepdims=True)
    return smoothed
