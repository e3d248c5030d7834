"""What is known of one arm of a version in a window: verdicts with pictures, and segments."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select

from driftline.monitor.beyond_columns_document import segments_document
from driftline.monitor.drift.movement import picture_of
from driftline.monitor.drift.verdict import ColumnDrift, Verdict
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.judge import Judgement, document, judge
from driftline.monitor.report.drift_report import verdict_of
from driftline.monitor.rows.segment_rows import newest_segments
from driftline.monitor.segments.parts import segment_names, whole_settings
from driftline.monitor.watch import WatchedVersion
from driftline.store import schema
from driftline.store.profile_rows import SPAN_US
from driftline.store.reads import count_rows
from driftline.store.records import Arm
from driftline.store.stored_rows import within

DRAWN = 12  # columns with their distribution on the summary
_MOST_PICTURES = 200  # of drifted columns, in a report's JSON


@dataclass(frozen=True)
class ArmFindings:
    """One arm in one window.

    Attributes:
        judged: None for a version without a reference.
        worst: its columns, what drifted most first; what could not be judged last.
        document: the same as JSON.
    """

    arm: Arm
    rows: int
    judged: Judgement | None
    worst: Sequence[ColumnDrift]
    document: dict[str, Any]


def arms_in(connection: Connection, version: WatchedVersion, window: tuple[int, int]) -> list[Arm]:
    """Return the arms under which a version had rows in a window, champion first; its usual one where it had none."""
    p = schema.profile.c
    arms = {Arm(arm) for arm in connection.scalars(_profiled(version, window).distinct().with_only_columns(p.arm))}
    if not arms:  # no reference, no profiles
        arms = {arm for arm in Arm if _row(connection, version, window, arm)}
    return sorted(arms) or [version.arms[0]]


def has_rows(connection: Connection, version: WatchedVersion, window: tuple[int, int]) -> bool:
    """Return whether a version had rows in a window, in whatever arm."""
    profiled = connection.execute(_profiled(version, window).limit(1)).first()
    return profiled is not None or any(_row(connection, version, window, arm) for arm in Arm)


def _profiled(version: WatchedVersion, window: tuple[int, int]) -> Select[tuple[int]]:
    p = schema.profile.c
    start = window[0] - window[0] % SPAN_US  # as the judgement takes it
    mine = (p.model_version_id == version.id) & (p.bucket_start >= start) & (p.bucket_start < window[1])
    return select(p.arm).where(mine)


def _row(connection: Connection, version: WatchedVersion, window: tuple[int, int], arm: Arm) -> bool:
    one = select(version.stored.table.c.row_index).where(within(version.stored, *window, arm)).limit(1)
    return connection.execute(one).first() is not None


def find_arm(
    context: JobContext, connection: Connection, version: WatchedVersion, arm: Arm, window: tuple[int, int]
) -> ArmFindings:
    """Judge one arm and gather what other jobs found of it in the window."""
    judged = judge(connection, version, arm, window, whole_settings(context, version))
    rows = judged.rows if judged else count_rows(connection, version.stored, *window, arm)
    worst = _worst_first(judged) if judged else []
    segments = newest_segments(connection, version.id, arm, segment_names(context, version), window)
    found = {
        "arm": arm.name.lower(),
        "rows": rows,
        "reference": None,
        "verdict": "no reference",
        "columns": [],
        "quality": [],  # these five are not of profiles alone: see ``window_checks``
        "multivariate": None,
        "performance": [],
        "segment_performance": [],
        "labels": None,
        "segments": segments_document(segments),
    }
    if judged is not None:
        drawn = document(judged)
        columns = _with_pictures(judged, worst, drawn["columns"])
        verdict = verdict_of(columns) if rows else "no rows"
        found |= {"reference": drawn["reference"], "columns": columns, "verdict": verdict}
    return ArmFindings(arm, rows, judged, worst, found)


def _with_pictures(
    judged: Judgement, worst: Sequence[ColumnDrift], entries: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the columns, worst first, with their scores in thresholds and the pictures of those that are shown."""
    by_key = {(entry["side"], entry["column"]): entry for entry in entries}
    profiled = {p.column.column_name: p for p in judged.reference.profiled}
    columns = []
    for place, drift in enumerate(worst):
        entry = by_key[drift.side, drift.name]
        ratio = drift.ratio
        entry["ratio"] = ratio if ratio is not None and math.isfinite(ratio) else None
        changed, entry["picture"] = entry.pop("changed"), None
        entry["words"] = changed["words"] if changed else []
        if judged.rows and (place < DRAWN or (changed and place < _MOST_PICTURES)):
            window = judged.profiles[drift.window_seconds]
            picture = picture_of(profiled[drift.column_name], judged.reference, window)
            entry["picture"] = picture.to_json()
        columns.append(entry)
    return columns


def _worst_first(judged: Judgement) -> list[ColumnDrift]:
    """Return drifted columns first, by importance where it is known, then what came nearest to its threshold."""
    is_ranked = bool(judged.reference.importances)

    def key(drift: ColumnDrift) -> tuple[int, float]:
        keep = drift.verdict is Verdict.DRIFT and is_ranked  # the sort is stable
        return drift.verdict.place, 0.0 if keep else -(drift.ratio or 0.0)

    return sorted(judged.ranked, key=key)
