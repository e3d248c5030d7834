"""How long labels take: counts in bins a tenth apart, which add up over hours."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# Bin 0 is below a second; the others grow by a tenth, to eighty years.
_GROWTH = 1.1
_BINS = 230

Delays = dict[int, int]


def delays_of(seconds: NDArray[np.float64]) -> Delays:
    """Return the rows per bin that has any; a label from before its request counts as at once."""
    bins = 1 + np.floor(np.log(np.maximum(seconds, 1.0)) / np.log(_GROWTH)).astype(np.int64)
    found, rows = np.unique(np.where(seconds < 1, 0, np.minimum(bins, _BINS)), return_counts=True)
    return dict(zip(found.tolist(), rows.tolist(), strict=True))


def quantile(delays: Mapping[int, int], share: float) -> float | None:
    """Return the delay that a share of the rows does not exceed, seconds, to a twentieth; None of no rows."""
    total = sum(delays.values())
    if not total:
        return None
    seen = 0
    for place in sorted(delays):
        seen += delays[place]
        if seen >= share * total:
            return 0.0 if place == 0 else float(_GROWTH ** (place - 0.5))
    raise AssertionError("shares are at most 1")
