"""Which numeric columns have a heavy tail: single rows of them may move a distance of whole windows."""

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.coarse_bins import FEW_VALUES
from driftline.monitor.drift.tails import continue_tail
from driftline.monitor.drift.wasserstein import WINSORISED
from driftline.store.profile.edges import LARGEST
from driftline.store.profile.numeric import NumericCounts
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference

_HEAVY = 0.1  # fitted shape; from 0.25 the fourth moment is infinite, the fit errs by 0.1
_POSSIBLY_HEAVY = 1e-9  # heavier than exponential
_OUTER = 0.1  # of the whole's rows; of 100 rows of the same distribution some lie there, in its outer 1 % often none


def heavy_tailed_columns(reference: Reference) -> list[str]:
    """Return the names of the columns whose lower or upper tail, as fitted, is heavy."""
    return [name for name, counts in _numbers(reference).items() if max(_tail_shapes(counts)) >= _HEAVY]


def inherited_tails(part: Profile, whole: Reference) -> list[str]:
    """Return the columns that may have a heavy tail in the whole into whose outer tenth the part's rows reach.

    A part of zeros, or of small values, does not: the winsorised distance, which sees as far as the part's rows reach
    and counts in the whole's unit, would find no move of it.
    """
    found = []
    for name, counts in _numbers(whole).items():
        lower, upper = _tail_shapes(counts)
        reaches_lower, reaches_upper = _reached(part.numeric(name), counts)
        if (reaches_lower and lower >= _POSSIBLY_HEAVY) or (reaches_upper and upper >= _POSSIBLY_HEAVY):
            found.append(name)
    return found


def held_means(counts: NumericCounts) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the mean value and the rows of every bin that holds any."""
    held = counts.counts > 0
    return np.clip(counts.bin_means[held], -LARGEST, LARGEST), counts.counts[held]


def _numbers(reference: Reference) -> dict[str, NumericCounts]:
    names = [p.column.column_name for p in reference.profiled if p.bins]
    return {name: reference.profile.numeric(name) for name in names}


def _tail_shapes(counts: NumericCounts) -> tuple[float, float]:
    """Return the shapes of lower and upper tail, 0 of one that falls as fast as an exponential one or faster."""
    if counts.bins.distinct <= FEW_VALUES or not counts.value_rows:
        return 0.0, 0.0
    means, rows = held_means(counts)
    return continue_tail(-means[::-1], rows[::-1]).shape, continue_tail(means, rows).shape


def _reached(part: NumericCounts, whole: NumericCounts) -> tuple[bool, bool]:
    """Return whether a thousandth of the part, which winsorising leaves, lies in the whole's lower and upper tenth."""
    until = np.cumsum(whole.counts)
    lower, upper = until <= _OUTER * until[-1], until - whole.counts >= (1 - _OUTER) * until[-1]
    least = max(WINSORISED * part.value_rows, 1)
    return bool(part.counts[lower].sum() >= least), bool(part.counts[upper].sum() >= least)
