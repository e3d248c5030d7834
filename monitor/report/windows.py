"""Which windows the schedule asks a report of, and which of them have one."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

from driftline.monitor.settings import ReportSettings
from driftline.store.errors import ConfigurationError
from driftline.store.records import MICROSECONDS

Window = tuple[int, int]  # start (inclusive) and end, microseconds since the epoch


def report_cron(settings: ReportSettings) -> CronTrigger:
    """Return the report's schedule.

    Raises:
        ConfigurationError: the cron expression is malformed.
    """
    try:
        return CronTrigger.from_crontab(settings.schedule, timezone=UTC)
    except ValueError as error:
        raise ConfigurationError(
            f"schedule in [report] should be a cron expression of five fields, found {settings.schedule!r} ({error}): "
            "write for example `0 6 * * mon`"
        ) from error


def period(settings: ReportSettings) -> timedelta:
    """Return the longest of the next gaps between two reports: a cron expression need not be even."""
    return max(b - a for a, b in itertools.pairwise(_following(report_cron(settings), datetime.now(UTC), 8)))


def due_windows(settings: ReportSettings, now_us: int) -> list[Window]:
    """Return the windows that the newest scheduled times before now end, oldest first: ``catch_up`` and the newest."""
    cron, now = report_cron(settings), datetime.fromtimestamp(now_us / MICROSECONDS, UTC)
    wanted = settings.catch_up + 1
    ends = _between(cron, now - (wanted + 1) * period(settings), now)[-wanted:]
    span = round(settings.window_seconds * MICROSECONDS)
    return [(end - span, end) for end in (round(at.timestamp()) * MICROSECONDS for at in ends)]


def is_covered(due: Window, kept_ends: Sequence[int], settings: ReportSettings) -> bool:
    """Return whether a kept scheduled report stands for a due window: the one whose end is nearest to its own.

    So a schedule that moves by hours makes no second report of a week.

    Args:
        kept_ends: of the scheduled reports of the same version.
    """
    reach = period(settings) / 2 / timedelta(microseconds=1)
    return any(abs(end - due[1]) < reach for end in kept_ends)


def _following(cron: CronTrigger, at: datetime, count: int) -> list[datetime]:
    times: list[datetime] = []
    for _ in range(count):
        at = cron.get_next_fire_time(None, at)
        times.append(at)
        at += timedelta(seconds=1)
    return times


def _between(cron: CronTrigger, start: datetime, end: datetime) -> list[datetime]:
    """Return the scheduled times from ``start`` to ``end``, both included."""
    times: list[datetime] = []
    at = cron.get_next_fire_time(None, start)
    while at is not None and at <= end:
        times.append(at)
        at = cron.get_next_fire_time(None, at + timedelta(seconds=1))
    return times
