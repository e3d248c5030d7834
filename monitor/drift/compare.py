"""Judge a window against its reference, column by column."""

from dataclasses import dataclass
from enum import StrEnum

from driftline.monitor.drift import wording
from driftline.monitor.drift.calibration import calibrate, is_calibrated, noise
from driftline.monitor.drift.missing_share import missing_share_difference, share_noise
from driftline.monitor.drift.registry import MISSING_SHARE, UNSEEN_SHARE, judged_by_shares, score, statistics_of
from driftline.monitor.drift.settings import DriftSettings
from driftline.store.prediction_columns import ColumnType
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference


class Verdict(StrEnum):
    """What a judgement came to."""

    DRIFT = "drift"
    NO_DRIFT = "no drift"
    INSUFFICIENT_DATA = "insufficient data"


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """The judgement of one column in one window.

    Attributes:
        side: input or output of the model.
        name: of the column in the signature; ``column_name`` in the prediction table.
        kind: numeric or categorical: what the statistic compares.
        statistic: the column's own, or ``missing_share_difference`` when that alone tells the drift.
        score, threshold: drift is a score that reaches the threshold. None where there was no verdict.
        window_rows: all rows of the window; ``value_rows`` those with a value in this column.
        verdict: see ``Verdict``.
        reason: one sentence for an operator.
        missing_share, reference_missing_share: shares of all rows, in [0, 1]; None without rows.
        unseen_share: of values whose category the reference does not name, in [0, 1]; None for numeric columns.
        out_of_range_share: of values beyond the reference's least and greatest; None for categorical columns.
    """

    side: str
    name: str
    column_name: str
    kind: str
    statistic: str
    score: float | None
    threshold: float | None
    window_rows: int
    value_rows: int
    verdict: Verdict
    reason: str
    missing_share: float | None
    reference_missing_share: float | None
    unseen_share: float | None
    out_of_range_share: float | None


def compare(reference: Reference, window: Profile, settings: DriftSettings | None = None) -> list[ColumnDrift]:
    """Judge every column of a window, inputs and outputs.

    Args:
        reference: what to compare with. One without calibration is calibrated first, which takes about 0.3 s per
            column each time: ``calibrate`` it once and keep the result.
        window: a profile on the reference's bins.
        settings: of the judgement; the defaults when absent.

    Returns:
        One judgement per column, in the signature's order.
    """
    if not is_calibrated(reference):
        reference = calibrate(reference)
    judge = _Judge(reference, window, settings or DriftSettings())
    return [judge.column(profiled) for profiled in reference.profiled]


@dataclass(frozen=True, slots=True)
class _Finding:
    statistic: str
    score: float
    threshold: float

    @property
    def drifted(self) -> bool:
        return self.score >= self.threshold


class _Judge:
    """One window against its reference under one set of settings."""

    def __init__(self, reference: Reference, window: Profile, settings: DriftSettings) -> None:
        self._reference, self._window, self._settings = reference, window, settings
        self._statistics, self._thresholds = settings.statistics_by_column(), settings.thresholds_by_column()
        judgements = settings.judgements_per_month * max(1, len(reference.profiled))
        # Half of what the user allows: the tail of the simulated scores is extrapolated.
        self._alpha = settings.false_alarms_per_month / 2 / judgements

    def column(self, profiled: ProfiledColumn) -> ColumnDrift:
        """Judge one column: its values, and its missing share when that alone drifted or values are too few."""
        before, now = (wording.Rows.of(profiled, profile) for profile in (self._reference.profile, self._window))
        missing = self._missing_finding(before, now)
        refusal = self._refusal(profiled, before, now)
        found = None if refusal else self._value_finding(profiled, before, now)
        if missing is not None and missing.drifted and not (found and found.drifted):
            return self._result(profiled, before, now, missing, wording.missing_change(before, now))
        said = refusal or wording.value_change(profiled, self._reference.profile, self._window)
        return self._result(profiled, before, now, found, said)

    def _refusal(self, profiled: ProfiledColumn, before: wording.Rows, now: wording.Rows) -> str | None:
        if profiled.column.type is ColumnType.DATETIME:
            return "times always move on: missing cells are judged, values are not"
        if before.values < 2:
            return "the reference holds fewer than two values, nothing can be compared with it"
        if now.values < self._settings.min_rows:
            return f"{now.values:,} rows with a value, a verdict needs {self._settings.min_rows:,}"
        return None

    def _statistic(self, profiled: ProfiledColumn) -> str:
        by_shares = judged_by_shares(profiled, self._reference)
        usual = self._settings.categorical_statistic if by_shares else self._settings.numeric_statistic
        column, defined = profiled.column, statistics_of(profiled)
        chosen = self._statistics.get(column.column_name) or self._statistics.get(column.name) or usual
        if chosen in defined:
            return chosen
        return "jensen_shannon" if by_shares else "wasserstein"

    def _value_finding(self, profiled: ProfiledColumn, before: wording.Rows, now: wording.Rows) -> _Finding:
        statistic, column = self._statistic(profiled), profiled.column
        found = score(statistic, profiled, self._reference.profile, self._window)
        fixed = self._thresholds.get(column.column_name, self._thresholds.get(column.name))
        if fixed is not None:
            return _Finding(statistic, found, fixed)
        if statistic == UNSEEN_SHARE:
            share = (before.unseen + now.unseen) / (before.values + now.values)
            chance = share_noise(share, before.values, now.values, self._alpha)
        else:
            chance = noise(self._reference, column.column_name, statistic, now.values, before.values, self._alpha)
        return _Finding(statistic, found, max(self._settings.min_effect, chance))

    def _missing_finding(self, before: wording.Rows, now: wording.Rows) -> _Finding | None:
        if not before.rows or now.rows < self._settings.min_rows:
            return None
        share = (before.missing + now.missing) / (before.rows + now.rows)
        chance = share_noise(share, before.rows, now.rows, self._alpha)
        found = missing_share_difference(before.missing, before.rows, now.missing, now.rows)
        return _Finding(MISSING_SHARE, found, max(self._settings.min_effect, chance))

    def _result(
        self, profiled: ProfiledColumn, before: wording.Rows, now: wording.Rows, found: _Finding | None, said: str
    ) -> ColumnDrift:
        column = profiled.column
        if found is None:
            verdict, reason = Verdict.INSUFFICIENT_DATA, said
        else:
            verdict = Verdict.DRIFT if found.drifted else Verdict.NO_DRIFT
            reason = f"{said}; {wording.against_threshold(found.score, found.threshold, now.rows)}"
        return ColumnDrift(
            side=column.side,
            name=column.name,
            column_name=column.column_name,
            kind="numeric" if profiled.categories is None else "categorical",
            statistic=found.statistic if found else self._statistic(profiled),
            score=found.score if found else None,
            threshold=found.threshold if found else None,
            window_rows=now.rows,
            value_rows=now.values,
            verdict=verdict,
            reason=reason,
            missing_share=now.missing / now.rows if now.rows else None,
            reference_missing_share=before.missing / before.rows if before.rows else None,
            unseen_share=now.unseen / now.values if profiled.categories is not None and now.values else None,
            out_of_range_share=now.out_of_range / now.numbers if profiled.bins is not None and now.numbers else None,
        )
