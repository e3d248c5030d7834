"""One window against its reference: what is found in each column, and how it is said."""

from collections.abc import Mapping
from dataclasses import dataclass

from driftline.monitor.drift import wording
from driftline.monitor.drift.calibration import is_heavy_tailed, noise, typical_noise
from driftline.monitor.drift.missing_share import missing_share_difference, share_noise
from driftline.monitor.drift.past_scores import PastScores
from driftline.monitor.drift.registry import (
    MISSING_SHARE,
    UNSEEN_SHARE,
    compared_kind,
    judged_by_shares,
    score,
    statistics_of,
)
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.thresholds import Chance, ErrorRates, threshold
from driftline.monitor.drift.verdict import ColumnDrift, Verdict, in_thresholds
from driftline.store.prediction_columns import ColumnType
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference

Past = Mapping[tuple[int, str], PastScores]  # by span in seconds and column name


@dataclass(frozen=True, slots=True)
class Finding:
    """A score beside its threshold."""

    statistic: str
    score: float
    threshold: float
    because: str  # what the threshold is made of

    @property
    def ratio(self) -> float:
        """The score in units of the threshold."""
        return in_thresholds(self.score, self.threshold)

    @property
    def drifted(self) -> bool:
        """Whether the score reaches the threshold."""
        return self.score >= self.threshold


@dataclass(frozen=True, slots=True)
class Examined:
    """One column in one window: the finding on its values, that on its missing cells, or why there is none."""

    profiled: ProfiledColumn
    before: wording.Rows
    now: wording.Rows
    values: Finding | None
    missing: Finding | None
    refusal: str | None

    @property
    def decisive(self) -> Finding | None:
        """The finding on the values, unless the missing cells alone drifted."""
        if self.missing is not None and self.missing.drifted and not (self.values and self.values.drifted):
            return self.missing
        return self.values

    @property
    def ratio(self) -> float:
        """The decisive score in units of its threshold; -1 without one."""
        return -1.0 if self.decisive is None else self.decisive.ratio


def statistic_of(profiled: ProfiledColumn, reference: Reference, settings: DriftSettings) -> str:
    """Return the name of the statistic that judges a column's values."""
    by_shares = judged_by_shares(profiled, reference)
    usual = settings.categorical_statistic if by_shares else settings.numeric_statistic
    column, defined, statistics = profiled.column, statistics_of(profiled), settings.statistics_by_column()
    chosen = statistics.get(column.column_name) or statistics.get(column.name)
    if chosen in defined:
        return str(chosen)
    if usual not in defined:
        usual = "jensen_shannon" if by_shares else "wasserstein"
    heavy = usual == "wasserstein" and is_heavy_tailed(reference, column.column_name)
    return "winsorised_wasserstein" if heavy else usual


def chosen_statistics(reference: Reference, settings: DriftSettings) -> dict[str, str]:
    """Return the statistic of each column by its name, in the reference's order."""
    return {p.column.column_name: statistic_of(p, reference, settings) for p in reference.profiled}


class ColumnJudge:
    """One window against its reference under one set of settings."""

    def __init__(
        self,
        reference: Reference,
        window: Profile,
        settings: DriftSettings,
        span: int,
        error_rates: ErrorRates,
        past: Past,
    ) -> None:
        self._reference, self._window, self._settings, self._past = reference, window, settings, past
        self._thresholds = settings.thresholds_by_column()
        self.span, self._rates = span, error_rates

    def examine(self, profiled: ProfiledColumn) -> Examined:
        """Score one column's values and missing cells."""
        before, now = (wording.Rows.of(profiled, profile) for profile in (self._reference.profile, self._window))
        refusal = self._refusal(profiled, before, now)
        values = None if refusal else self._value_finding(profiled, before, now)
        return Examined(profiled, before, now, values, self._missing_finding(before, now), refusal)

    def told(self, examined: Examined) -> ColumnDrift:
        """Say what was found."""
        before, now, profiled, found = examined.before, examined.now, examined.profiled, examined.decisive
        column, effect = profiled.column, None
        if found is None:
            is_time = column.type is ColumnType.DATETIME and examined.missing is not None
            verdict = Verdict.NOT_JUDGED if is_time else Verdict.INSUFFICIENT_DATA
            reason = str(examined.refusal)
        else:
            verdict = Verdict.DRIFT if found.drifted else Verdict.NO_DRIFT
            sides = profiled, self._reference, self._window
            by_values = found is examined.values
            said = wording.value_change(*sides) if by_values else wording.missing_change(before, now)
            effect = wording.effect(*sides) if by_values else None
            compared = wording.against_threshold(found.score, found.threshold, found.because, now.rows, self.span)
            reason = f"{said}; {compared}"
        return ColumnDrift(
            side=column.side,
            name=column.name,
            column_name=column.column_name,
            kind=compared_kind(profiled, self._reference.profile),
            statistic=found.statistic if found else statistic_of(profiled, self._reference, self._settings),
            score=found.score if found else None,
            threshold=found.threshold if found else None,
            effect=effect,
            window_seconds=self.span,
            window_rows=now.rows,
            value_rows=now.values,
            verdict=verdict,
            reason=reason,
            missing_share=now.missing / now.rows if now.rows else None,
            reference_missing_share=before.missing / before.rows if before.rows else None,
            unseen_share=now.unseen / now.values if profiled.categories is not None and now.values else None,
            out_of_range_share=now.out_of_range / now.numbers if profiled.bins is not None and now.numbers else None,
        )

    def _refusal(self, profiled: ProfiledColumn, before: wording.Rows, now: wording.Rows) -> str | None:
        if profiled.column.type is ColumnType.DATETIME and now.rows >= self._settings.min_rows:
            return "times always move on: missing cells are judged, values are not"
        if before.values < 2:
            return "the reference holds fewer than two values, nothing can be compared with it"
        if now.values < self._settings.min_rows:
            return f"{now.values:,} rows with a value, a verdict needs {self._settings.min_rows:,}"
        return None

    def _value_finding(self, profiled: ProfiledColumn, before: wording.Rows, now: wording.Rows) -> Finding:
        statistic, column = statistic_of(profiled, self._reference, self._settings), profiled.column
        found = score(statistic, profiled, self._reference.profile, self._window)
        fixed = self._thresholds.get(column.column_name, self._thresholds.get(column.name))
        if fixed is not None:
            return Finding(statistic, found, fixed, "fixed")
        rows, rate = (now.values, before.values), self._rates.chance
        if statistic == UNSEEN_SHARE:
            share = (before.unseen + now.unseen) / (before.values + now.values)
            chance = Chance(share_noise(share, before.values, now.values, rate), 0.0)
        else:
            simulated = self._reference, column.column_name, statistic, *rows
            chance = Chance(noise(*simulated, rate), typical_noise(*simulated))
        past, least = self._past.get((self.span, column.column_name)), self._least_effect(profiled)
        return Finding(statistic, found, *threshold(least, chance, past, self.span, self._rates.past))

    def _least_effect(self, profiled: ProfiledColumn) -> float:
        by_shares = judged_by_shares(profiled, self._reference)
        return self._settings.min_category_effect if by_shares else self._settings.min_effect

    def _missing_finding(self, before: wording.Rows, now: wording.Rows) -> Finding | None:
        if not before.rows or now.rows < self._settings.min_rows:
            return None
        share = (before.missing + now.missing) / (before.rows + now.rows)
        chance = Chance(share_noise(share, before.rows, now.rows, self._rates.chance), 0.0)
        found = missing_share_difference(before.missing, before.rows, now.missing, now.rows)
        return Finding(
            MISSING_SHARE, found, *threshold(self._settings.min_effect, chance, None, self.span, self._rates.past)
        )
