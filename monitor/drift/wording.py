"""What an operator reads: how a column changed, in one clause. Categories of the reference are named, live ones not."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from driftline.monitor.drift.phrases import number, percent, shortened, went
from driftline.monitor.drift.registry import compares_categories
from driftline.monitor.drift.wasserstein import unit
from driftline.monitor.drift.windows import span_name
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.numeric import NumericCounts
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference

LEAST_EFFECT = "the least effect worth saying"
CHANCE = "what chance reaches if rows are independent"
CHANCE_AND_PAST = "what chance reaches, more than like windows of the past"
_NOTABLE_SPREAD = 1.2


@dataclass(frozen=True, slots=True)
class Rows:
    """How the rows of a profile divide in one column.

    Attributes:
        rows: all.
        missing: without a value; cells that are no number count as such here.
        values: with a value that the column's statistic compares.
        unseen: of ``values``: of a category that the reference does not name.
        numbers: with a number, infinite ones included, or a length.
        out_of_range: of ``numbers``: beyond the reference's least and greatest.
    """

    rows: int
    missing: int
    values: int
    unseen: int
    numbers: int
    out_of_range: int

    @classmethod
    def of(cls, profiled: ProfiledColumn, profile: Profile) -> Self:
        name, unseen, numbers, out_of_range = profiled.column.column_name, 0, 0, 0
        values = missing = 0
        if profiled.bins is not None:
            n = profile.numeric(name)
            values, missing = n.value_rows, n.missing + n.not_a_number
            numbers, out_of_range = n.value_rows + n.plus_infinity + n.minus_infinity, n.out_of_range_rows
        if profiled.categories is not None:
            c = profile.categories(name)
            values, missing, unseen = c.value_rows, c.missing, c.unseen
        return cls(profile.row_count, missing, values, unseen, numbers, out_of_range)


def value_change(profiled: ProfiledColumn, reference: Reference, window: Profile) -> str:
    """Return how the values changed: of categories when these are compared, else of numbers or lengths."""
    name = profiled.column.column_name
    if compares_categories(profiled, reference.profile):
        return _category_change(profiled, reference.profile, window)
    what = "length" if profiled.categories is not None or profiled.kind == "length" else ""
    return _number_change(what, reference.profile.numeric(name), window.numeric(name))


def missing_change(before: Rows, now: Rows) -> str:
    """Return how the missing share changed."""
    was, share = before.missing / before.rows, now.missing / now.rows
    return f"missing cells {went(was, share)} from {percent(was)} to {percent(share)}"


def against_threshold(score: float, threshold: float, because: str, rows: int, span_seconds: int) -> str:
    """Return the score beside its threshold, what that is made of, and the window."""
    relation = "over" if score >= threshold else "under"
    return (
        f"score {number(score)} {relation} threshold {number(threshold)} ({because}) "
        f"at {rows:,} rows of {span_name(span_seconds)}"
    )


def past_windows(windows: int) -> str:
    """Return the name of the part of a threshold that past windows make up."""
    return f"what {windows} like windows of the past reached"


def effect(profiled: ProfiledColumn, reference: Reference, window: Profile) -> float | None:
    """Return how far the mean moved, in standard deviations of the reference, or the share that moved most; signed."""
    name = profiled.column.column_name
    if compares_categories(profiled, reference.profile):
        before, now = (p.categories(name) for p in (reference.profile, window))
        moves = np.append(now.counts, now.unseen) / now.value_rows
        moves -= np.append(before.counts, before.unseen) / before.value_rows
        return float(moves[int(np.argmax(np.abs(moves)))])
    numbers = reference.profile.numeric(name)
    moved = (window.numeric(name).mean - numbers.mean) / unit(numbers.bins)
    return moved if math.isfinite(moved) else None


def _number_change(what: str, before: NumericCounts, now: NumericCounts) -> str:
    prefix = f"{what} " if what else ""
    if not (math.isfinite(before.mean) and math.isfinite(now.mean)):
        return f"{prefix}values are too large for a mean"
    outside = (now.counts[0] + now.counts[-1]) / now.value_rows
    tail = f", {percent(outside)} outside the reference's range" if outside >= 0.01 else ""
    spread = now.deviation / before.deviation if before.deviation > 0 else math.nan
    shift = abs(now.mean - before.mean)
    unit = before.deviation
    if (
        math.isfinite(spread)
        and shift < 0.5 * abs(now.deviation - unit)
        and not 1 / _NOTABLE_SPREAD < spread < (_NOTABLE_SPREAD)
    ):
        verb = "grew" if spread > 1 else "shrank"
        return f"{prefix}spread {verb} from {number(unit)} to {number(now.deviation)}{tail}"
    if number(now.mean) == number(before.mean):
        return f"{prefix}mean stayed at {number(now.mean)}{tail}"
    return f"{prefix}mean {went(before.mean, now.mean)} from {number(before.mean)} to {number(now.mean)}{tail}"


def _category_change(profiled: ProfiledColumn, reference: Profile, window: Profile) -> str:
    before, now = (p.categories(profiled.column.column_name) for p in (reference, window))
    unseen_before, unseen = before.unseen / before.value_rows, now.unseen / now.value_rows
    was, share = before.counts / before.value_rows, now.counts / now.value_rows
    most = int(np.argmax(np.abs(share - was)))
    if unseen - unseen_before > abs(share[most] - was[most]):
        if profiled.kind == "text":
            return (
                f"values besides the {len(was)} most frequent rose from {percent(unseen_before)} to {percent(unseen)}"
            )
        return f"{percent(unseen)} of the values are in no category of the reference"
    name = shortened(before.categories[most])
    if percent(was[most]) == percent(share[most]):
        return f"share of '{name}' stayed at {percent(share[most])}"
    return f"share of '{name}' {went(was[most], share[most])} from {percent(was[most])} to {percent(share[most])}"
