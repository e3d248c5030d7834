"""Judge windows of live data against their reference, column by column."""

from collections.abc import Mapping
from dataclasses import dataclass

from driftline.monitor.drift.calibration import calibrate, is_calibrated
from driftline.monitor.drift.column_judge import ColumnJudge, Past
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.thresholds import ErrorRates
from driftline.monitor.drift.verdict import ColumnDrift
from driftline.monitor.drift.windows import error_rates, natural_rates
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference

_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was judged at one time.

    Attributes:
        columns: one judgement per column, of the window that decides, in the signature's order.
        scores: of the values per span in seconds and column name, of every window that has enough rows.
    """

    columns: list[ColumnDrift]
    scores: dict[int, dict[str, float]]


def compare(
    reference: Reference, window: Profile, settings: DriftSettings | None = None, *, span_seconds: int = 24 * _HOUR
) -> list[ColumnDrift]:
    """Judge every column of one window, inputs and outputs.

    Args:
        reference: what to compare with. One without calibration is calibrated first, which takes about 0.5 s per
            column each time: ``calibrate`` it once and keep the result.
        window: a profile on the reference's bins.
        settings: of the judgement; the defaults when absent.
        span_seconds: of the window.

    Returns:
        One judgement per column, in the signature's order.
    """
    return compare_windows(reference, {span_seconds: window}, settings).columns


def compare_windows(
    reference: Reference,
    windows: Mapping[int, Profile],
    settings: DriftSettings | None = None,
    *,
    interval_seconds: float = _HOUR,
    past: Past | None = None,
) -> Comparison:
    """Judge every column in windows of several spans that end together and share one budget of false alarms.

    Args:
        reference: as for ``compare``.
        windows: profiles on the reference's bins by their span in seconds, at least one.
        settings: of the judgement; the defaults when absent.
        interval_seconds: from one such judgement to the next.
        past: what scores reached in like windows of the past.

    Returns:
        Per column the judgement in the window whose score is highest in units of its threshold. Where no window holds
        enough rows, the longest one says so.
    """
    if not is_calibrated(reference):
        reference = calibrate(reference)
    settings = settings or DriftSettings()
    enough = [span for span, profile in windows.items() if profile.row_count >= settings.min_rows]
    budget = enough, interval_seconds, len(reference.profiled), settings.false_alarms_per_month
    chance, natural = error_rates(*budget), natural_rates(*budget)
    judges = [
        ColumnJudge(
            reference,
            windows[span],
            settings,
            span,
            ErrorRates(chance.get(span, 0.5), natural.get(span, 0.5)),
            past or {},
        )
        for span in (sorted(enough) or [max(windows)])
    ]
    columns, scores = [], {judge.span: dict[str, float]() for judge in judges}
    for profiled in reference.profiled:
        found = [judge.examine(profiled) for judge in judges]
        for judge, each in zip(judges, found, strict=True):
            if each.values is not None:
                scores[judge.span][profiled.column.column_name] = each.values.score
        judge, chosen = max(zip(judges, found, strict=True), key=lambda pair: (pair[1].ratio, pair[0].span))
        columns.append(judge.told(chosen))
    return Comparison(columns, scores)
