"""The scores of past hours in the store: once an hour those of every span and column, packed.

What is older than what thresholds look back upon goes when an hour comes, of all versions and references.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select

from driftline.monitor.drift.past_scores import HOURS, PastScores, past_scores
from driftline.store import schema
from driftline.store.records import MICROSECONDS, Arm

_HOUR_US = 3600 * MICROSECONDS


def packed_scores(scores: Mapping[int, Mapping[str, float]], columns: Sequence[str]) -> dict[str, Any]:
    """Return the columns ``spans`` and ``scores`` of a row.

    Args:
        scores: by span in seconds and column.
        columns: in the reference's order.
    """
    spans = sorted(scores)
    table = [[scores[span].get(column, np.nan) for column in columns] for span in spans]
    return {"spans": ",".join(map(str, spans)), "scores": np.asarray(table, "<f4").tobytes()}


def like_windows(
    rows: Iterable[Sequence[Any]],
    spans: Sequence[int],
    columns: Sequence[str],
    now_us: int,
    open_since_us: Mapping[str, int],
) -> dict[tuple[int, str], PastScores]:
    """Return what like windows of the past scored, by span and column, where they are enough.

    Args:
        rows: hour, spans and scores of the last ``HOURS`` hours, as ``packed_scores`` made them.
        open_since_us: by column: when an open episode began.
    """
    now = now_us // _HOUR_US
    history = np.full((HOURS, len(spans), len(columns)), np.nan)
    for hour, kept, packed in rows:
        table: NDArray[np.float32] = np.frombuffer(bytes(packed), "<f4").reshape(-1, len(columns))
        for span, scores in zip(map(int, filter(None, kept.split(","))), table, strict=True):
            if span in spans:
                history[now - hour // _HOUR_US - 1, spans.index(span)] = scores
    open_hours = [now - open_since_us.get(name, now_us) // _HOUR_US for name in columns]
    return past_scores(history, spans, columns, np.array(open_hours))


class PastHours:
    """What one version and arm scored against one reference, hour after hour."""

    def __init__(
        self, connection: Connection, model_version_id: int, reference_id: int, arm: Arm, columns: Sequence[str]
    ) -> None:
        """``columns`` in the reference's order."""
        self._connection, self._columns = connection, list(columns)
        self._owner = {"model_version_id": model_version_id, "reference_id": reference_id, "arm": int(arm)}

    def like(
        self, spans: Sequence[int], now_us: int, open_since_us: Mapping[str, int]
    ) -> dict[tuple[int, str], PastScores]:
        """Return what like windows of the past scored, by span and column, where they are enough.

        Args:
            open_since_us: by column: when an open episode began.
        """
        now, t = now_us // _HOUR_US, schema.drift_history
        past = (t.c.hour >= (now - HOURS) * _HOUR_US) & (t.c.hour < now * _HOUR_US)
        rows = self._connection.execute(select(t.c.hour, t.c.spans, t.c.scores).where(self._mine(), past))
        return like_windows(map(tuple, rows), spans, self._columns, now_us, open_since_us)

    def remember(self, now_us: int, scores: Mapping[int, Mapping[str, float]]) -> None:
        """Keep the scores of this hour, unless an earlier judgement of the hour has."""
        t, hour = schema.drift_history, now_us // _HOUR_US * _HOUR_US
        kept = self._connection.scalar(select(exists().where(self._mine(), t.c.hour == hour)))
        if kept or not any(scores.values()):
            return
        self._connection.execute(delete(t).where(t.c.hour < hour - HOURS * _HOUR_US))
        self._connection.execute(insert(t).values(**self._owner, hour=hour, **packed_scores(scores, self._columns)))

    def _mine(self) -> ColumnElement[bool]:
        t = schema.drift_history.c
        version, reference, arm = self._owner.values()
        return (t.model_version_id == version) & (t.reference_id == reference) & (t.arm == arm)
