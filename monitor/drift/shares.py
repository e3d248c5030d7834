"""Rows per bin as shares of all rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return counts divided by their sum along the last axis, shape as given.

    Raises:
        ValueError: a side has no rows.
    """
    totals = np.sum(counts, axis=-1, keepdims=True)
    if not np.all(totals > 0):
        raise ValueError("shares of no rows")
    divided: NDArray[np.float64] = counts / totals
    return divided
