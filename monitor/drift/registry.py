"""Which statistic judges a column, and its score from two profiles.

The default follows from the column's type and the reference alone and never changes with the size of a window:
Wasserstein for numbers, Jensen-Shannon for categories and for numbers, or lengths, of at most ``FEW_VALUES`` values.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.chi_square import chi_square_effect
from driftline.monitor.drift.coarse_bins import coarse_counts, coarse_groups
from driftline.monitor.drift.distribution_gap import StackedCounts
from driftline.monitor.drift.hellinger import hellinger
from driftline.monitor.drift.jensen_shannon import jensen_shannon
from driftline.monitor.drift.kolmogorov_smirnov import kolmogorov_smirnov
from driftline.monitor.drift.population_stability_index import population_stability_index
from driftline.monitor.drift.total_variation import total_variation
from driftline.monitor.drift.unseen_share import unseen_share_difference
from driftline.monitor.drift.wasserstein import normed_wasserstein, winsorised_wasserstein
from driftline.store.prediction_columns import ColumnType
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.numeric import NumericCounts
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference

DISTRIBUTION_STATISTICS: dict[str, Callable[[NumericCounts, NumericCounts | StackedCounts], NDArray[np.float64]]] = {
    "wasserstein": normed_wasserstein,
    "winsorised_wasserstein": winsorised_wasserstein,
    "kolmogorov_smirnov": kolmogorov_smirnov,
}
SHARE_STATISTICS: dict[str, Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]]] = {
    "jensen_shannon": jensen_shannon,
    "hellinger": hellinger,
    "population_stability_index": population_stability_index,
    "chi_square": chi_square_effect,
    "total_variation": total_variation,
}
UNSEEN_SHARE = "unseen_share_difference"
MISSING_SHARE = "missing_share_difference"

FEW_VALUES = 5
_COVERED = 0.5


def judged_by_shares(profiled: ProfiledColumn, reference: Reference) -> bool:
    """Whether a column is judged by shares, of its categories or of its few numbers, rather than by a distribution.

    A text column whose length is judged counts as one of numbers: lengths that are all equal have no scale in which a
    distance could be told.
    """
    few = profiled.bins is not None and profiled.bins.distinct <= FEW_VALUES
    return few or compares_categories(profiled, reference.profile)


def compares_categories(profiled: ProfiledColumn, reference: Profile) -> bool:
    """Whether a column's named categories are compared: not those of a text column that is judged by its length.

    A text column's are when they make up half of the reference.

    Args:
        profiled: the column.
        reference: the reference's own profile.
    """
    if profiled.categories is None or profiled.bins is None:
        return profiled.categories is not None
    counts = reference.categories(profiled.column.column_name)
    return bool(counts.counts.sum() >= _COVERED * counts.value_rows)


def compared_kind(profiled: ProfiledColumn, reference: Profile) -> str:
    """Return what of a column is compared: the words of ``ColumnDrift.kind``."""
    if compares_categories(profiled, reference):
        return "categorical"
    if profiled.column.type is ColumnType.DATETIME:
        return "time"
    return "length" if profiled.kind in ("text", "length") else "numeric"


def share_counts(profiled: ProfiledColumn, reference: Profile, profile: Profile) -> NDArray[np.int64]:
    """Return rows per category with the unseen last, or per coarse bin of numbers and of a text's length.

    Args:
        profiled: the column.
        reference: the reference's own profile, from which coarse bins are cut; at least one value.
        profile: whose rows are counted: the window's, or the reference's again.
    """
    name = profiled.column.column_name
    if compares_categories(profiled, reference):
        counts = profile.categories(name)
        return np.append(counts.counts, counts.unseen)
    return coarse_counts(coarse_groups(reference.numeric(name)), profile.numeric(name).counts)


def score(statistic: str, profiled: ProfiledColumn, reference: Profile, window: Profile) -> float:
    """Return the score of one column of ``window`` against ``reference``; both have values in it.

    Raises:
        ValueError: the statistic is not defined for this kind of column.
    """
    name = profiled.column.column_name
    if statistic in DISTRIBUTION_STATISTICS and profiled.bins is not None:
        return float(DISTRIBUTION_STATISTICS[statistic](reference.numeric(name), window.numeric(name)))
    if statistic in SHARE_STATISTICS:
        both = (share_counts(profiled, reference, profile) for profile in (reference, window))
        return float(SHARE_STATISTICS[statistic](*both))
    if statistic == UNSEEN_SHARE and profiled.categories is not None:
        return unseen_share_difference(reference.categories(name), window.categories(name))
    raise ValueError(f"{statistic} is not defined for a {profiled.kind} column")


def statistics_of(profiled: ProfiledColumn) -> tuple[str, ...]:
    """Return the names of the statistics that are defined for a column."""
    names = list(SHARE_STATISTICS)
    if profiled.bins is not None:
        names += DISTRIBUTION_STATISTICS
    if profiled.categories is not None:
        names.append(UNSEEN_SHARE)
    return tuple(names)
