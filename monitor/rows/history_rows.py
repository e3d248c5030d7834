"""The scores of past hours in the store: once an hour those of every span and column, packed.

Beside them stands of which statistic they are: where settings, or another release, choose another one for a column, its
scores until then are no measure of those that come.
What is older than what thresholds look back upon goes when an hour comes, of all versions and references.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select

from driftline.monitor.drift.past_scores import HOURS, PastScores, past_scores
from driftline.store import schema
from driftline.store.records import MICROSECONDS, Arm

_HOUR_US = 3600 * MICROSECONDS
_STATISTICS = 0  # in a span's place: the row of the statistics that the scores are of


def packed_scores(scores: Mapping[int, Mapping[str, float]], statistics: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns ``spans`` and ``scores`` of a row, both empty without scores.

    Args:
        scores: by span in seconds and column.
        statistics: by column, in the reference's order.
    """
    spans = sorted(scores)
    table = [[scores[span].get(column, np.nan) for column in statistics] for span in spans]
    if spans:
        spans, table = [_STATISTICS, *spans], [_codes(statistics), *table]
    return {"spans": ",".join(map(str, spans)), "scores": np.asarray(table, "<f4").tobytes()}


def like_windows(
    rows: Iterable[Sequence[Any]],
    spans: Sequence[int],
    statistics: Mapping[str, str],
    now_us: int,
    open_since_us: Mapping[str, int],
) -> dict[tuple[int, str], PastScores]:
    """Return what like windows of the past scored, by span and column, where they are enough.

    Args:
        rows: hour, spans and scores of the last ``HOURS`` hours, as ``packed_scores`` made them; those of releases that
            did not say of which statistic they are count too.
        statistics: by column, in the reference's order: only scores of these are alike.
        open_since_us: by column: when an open episode began.
    """
    now, columns, codes = now_us // _HOUR_US, list(statistics), np.array(_codes(statistics), "<f4")
    history = np.full((HOURS, len(spans), len(columns)), np.nan)
    for hour, kept, packed in rows:
        table: NDArray[np.float32] = np.frombuffer(bytes(packed), "<f4").reshape(-1, len(columns))
        by_span = dict(zip(map(int, filter(None, kept.split(","))), table, strict=True))
        alike = by_span.pop(_STATISTICS, codes) == codes
        for span, scores in by_span.items():
            if span in spans:
                history[now - hour // _HOUR_US - 1, spans.index(span)] = np.where(alike, scores, np.nan)
    open_hours = [now - open_since_us.get(name, now_us) // _HOUR_US for name in columns]
    return past_scores(history, spans, columns, np.array(open_hours))


def _codes(statistics: Mapping[str, str]) -> list[float]:
    """Return a number for each name, small enough to be exact in 32 bits of a float."""
    return [float(zlib.crc32(name.encode()) % 2**20) for name in statistics.values()]


class PastHours:
    """What one version and arm scored against one reference, hour after hour."""

    def __init__(
        self,
        connection: Connection,
        model_version_id: int,
        reference_id: int,
        arm: Arm,
        statistics: Mapping[str, str],
    ) -> None:
        """``statistics`` that judge the columns now, by column in the reference's order."""
        self._connection, self._statistics = connection, statistics
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
        return like_windows(map(tuple, rows), spans, self._statistics, now_us, open_since_us)

    def remember(self, now_us: int, scores: Mapping[int, Mapping[str, float]]) -> None:
        """Keep the scores of this hour, unless an earlier judgement of the hour has."""
        t, hour = schema.drift_history, now_us // _HOUR_US * _HOUR_US
        kept = self._connection.scalar(select(exists().where(self._mine(), t.c.hour == hour)))
        if kept or not any(scores.values()):
            return
        self._connection.execute(delete(t).where(t.c.hour < hour - HOURS * _HOUR_US))
        self._connection.execute(insert(t).values(**self._owner, hour=hour, **packed_scores(scores, self._statistics)))

    def _mine(self) -> ColumnElement[bool]:
        t = schema.drift_history.c
        version, reference, arm = self._owner.values()
        return (t.model_version_id == version) & (t.reference_id == reference) & (t.arm == arm)
