"""The few frozen bins on which share statistics of a numeric column are taken.

They come from the reference alone: ten bins of about equal mass, one below and one above the reference's range. Bins
of equal width over both sides, as others take them, move with the window: one outlier widens them until a real shift
falls into a single bin. A reference of few values has a bin for each, and one for all that lies between them.
"""

import numpy as np
from numpy.typing import NDArray

from driftline.store.profile.numeric import NumericCounts

_BINS = 10
FEW_VALUES = 20


def coarse_groups(reference: NumericCounts) -> NDArray[np.int64]:
    """Return the coarse bin of every bin of a numeric column, shape (bins,): 0 is below, the last is above.

    Args:
        reference: the column in the reference, with at least one value.
    """
    counts = reference.counts
    groups = np.zeros(counts.size, np.int64)
    if reference.bins.distinct <= FEW_VALUES:
        held = counts > 0
        groups[held] = 1 + np.arange(np.count_nonzero(held))
        groups[1:-1][~held[1:-1]] = groups.max() + 1  # between the values
    else:
        middle = (np.cumsum(counts) - counts / 2) / counts.sum()
        groups = 1 + np.minimum((middle * _BINS).astype(np.int64), _BINS - 1)
        groups[0] = 0
    groups[-1] = groups.max() + 1
    return groups


def coarse_counts(groups: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rows per coarse bin, shape (groups.max() + 1,)."""
    return np.bincount(groups, weights=counts, minlength=int(groups[-1]) + 1).astype(np.int64)
