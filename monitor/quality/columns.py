"""What the profile of one window tells of each column's quality; no row is read."""

from collections.abc import Iterator

from driftline.monitor.drift.missing_share import share_noise
from driftline.monitor.drift.phrases import number, percent
from driftline.monitor.drift.windows import span_name
from driftline.monitor.drift.wording import Rows
from driftline.monitor.quality.chance import most_out_of_range
from driftline.monitor.quality.finding import Kind, QualityFinding, share_finding, unjudged
from driftline.monitor.quality.settings import QualitySettings
from driftline.store.prediction_columns import ColumnType
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference

CHECKS_PER_COLUMN = 3  # that chance can breach, at most


class ColumnChecks:
    """The columns of one window against the reference."""

    def __init__(
        self,
        reference: Reference,
        profile: Profile,
        settings: QualitySettings,
        window: tuple[int, int],
        error_rate: float,
    ) -> None:
        """
        Args:
            profile: the window's rows on the reference's bins.
            window: start and end, microseconds since the epoch.
            error_rate: the probability of a wrong breach that one check may have.
        """
        self._reference, self._profile, self._settings = reference, profile, settings
        self._window, self._error_rate = window, error_rate

    def findings(self) -> Iterator[QualityFinding]:
        """Yield every check of every column, in the signature's order."""
        for profiled in self._reference.profiled:
            before, now = (Rows.of(profiled, profile) for profile in (self._reference.profile, self._profile))
            yield self._missing(profiled, before, now)
            if profiled.bins is not None and profiled.kind != "text" and not _is_time(profiled):
                yield self._out_of_range(profiled, before, now)
            if profiled.kind == "categorical":
                yield self._unseen(profiled, before, now)
            if _distinct(profiled, self._reference.profile) > 1:
                yield self._constant(profiled, before, now)

    def _missing(self, profiled: ProfiledColumn, before: Rows, now: Rows) -> QualityFinding:
        if not before.rows or now.rows < self._settings.min_rows:
            return self._too_few(Kind.MISSING, profiled, now, now.missing / now.rows if now.rows else None)
        observed, expected = now.missing / now.rows, before.missing / before.rows
        pooled = (before.missing + now.missing) / (before.rows + now.rows)
        threshold = expected + self._allowance(share_noise(pooled, before.rows, now.rows, self._error_rate))
        said = f"{percent(observed)} of the cells are missing, {percent(expected)} in the training data"
        return self._share(Kind.MISSING, profiled, now, (observed, expected, threshold), said)

    def _out_of_range(self, profiled: ProfiledColumn, before: Rows, now: Rows) -> QualityFinding:
        observed = now.out_of_range / now.numbers if now.numbers else None
        if observed is None or now.numbers < self._settings.min_rows or before.numbers < 2:
            return self._too_few(Kind.OUT_OF_RANGE, profiled, now, observed)
        expected = 2 / (before.numbers + 1)
        chance = (most_out_of_range(before.numbers, now.numbers, self._error_rate) + 1) / now.numbers
        threshold = max(chance, expected + self._settings.min_share)
        counts = self._reference.profile.numeric(profiled.column.column_name)
        what = "lengths" if profiled.kind == "length" else "values"
        extremes = f"{number(counts.least)} to {number(counts.greatest)}"
        said = f"{percent(observed)} of the {what} lie outside the training data's {extremes}"
        return self._share(Kind.OUT_OF_RANGE, profiled, now, (observed, expected, threshold), said)

    def _unseen(self, profiled: ProfiledColumn, before: Rows, now: Rows) -> QualityFinding:
        observed = now.unseen / now.values if now.values else None
        if observed is None or now.values < self._settings.min_rows or not before.values:
            return self._too_few(Kind.UNSEEN_CATEGORY, profiled, now, observed)
        counts = self._reference.profile.categories(profiled.column.column_name).counts
        expected = float((counts == 1).sum()) / before.values  # Good and Turing: as many as occurred once
        pooled = (expected * before.values + now.unseen) / (before.values + now.values)
        threshold = expected + self._allowance(share_noise(pooled, before.values, now.values, self._error_rate))
        said = f"{percent(observed)} of the values are in no category of the training data"
        return self._share(Kind.UNSEEN_CATEGORY, profiled, now, (observed, expected, threshold), said)

    def _constant(self, profiled: ProfiledColumn, before: Rows, now: Rows) -> QualityFinding:
        rows = now.values
        if rows < self._settings.min_rows:
            return self._too_few(Kind.CONSTANT, profiled, now, None)
        share = _largest_share(profiled, self._reference.profile)
        if share**rows > self._error_rate:
            said = f"one value makes up {percent(share)} of the training data: {rows:,} alike are no wonder"
            return self._unjudged(Kind.CONSTANT, profiled, now, None, said)
        observed = float(_is_constant(profiled, self._profile))
        distinct = _distinct(profiled, self._reference.profile)
        said = "values differ"
        if observed:
            what = "lengths" if profiled.kind == "length" else "values"
            said = f"all {rows:,} {what} are one and the same, the training data has {distinct:,}"
        return share_finding(Kind.CONSTANT, _place(profiled), self._window, now.rows, (observed, 0.0, 1.0), said)

    def _allowance(self, chance: float) -> float:
        return max(chance, self._settings.min_share)

    def _share(
        self, kind: Kind, profiled: ProfiledColumn, now: Rows, shares: tuple[float, float, float], said: str
    ) -> QualityFinding:
        start, end = self._window
        reason = f"{said}; a breach from {percent(shares[2])} at {now.rows:,} rows of {span_of(start, end)}"
        return share_finding(kind, _place(profiled), self._window, now.rows, shares, reason)

    def _too_few(self, kind: Kind, profiled: ProfiledColumn, now: Rows, observed: float | None) -> QualityFinding:
        least = self._settings.min_rows
        said = f"{now.values:,} of {now.rows:,} rows have a value, a verdict needs {least:,} and training data"
        return self._unjudged(kind, profiled, now, observed, said)

    def _unjudged(
        self, kind: Kind, profiled: ProfiledColumn, now: Rows, observed: float | None, said: str
    ) -> QualityFinding:
        return unjudged(kind, _place(profiled), self._window, now.rows, observed, said)


def span_of(start_us: int, end_us: int) -> str:
    """Return the length of a window as people write it, in whole minutes."""
    return span_name(max(60, (end_us - start_us) // 60_000_000 * 60))


def _place(profiled: ProfiledColumn) -> tuple[str, str]:
    return profiled.column.side, profiled.column.name


def _is_time(profiled: ProfiledColumn) -> bool:
    return profiled.column.type is ColumnType.DATETIME


def _distinct(profiled: ProfiledColumn, reference: Profile) -> int:
    """Return how many values the reference has; for text beyond the most frequent ones, how many lengths at least."""
    return max(len(profiled.categories or ()), profiled.bins.distinct if profiled.bins is not None else 0)


def _largest_share(profiled: ProfiledColumn, reference: Profile) -> float:
    """Return a bound of the share of the reference's values that its most frequent one makes up."""
    name = profiled.column.column_name
    if profiled.categories is not None:
        named = reference.categories(name)
        return float(named.counts.max(initial=0)) / named.value_rows
    numbers = reference.numeric(name)
    return float(numbers.counts.max()) / numbers.value_rows


def _is_constant(profiled: ProfiledColumn, window: Profile) -> bool:
    name = profiled.column.column_name
    if profiled.categories is not None:
        found = window.categories(name)
        named = int((found.counts > 0).sum())
        return named + len(found.unseen_names) == 1
    numbers = window.numeric(name)
    return numbers.least == numbers.greatest and not numbers.plus_infinity and not numbers.minus_infinity
