"""All findings on the quality of one version's rows in one arm."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from driftline.monitor.drift.windows import error_rates
from driftline.monitor.growing_windows import growing_windows
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.judge import Judgement
from driftline.monitor.quality.coerced import coerced_findings
from driftline.monitor.quality.columns import CHECKS_PER_COLUMN, ColumnChecks
from driftline.monitor.quality.duplicates import duplicates_finding
from driftline.monitor.quality.finding import QualityFinding
from driftline.monitor.quality.hourly_rows import first_hour, hourly_rows
from driftline.monitor.quality.volume import MOST_WEEKS, WEEK_HOURS, volume_finding
from driftline.monitor.training.reference_sample import read_sample
from driftline.monitor.watch import WatchedVersion, find_version
from driftline.store import schema
from driftline.store.errors import MlflowUnreachable
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile_levels import HOUR, HOUR_US, floor
from driftline.store.reads import sample_rows
from driftline.store.records import MICROSECONDS, Arm
from driftline.store.references import newest_reference_id
from driftline.store.retention.settings import RetentionSettings

if TYPE_CHECKING:
    import pandas as pd

_CHECKS_OF_ROWS = 2  # duplicates and volume
_SETTLED_US = 600 * MICROSECONDS  # after its end an hour is taken to be loaded
_ANSWERING = (Arm.CHAMPION, Arm.CANARY)


def examine(
    context: JobContext, version: WatchedVersion, arm: Arm, in_force: tuple[int, Reference], spans: Sequence[int]
) -> list[QualityFinding]:
    """Look at windows that end now, with and without their rows.

    Args:
        in_force: id and reference.
        spans: of the windows, in seconds. Of each check the window that shows most decides; coerced cells and duplicate
            rows are those of the longest, volume is the last whole hour's.

    Returns:
        Columns first, in the signature's order; what is about the rows as a whole last.
    """
    settings, now, longest = context.quality, context.clock(), max(spans)
    checks = CHECKS_PER_COLUMN * len(in_force[1].profiled) + _CHECKS_OF_ROWS
    with context.engine.connect() as connection:
        profiles = growing_windows(connection, version.id, in_force, arm, spans, now)
        enough = [span for span, profile in profiles.items() if profile.row_count >= settings.min_rows]
        rates = error_rates(enough, settings.interval_seconds, checks, settings.false_alarms_per_month)
        found = _of_columns(context, in_force[1], profiles, rates)
        hours = (floor(now - longest * MICROSECONDS, HOUR), now)
        whole_hours_end = -(-now // HOUR_US) * HOUR_US
        rows = int(hourly_rows(connection, [in_force[0]], [arm], hours[0], whole_hours_end).sum())
        found += coerced_findings(connection, version.stored, arm, hours, rows, settings)
        if settings.volume_weeks and arm is Arm.CHAMPION and _is_current(connection, version):
            (rate,) = error_rates([HOUR], HOUR, checks, settings.false_alarms_per_month).values()
            found += _volume(context, connection, version, rate)
    if settings.sample_rows:
        window = (now - longest * MICROSECONDS, now)
        rate = rates.get(longest, 0.5)
        found.append(_duplicates(context, version, arm, in_force[1], window, rate))
    return found


def examine_judged(context: JobContext, judged: Judgement) -> list[QualityFinding]:
    """Examine the rows that were judged: windows begin at whole minutes, and one more may be another's rows."""
    start, end = judged.window
    span = -(-(end - start) // MICROSECONDS)  # rounded up: the newest rows belong to it
    same_rows = replace(context, clock=lambda: start + span * MICROSECONDS)
    return examine(same_rows, judged.version, judged.arm, (judged.reference_id, judged.reference), [span])


def _of_columns(
    context: JobContext, reference: Reference, profiles: dict[int, Profile], rates: dict[int, float]
) -> list[QualityFinding]:
    now, by_span = context.clock(), []
    for span in sorted(rates) or [max(profiles)]:
        window = (now - span * MICROSECONDS, now)
        by_span.append(ColumnChecks(reference, profiles[span], context.quality, window, rates.get(span, 0.5)))
    return [_most(found) for found in zip(*(checks.findings() for checks in by_span), strict=True)]


def _most(found: Iterable[QualityFinding]) -> QualityFinding:
    """Return the finding that decides; among equals that of the longest window."""
    return max(found, key=lambda f: (f.ratio, f.window[1] - f.window[0]))


def _is_current(connection: Connection, version: WatchedVersion) -> bool:
    return find_version(connection, version.identity.name, 0).id == version.id


def _volume(
    context: JobContext, connection: Connection, version: WatchedVersion, error_rate: float
) -> list[QualityFinding]:
    """Judge the last whole hour of the model, whichever versions answered."""
    end = floor(context.clock() - _SETTLED_US, HOUR)
    start = end - HOUR_US
    v = schema.model_version.c
    ids = connection.scalars(select(v.id).where(v.name == version.identity.name)).all()
    references = [r for r in (newest_reference_id(connection, id_) for id_ in ids) if r is not None]
    first = first_hour(connection, references)
    if first is None or first > start:
        return []
    weeks = min(_weeks_kept(context.retention), (start - first) // HOUR_US // WEEK_HOURS)
    since = start - weeks * WEEK_HOURS * HOUR_US
    hours = hourly_rows(connection, references, _ANSWERING, since, end)
    return [volume_finding(int(hours[-1]), hours[:-1], (start, end), context.quality, error_rate)]


def _weeks_kept(retention: RetentionSettings) -> int:
    kept = [days for days in (retention.keep_hour_profile_days, retention.keep_profile_days) if days]
    return min([MOST_WEEKS, *(int(days // 7) for days in kept)])


def _duplicates(
    context: JobContext,
    version: WatchedVersion,
    arm: Arm,
    reference: Reference,
    window: tuple[int, int],
    error_rate: float,
) -> QualityFinding:
    settings = context.quality
    with context.engine.connect() as connection:
        live = sample_rows(connection, version.stored, *window, settings.sample_rows, arm)
    live.columns = [c.column_name for c in version.stored.columns]
    inputs = [c.column_name for c in version.stored.columns if c.side == "input"]
    training = training_sample(context, version, reference)
    return duplicates_finding(live, training, inputs, window, settings, error_rate)


def training_sample(context: JobContext, version: WatchedVersion, reference: Reference) -> "pd.DataFrame | None":
    """Return the sample of the training rows by column name; None where it is nowhere, or in an MLflow that is away."""
    try:
        return read_sample(context.home, context.link, version.identity, reference)
    except MlflowUnreachable:
        return None
