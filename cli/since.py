"""The option ``--since``: a span back from now, or a moment."""

import re
from datetime import UTC, datetime
from typing import Any

import click

from driftline.store.records import MICROSECONDS, now_us

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


class Since(click.ParamType[int]):
    """Reads ``24h``, ``7d`` or an ISO 8601 time (UTC where it names no zone) as microseconds since the epoch."""

    name = "span or time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if span := _SPAN.fullmatch(str(value)):
            seconds = float(span[1]) * _UNITS[span[2]]
            return now_us() - min(round(seconds * MICROSECONDS), now_us())
        try:
            moment = datetime.fromisoformat(str(value))
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return round(moment.timestamp() * MICROSECONDS)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a span like 24h, 7d, 90m nor a time like 2026-01-31T12:00:00Z", param, ctx)
