"""The option ``--since``: a span back from now, or a moment."""

import re
from datetime import UTC, datetime
from typing import Any

import click

from driftline.store.records import MICROSECONDS, now_us

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def span_seconds(text: str) -> float | None:
    """Return the seconds of a span like ``90m`` or ``30d``; None where it is none."""
    span = _SPAN.fullmatch(text)
    return None if span is None else float(span[1]) * _UNITS[span[2]]


class Since(click.ParamType[int]):
    """Reads ``24h``, ``7d`` or an ISO 8601 time (UTC where it names no zone) as microseconds since the epoch."""

    name = "span or time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        seconds = span_seconds(str(value))
        if seconds is not None:
            return now_us() - min(round(seconds * MICROSECONDS), now_us())
        try:
            moment = datetime.fromisoformat(str(value))
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return round(moment.timestamp() * MICROSECONDS)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a span like 24h, 7d, 90m nor a time like 2026-01-31T12:00:00Z", param, ctx)
