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
    """Reads ``24h``, ``7d`` or an ISO 8601 time (UTC where it names no zone) as microseconds since the epoch.

    Args:
        before_now: whether a window begins there that ends now, so that it has to lie in the past.
    """

    name = "span or time"

    def __init__(self, *, before_now: bool = False) -> None:
        self._before_now = before_now

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        now, seconds = now_us(), span_seconds(str(value))
        try:
            at = _moment(str(value)) if seconds is None else now - min(round(seconds * MICROSECONDS), now)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a span like 24h, 7d, 90m nor a time like 2026-01-31T12:00:00Z", param, ctx)
        if self._before_now and at >= now:
            self.fail(
                f"{value!r} is not before now, where the window ends: name a span back, as 7d, or a past time",
                param,
                ctx,
            )
        return at


def _moment(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * MICROSECONDS)
