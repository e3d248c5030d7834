"""Unseen-share difference: how much of a column lies outside the categories that the reference names."""

from driftline.store.profile.categorical import CategoryCounts


def unseen_share_difference(reference: CategoryCounts, window: CategoryCounts) -> float:
    """Return the absolute difference of the shares of values that the reference's categories do not name.

    Args:
        reference: a categorical column of the reference, with values. Only a text column, of which the most frequent
            values alone are named, has others here.
        window: the same column of the window, with values.

    Returns:
        In [0, 1], 0 when all values are named on both sides.
    """
    return abs(window.unseen / window.value_rows - reference.unseen / reference.value_rows)
