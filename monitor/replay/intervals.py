"""Intervals of 95 %: of a share, of a mean, of what a resampling gives."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Z: Final = 1.959963984540054  # two-sided 95 % of the normal distribution
Interval = tuple[float, float]


def wilson(count: int, rows: int) -> Interval:
    """Return the 95 % interval of a share of which ``count`` of ``rows`` were seen, both in [0, 1].

    Source: Wilson (1927). It holds near 0 and 1, where the normal approximation does not: (0, 0.037) of 0 in 100.
    """
    if not rows:
        return 0.0, 1.0
    share, spread = count / rows, Z * Z / rows
    centre = (share + spread / 2) / (1 + spread)
    half = Z * float(np.sqrt(share * (1 - share) / rows + spread / (4 * rows))) / (1 + spread)
    return (0.0 if count == 0 else centre - half), (1.0 if count == rows else centre + half)


def of_mean(values: NDArray[np.float64]) -> Interval | None:
    """Return the 95 % interval of the mean by the normal approximation; None below two values."""
    if len(values) < 2:
        return None
    mean, half = float(values.mean()), Z * float(values.std(ddof=1)) / float(np.sqrt(len(values)))
    return mean - half, mean + half
