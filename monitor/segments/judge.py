"""Judge each segment against the same segment of the training data, all of a model within one budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from driftline.monitor.drift.column_judge import Past
from driftline.monitor.drift.compare import compare_windows
from driftline.monitor.drift.ranking import ranked
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.verdict import ColumnDrift, Verdict
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile.segments import SegmentedReference
from driftline.store.segments.settings import SegmentSettings


@dataclass(frozen=True, slots=True)
class SegmentDrift:
    """The judgement of one segment.

    Attributes:
        column: that tells segments apart, as the signature names it.
        rows: of the longest window; ``reference_rows`` of training in the same segment.
        verdict: drift where any column of the segment drifted.
        reason: one sentence for an operator.
        worst: the column that moved most in units of its threshold; None where none was judged.
        drifted: the columns that drifted, in the order in which people should read them.
        judged: how many columns have a verdict.
        window_seconds: of the window that decided.
        scores: by span in seconds and column name.
    """

    column: str
    segment: str
    rows: int
    reference_rows: int
    verdict: Verdict
    reason: str
    worst: ColumnDrift | None
    drifted: tuple[ColumnDrift, ...]
    judged: int
    window_seconds: int
    scores: Mapping[int, Mapping[str, float]] = field(default_factory=dict, repr=False)

    @property
    def ratio(self) -> float | None:
        """The worst score in units of its threshold; None without a verdict."""
        return None if self.worst is None else self.worst.ratio


def whole_budget(drift: DriftSettings, segments: SegmentSettings, columns: int) -> DriftSettings:
    """Return the settings with what segments of so many columns leave of the budget to the model as a whole."""
    share = 1 - segments.budget_share if columns else 1.0
    return replace(drift, false_alarms_per_month=drift.false_alarms_per_month * share)


def segment_budget(drift: DriftSettings, segments: SegmentSettings, columns: int) -> DriftSettings:
    """Return the settings with what the segments of one of so many columns have of the budget, together."""
    share = segments.budget_share / max(columns, 1)
    return replace(drift, false_alarms_per_month=drift.false_alarms_per_month * share)


def judge_segments(
    whole: Reference,
    segmented: SegmentedReference,
    windows: Mapping[str, Mapping[int, Profile]],
    settings: DriftSettings,
    *,
    interval_seconds: float,
    past: Mapping[str, Past] | None = None,
) -> list[SegmentDrift]:
    """Judge the segments of one column that had rows, live or in training, in the order in which they are shown.

    Args:
        whole: the reference of all rows.
        segmented: its rows by segment, calibrated.
        windows: profiles by segment and span in seconds.
        settings: of the judgement; its budget is that of all these segments, in equal parts for those that hold enough
            rows: each part is then shared by spans and columns.
        interval_seconds: from one such judgement to the next.
        past: what scores reached in like windows, by segment.
    """
    span = max((span for spans in windows.values() for span in spans), default=3600)
    nothing = {span: whole.empty_profile()}
    found = [name for name in segmented.column.segments if name in windows or name in segmented.parts]
    held = {name: windows.get(name, nothing) for name in found}
    enough = [name for name in found if _refusal(segmented, name, held[name], settings) is None]
    each = replace(settings, false_alarms_per_month=settings.false_alarms_per_month / max(len(enough), 1))
    return [
        _judge(whole, segmented, name, held[name], each, interval_seconds, (past or {}).get(name, {}))
        for name in found
    ]  # fmt: skip


def _refusal(
    segmented: SegmentedReference, name: str, windows: Mapping[int, Profile], settings: DriftSettings
) -> str | None:
    part = segmented.parts.get(name)
    if part is None:
        return "no training rows in this segment to compare with"
    if part.rows < settings.min_rows:
        return f"{part.rows:,} training rows in this segment, a verdict needs {settings.min_rows:,}"
    rows = max(profile.row_count for profile in windows.values())
    if rows < settings.min_rows:
        return f"{rows:,} rows in this segment, a verdict needs {settings.min_rows:,}"
    return None


def _judge(
    whole: Reference,
    segmented: SegmentedReference,
    name: str,
    windows: Mapping[int, Profile],
    settings: DriftSettings,
    interval_seconds: float,
    past: Past,
) -> SegmentDrift:
    longest, part = max(windows), segmented.parts.get(name)
    rows, trained = windows[longest].row_count, part.rows if part else 0
    refusal, reference = _refusal(segmented, name, windows, settings), segmented.reference(whole, name)
    told = segmented.column.name, name, rows, trained
    if refusal is not None or reference is None:
        return SegmentDrift(*told, Verdict.INSUFFICIENT_DATA, refusal or "", None, (), 0, longest)
    compared = compare_windows(reference, windows, settings, interval_seconds=interval_seconds, past=past)
    judged = [drift for drift in compared.columns if drift.score is not None]
    drifted = [drift for drift in judged if drift.verdict is Verdict.DRIFT]
    worst = max(judged, key=lambda drift: drift.ratio or 0.0, default=None)
    if worst is None:
        return SegmentDrift(*told, Verdict.INSUFFICIENT_DATA, "no column could be judged", None, (), 0, longest)
    verdict = Verdict.DRIFT if drifted else Verdict.NO_DRIFT
    first = tuple(ranked(drifted, whole.importances))
    return SegmentDrift(
        *told, verdict, worst.reason, worst, first, len(judged), worst.window_seconds, compared.scores
    )  # fmt: skip


def columns_document(drifted: tuple[ColumnDrift, ...]) -> list[dict[str, Any]]:
    """Return drifted columns as JSON for machines and for the store."""
    return [
        {
            "column": drift.name, "side": drift.side, "statistic": drift.statistic, "score": drift.score,
            "threshold": drift.threshold, "window_seconds": drift.window_seconds, "reason": drift.reason,
        }
        for drift in drifted
    ]  # fmt: skip
