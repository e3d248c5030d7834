"""What chance alone reaches: rows beyond the reference's extremes."""

import math


def most_out_of_range(reference_rows: int, window_rows: int, alpha: float) -> int:
    """Return the rows beyond the extremes of the reference that chance exceeds with probability ``alpha`` at most.

    Both sides together, for rows from one and the same continuous distribution, whatever it is; ties make it rarer.
    At least ``k`` of ``n`` rows lie outside the range of ``N`` others exactly as likely as above the second largest of
    these: among the ``k + 1`` largest of all is one of the ``N`` at most.

    Args:
        reference_rows, window_rows: rows with a value on each side, at least 2 and 1.
        alpha: in (0, 1).

    Source: Wilks (1941), distribution-free tolerance limits; David and Nagaraja, Order Statistics (2003), 7.2.
    """
    low, high = 0, window_rows  # the least k whose successor is too rare
    while low < high:
        k = (low + high) // 2
        if _log_probability(reference_rows, window_rows, k + 1) <= math.log(alpha):
            high = k
        else:
            low = k + 1
    return low


def _log_probability(reference_rows: int, window_rows: int, k: int) -> float:
    """Return the logarithm of the probability that ``k`` rows of the window or more lie outside."""
    if k > window_rows:
        return -math.inf
    none = _log_choose(window_rows, k + 1) if k < window_rows else -math.inf
    one = math.log(reference_rows) + _log_choose(window_rows, k)
    larger = max(none, one)
    both = larger + math.log(math.exp(none - larger) + math.exp(one - larger))
    return both - _log_choose(reference_rows + window_rows, k + 1)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
