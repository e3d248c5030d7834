"""Which windows the schedule asks a report of, and which of them have one."""

import itertools
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

from driftline.monitor.settings import ReportSettings
from driftline.store.errors import ConfigurationError
from driftline.store.records import MICROSECONDS

Window = tuple[int, int]  # start (inclusive) and end, microseconds since the epoch
_MOST_TIMES = 200  # of a schedule that are looked at for its longest gap
_FARTHEST = timedelta(days=36_500)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERED_DAYS = re.compile(r"(?:\*|([0-7])(?:-([0-7]))?)(?:/([1-7]))?")


def report_cron(settings: ReportSettings) -> CronTrigger:
    """Return the report's schedule; its days by number are those of cron, 0 and 7 are Sunday.

    Raises:
        ConfigurationError: the cron expression is malformed, or there is no such day.
    """
    *others, day_of_week = settings.schedule.split() or [""]
    try:
        named = " ".join([*others, ",".join(map(_named_days, day_of_week.split(",")))])
        cron = CronTrigger.from_crontab(named, timezone=UTC)
        if cron.get_next_fire_time(None, datetime.now(UTC)) is None:
            raise ValueError("no such day ever comes")
    except ValueError as error:
        raise ConfigurationError(
            f"schedule in [report] should be a cron expression of five fields, found {settings.schedule!r} ({error}): "
            "write for example `0 6 * * mon`"
        ) from error
    return cron


def _named_days(part: str) -> str:
    """Return days of the week by their names, for the scheduler's own numbers begin with Monday; names stay."""
    found = _NUMBERED_DAYS.fullmatch(part)
    if found is None or part == "*":
        return part
    first, last, step = found.groups()
    if first is not None and last is None and step is None:
        return _DAYS[int(first) % 7]
    days = range(int(first or 0), int(last or 6) + 1, int(step or 1))
    return ",".join(_DAYS[day % 7] for day in days) or part


def period(settings: ReportSettings) -> timedelta:
    """Return the longest of the next gaps between two reports: a cron expression need not be even.

    Those of eight days are looked at, for a weekend may be the longest, and of eight reports at least.
    """
    cron, now = report_cron(settings), datetime.now(UTC)
    times = _following(cron, now, 8)
    while times[-1] < now + timedelta(days=8) and len(times) < _MOST_TIMES:
        times += _following(cron, times[-1] + timedelta(seconds=1), 8)
    return max(b - a for a, b in itertools.pairwise(times))


def due_windows(settings: ReportSettings, now_us: int) -> list[Window]:
    """Return the windows that the newest scheduled times before now end, oldest first: ``catch_up`` and the newest."""
    cron, now = report_cron(settings), datetime.fromtimestamp(now_us / MICROSECONDS, UTC)
    wanted = settings.catch_up + 1
    back = min((wanted + 1) * period(settings), _FARTHEST)
    while len(ends := _between(cron, now - back, now)) < wanted and back < _FARTHEST:
        back = min(2 * back, _FARTHEST)
    ends = ends[-wanted:]
    span = round(settings.window_seconds * MICROSECONDS)
    return [(end - span, end) for end in (round(at.timestamp()) * MICROSECONDS for at in ends)]


def is_covered(due: Window, kept_ends: Sequence[int], settings: ReportSettings) -> bool:
    """Return whether a kept scheduled report stands for a due window: the one whose end is nearest to its own.

    So a schedule that moves by hours makes no second report of a week.

    Args:
        kept_ends: of the scheduled reports of the same version.
    """
    at, span = datetime.fromtimestamp(due[1] / MICROSECONDS, UTC), period(settings)
    before = _between(report_cron(settings), at - span, at - timedelta(seconds=1))
    following = _following(report_cron(settings), at + timedelta(seconds=1), 1)
    earliest = at - (at - (before[-1] if before else at - span)) / 2
    latest = at + (following[0] - at) / 2
    low, high = (moment.timestamp() * MICROSECONDS for moment in (earliest, latest))
    return any(low < end < high for end in kept_ends)


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
