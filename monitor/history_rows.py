"""The scores of past hours in the store: once an hour those of every span and column, packed."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Connection, insert, select

from driftline.monitor.drift.past_scores import PastLimit, like_hours, past_limits
from driftline.store import schema
from driftline.store.records import MICROSECONDS, Arm

_HOUR_US = 3600 * MICROSECONDS


class PastHours:
    """What one version and arm scored against one reference in the hours that are like the present one."""

    def __init__(
        self, connection: Connection, model_version_id: int, reference_id: int, arm: Arm, columns: Sequence[str]
    ) -> None:
        """``columns`` in the reference's order."""
        self._connection, self._columns = connection, list(columns)
        self._owner = {"model_version_id": model_version_id, "reference_id": reference_id, "arm": int(arm)}

    def limits(
        self, spans: Sequence[int], now_us: int, open_since_us: Mapping[str, int]
    ) -> dict[tuple[int, str], PastLimit]:
        """Return what like windows of the past reached, by span and column, where they are enough.

        Args:
            open_since_us: by column: nothing is learned from windows since an open episode began.
        """
        hour = now_us // _HOUR_US
        found = self._read(sorted({hour - back for span in spans for back in like_hours(span)}))
        return past_limits(found, spans, hour, {name: at_us // _HOUR_US for name, at_us in open_since_us.items()})

    def remember(self, now_us: int, scores: Mapping[int, Mapping[str, float]]) -> None:
        """Keep the scores of this hour, unless an earlier judgement of the hour has."""
        hour, spans = now_us // _HOUR_US, sorted(scores)
        if not spans or self._read([hour]):
            return
        table = [[scores[span].get(column, np.nan) for column in self._columns] for span in spans]
        self._connection.execute(insert(schema.drift_history).values(
            **self._owner, hour=hour * _HOUR_US, spans=",".join(map(str, spans)),
            scores=np.asarray(table, "<f4").tobytes(),
        ))  # fmt: skip

    def _read(self, hours: Sequence[int]) -> dict[int, dict[int, dict[str, float]]]:
        t = schema.drift_history
        query = select(t.c.hour, t.c.spans, t.c.scores).where(t.c.hour.in_([hour * _HOUR_US for hour in hours]))
        for name, value in self._owner.items():
            query = query.where(t.c[name] == value)
        read = {}
        for at_us, spans, raw in self._connection.execute(query):
            table = np.frombuffer(bytes(raw), "<f4").reshape(-1, len(self._columns)).tolist()
            read[at_us // _HOUR_US] = {
                int(span): {
                    name: score for name, score in zip(self._columns, row, strict=True) if not math.isnan(score)
                }
                for span, row in zip(spans.split(","), table, strict=True)
            }
        return read
