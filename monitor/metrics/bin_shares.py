"""The shares of a window's rows over the reference's bins, for those who want them as series.

A numeric column has ten bins of about a tenth of the reference each (a bin per value where it has few), and one below
and one above all that the reference holds; a column of categories has its ``_TOP_CATEGORIES`` most frequent ones, the
rest and what the reference never held. Missing cells are a bin too, so the shares of all bins sum to 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from driftline.monitor.drift.registry import compares_categories, share_counts
from driftline.store.errors import ProfileCorrupt, ReferenceCorrupt
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.reads import window_profile
from driftline.store.references import reference_by_id

_TOP_CATEGORIES = 9
MISSING = "99_missing"  # sorts behind the others


@dataclass(frozen=True, slots=True)
class BinShares:
    """One column's bins in order: name, share of the reference's rows, share of the window's rows."""

    side: str
    column_name: str
    bins: tuple[tuple[str, float, float], ...]


class BinReader:
    """Reads the bins of the newest verdicts, once per verdict: what a window held does not change."""

    def __init__(self) -> None:
        self._read: dict[tuple[int, int], tuple[int, list[BinShares]]] = {}

    def of(self, connection: Connection, version_id: int, drift: Sequence[Row[Any]]) -> list[BinShares]:
        """Return the bins of the columns that rows of ``drift_result`` of one run and arm have judged.

        Where a stored profile is damaged there are none; the drift job says so.
        """
        if not drift:
            return []
        key, run = (version_id, drift[0].arm), drift[0].job_run_id
        known = self._read.get(key)
        if known is None or known[0] != run:
            try:
                known = (run, _read(connection, version_id, drift))
            except (ProfileCorrupt, ReferenceCorrupt):
                known = (run, [])
            self._read[key] = known
        return known[1]


def _read(connection: Connection, version_id: int, drift: Sequence[Row[Any]]) -> list[BinShares]:
    reference = reference_by_id(connection, drift[0].reference_id)
    columns = {(p.column.side, p.column.name): p for p in reference.profiled}
    windows = {(row.window_start, row.window_end) for row in drift}
    profiles = {
        window: window_profile(connection, version_id, drift[0].reference_id, reference, drift[0].arm, *window)
        for window in windows
    }
    found = []
    for row in drift:
        profiled, window = columns.get((row.side, row.column_name)), profiles[row.window_start, row.window_end]
        if row.score is not None and profiled is not None:
            found.append(BinShares(row.side, row.column_name, tuple(bin_shares(profiled, reference, window))))
    return found


def bin_shares(profiled: ProfiledColumn, reference: Reference, window: Profile) -> Iterable[tuple[str, float, float]]:
    """Yield name, share in the reference and share in the window of each bin of a column; both sum to 1.

    Args:
        profiled: one of ``reference.profiled``; both sides have values in it.
        window: a profile on the reference's bins.
    """
    sides = (reference.profile, window)
    if compares_categories(profiled, reference.profile):
        names, counts = _categories(profiled, sides)
    else:
        names, counts = _numbers(profiled, sides)
    missing = [side.row_count - sum(rows) for side, rows in zip(sides, counts, strict=True)]
    rows = [(*side, absent) for side, absent in zip(counts, missing, strict=True)]
    for name, before, now in zip([*names, MISSING], *rows, strict=True):
        yield name, before / max(1, sides[0].row_count), now / max(1, sides[1].row_count)


def _categories(profiled: ProfiledColumn, sides: Sequence[Profile]) -> tuple[list[str], list[list[int]]]:
    known = list(profiled.categories or ())
    top = known[:_TOP_CATEGORIES]
    counted = []
    for side in sides:
        counts = side.categories(profiled.column.column_name)
        first = counts.counts[: len(top)].tolist()
        counted.append([*first, int(counts.counts[len(top) :].sum()), counts.unseen])
    names = [f"{rank:02d}_{name}" for rank, name in enumerate(top, start=1)]
    return [*names, "97_other", "98_unseen"], counted


def _numbers(profiled: ProfiledColumn, sides: Sequence[Profile]) -> tuple[list[str], list[list[int]]]:
    counted = [share_counts(profiled, sides[0], side).tolist() for side in sides]
    for rows, side in zip(counted, sides, strict=True):
        counts = side.numeric(profiled.column.column_name)
        rows[0] += counts.minus_infinity
        rows[-1] += counts.plus_infinity
    middle = [f"{place:02d}" for place in range(1, len(counted[0]) - 1)]
    return ["00_below", *middle, f"{len(counted[0]) - 1:02d}_above"], counted
