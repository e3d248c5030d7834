"""Verdicts by segment in the store: one row per segment and hour, with its open episode and the hour's scores."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Row, exists, insert, select, text

from driftline.monitor.drift.column_judge import Past
from driftline.monitor.drift.episodes import Episode
from driftline.monitor.drift.past_scores import HOURS
from driftline.monitor.rows.history_rows import like_windows, packed_scores
from driftline.monitor.segments.judge import SegmentDrift, columns_document
from driftline.store import schema
from driftline.store.profile_levels import HOUR_US
from driftline.store.records import MICROSECONDS, Arm

_LOCK = 0x6472_6966_746C_000B


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose verdicts: of a version and arm against a reference, by one column."""

    model_version_id: int
    reference_id: int
    arm: Arm
    segment_column: str


def lock_segments(connection: Connection) -> None:
    """Let no other monitor write verdicts by segment until the transaction ends; SQLite's ``writing`` does anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def is_judged(connection: Connection, owner: Owner, end_us: int) -> bool:
    """Whether windows that end then, or later, were judged."""
    return bool(connection.scalar(select(exists().where(_of(owner), schema.segment_result.c.window_end >= end_us))))


def open_segments(connection: Connection, owner: Owner) -> dict[str, Episode]:
    """Return the open episodes by segment: what the newest verdicts say, whichever reference they were against."""
    rows = newest_segments(connection, owner.model_version_id, owner.arm, [owner.segment_column])
    return {r.segment: Episode(r.since, r.near_at, r.judgements, r.peak) for r in rows if r.since is not None}


def past_segments(
    connection: Connection,
    owner: Owner,
    spans: Sequence[int],
    statistics: Mapping[str, Mapping[str, str]],
    end_us: int,
    episodes: Mapping[str, Episode],
) -> dict[str, Past]:
    """Return what like windows of the past scored, by segment; nothing is learned since an open episode began.

    Args:
        statistics: by segment and column, in the reference's order.
        episodes: open ones by segment.
    """
    t = schema.segment_result.c
    since = (t.window_end >= end_us - HOURS * HOUR_US) & (t.window_end < end_us)
    rows = defaultdict[str, list[tuple[int, str, bytes]]](list)
    for segment, *row in connection.execute(
        select(t.segment, t.window_end, t.spans, t.scores).where(_of(owner) & since & (t.spans != ""))
    ):
        rows[segment].append((row[0], row[1], row[2]))
    return {
        segment: like_windows(
            found, spans, statistics[segment], end_us,
            dict.fromkeys(statistics[segment], episodes[segment].opened_at_us) if segment in episodes else {},
        )
        for segment, found in rows.items()
        if segment in statistics
    }  # fmt: skip


def save_segments(
    connection: Connection,
    owner: Owner,
    drifts: Sequence[SegmentDrift],
    episodes: Mapping[str, Episode],
    statistics: Mapping[str, Mapping[str, str]],
    *,
    job_run_id: int,
    end_us: int,
    at_us: int,
) -> None:
    """Write the verdicts of the windows that end at ``end_us``, one row per segment; ``statistics`` as above."""
    rows = []
    for drift in drifts:
        worst, episode = drift.worst, episodes.get(drift.segment)
        rows.append({
            "model_version_id": owner.model_version_id,
            "job_run_id": job_run_id,
            "reference_id": owner.reference_id,
            "arm": owner.arm,
            "segment_column": owner.segment_column,
            "segment": drift.segment,
            "window_start": end_us - drift.window_seconds * MICROSECONDS,
            "window_end": end_us,
            "window_rows": worst.window_rows if worst else drift.rows,
            "reference_rows": drift.reference_rows,
            "side": worst.side if worst else None,
            "column_name": worst.name if worst else None,
            "statistic": worst.statistic if worst else None,
            "score": worst.score if worst else None,
            "threshold": worst.threshold if worst else None,
            "judged": drift.judged,
            "drifted": len(drift.drifted),
            "columns": orjson.dumps(columns_document(drift.drifted)).decode(),
            "verdict": drift.verdict,
            "reason": drift.reason,
            "since": episode.opened_at_us if episode else None,
            "near_at": episode.near_at_us if episode else None,
            "judgements": episode.judgements if episode else None,
            "peak": episode.peak if episode else None,
            **packed_scores(drift.scores, statistics.get(drift.segment, {})),
            "computed_at": at_us,
        })  # fmt: skip
    if rows:
        connection.execute(insert(schema.segment_result), rows)


def newest_segments(
    connection: Connection,
    model_version_id: int,
    arm: Arm,
    segment_columns: Sequence[str],
    within_us: tuple[int, int] | None = None,
) -> list[Row[Any]]:
    """Return the newest verdicts of one version and arm by some columns, column by column, in the order of segments.

    Args:
        within_us: start (exclusive) and end of the time in which the judged hour must have ended; None: any.
    """
    t, found = schema.segment_result, list[Row[Any]]()
    for column in segment_columns:
        mine = (t.c.model_version_id == model_version_id) & (t.c.arm == arm) & (t.c.segment_column == column)
        if within_us is not None:
            mine &= (t.c.window_end > within_us[0]) & (t.c.window_end <= within_us[1])
        newest = select(t.c.window_end, t.c.job_run_id).where(mine).order_by(t.c.window_end.desc(), t.c.id.desc())
        last = connection.execute(newest.limit(1)).one_or_none()
        if last is not None:
            same = (t.c.window_end == last.window_end) & (t.c.job_run_id == last.job_run_id)
            found += connection.execute(select(t).where(mine & same).order_by(t.c.id)).all()
    return found


def _of(owner: Owner) -> Any:
    t = schema.segment_result.c
    return (
        (t.model_version_id == owner.model_version_id) & (t.reference_id == owner.reference_id)
        & (t.arm == owner.arm) & (t.segment_column == owner.segment_column)
    )  # fmt: skip
