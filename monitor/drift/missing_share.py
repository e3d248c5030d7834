"""Missing-share difference: how much more, or less, of a column is missing."""

import math


def missing_share_difference(
    reference_missing: int, reference_rows: int, window_missing: int, window_rows: int
) -> float:
    """Return the absolute difference of the shares of missing cells.

    Args:
        reference_missing, window_missing: missing cells on each side.
        reference_rows, window_rows: all rows on each side, at least 1.

    Returns:
        In [0, 1], 0 for equal shares.
    """
    return abs(window_missing / window_rows - reference_missing / reference_rows)


def share_noise(share: float, reference_rows: int, window_rows: int, alpha: float) -> float:
    """Return a difference of shares that chance exceeds with a probability below ``alpha``.

    Args:
        share: of both sides together.
        reference_rows, window_rows: rows on each side, at least 1.
        alpha: in (0, 1).

    Returns:
        Bernstein's bound for both directions: for rare cells it is wide, it never promises too much.

    Source: Boucheron, Lugosi and Massart, Concentration Inequalities (2013), section 2.8.
    """
    inverse = 1 / reference_rows + 1 / window_rows
    logarithm = math.log(2 / alpha)
    largest = max(1 / reference_rows, 1 / window_rows)
    return math.sqrt(2 * share * (1 - share) * inverse * logarithm) + largest * logarithm / 3
