"""The drift job: per watched version and arm, the windows of all spans against the newest reference."""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from driftline.monitor.drift.calibration import calibrate, is_calibrated
from driftline.monitor.drift.column_judge import chosen_statistics
from driftline.monitor.drift.episodes import Episode, follow
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.verdict import ColumnDrift, Verdict
from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, each_version, without_reference
from driftline.monitor.judge import Judgement, Pace, judge_windows
from driftline.monitor.rows import results
from driftline.monitor.rows.episode_rows import WHOLE, Place, lock_episodes, open_episodes, save_episode
from driftline.monitor.rows.history_rows import PastHours
from driftline.monitor.rows.results import Result
from driftline.monitor.segments.parts import whole_settings
from driftline.monitor.watch import WatchedVersion
from driftline.store.engine import writing
from driftline.store.profile.reference import Reference
from driftline.store.records import Arm, iso
from driftline.store.references import newest_reference, replace_calibration

NAME = "drift"
_SIDES = ("input", "output")


def run(context: JobContext) -> JobReport:
    """Judge every watched version, follow its episodes of drift and write the verdicts to ``drift_result``."""
    return each_version(context, NAME, context.watched(), _check)


def _check(context: JobContext, version: WatchedVersion, run_id: int) -> Outcome:
    in_force = _reference_in_force(context, version)
    if in_force is None:
        return without_reference(version)
    return _outcome([_judge_arm(context, version, arm, in_force, run_id) for arm in version.arms])


def _reference_in_force(context: JobContext, version: WatchedVersion) -> tuple[int, Reference] | None:
    """Return the newest reference; one that an older release calibrated is calibrated anew, once."""
    with context.engine.connect() as connection:
        found = newest_reference(connection, version.id)
    if found is None or is_calibrated(found[1]):
        return found
    reference = calibrate(found[1])
    with writing(context.engine) as connection:
        replace_calibration(connection, found[0], reference)
    return found[0], reference


def _judge_arm(
    context: JobContext, version: WatchedVersion, arm: Arm, in_force: tuple[int, Reference], run_id: int
) -> Judgement:
    now, settings = context.clock(), whole_settings(context, version)
    names = {column.column_name: (column.side, column.name) for column in in_force[1].columns}
    owner = version.id, in_force[0], arm, chosen_statistics(in_force[1], settings)
    with context.engine.connect() as connection:
        before = open_episodes(connection, version.id, arm)
        hours = PastHours(connection, *owner)
        open_since = {name: before[place].opened_at_us for name, place in names.items() if place in before}
        pace = Pace(now, context.monitor.drift_interval_seconds, hours.like(settings.spans(), now, open_since))
        judged, scores = judge_windows(connection, version, arm, in_force, settings, pace)
    with writing(context.engine) as connection:
        lock_episodes(connection)
        before = open_episodes(connection, version.id, arm)  # another monitor may have judged meanwhile
        after = _columns_after(judged.drifts, before, now, settings)
        judged = replace(judged, drifts=[_told(d, after.get((d.side, d.name)), settings) for d in judged.drifts])
        after |= _sides_after(judged.drifts, before, now, context.monitor.drift_share_threshold)
        for place in sorted(before.keys() | after.keys()):
            save_episode(connection, version.id, arm, place, before.get(place), after.get(place), now)
        PastHours(connection, *owner).remember(now, scores)
        _save(connection, judged, run_id, now, after)
    return judged


def _columns_after(
    drifts: list[ColumnDrift], before: Mapping[Place, Episode], now_us: int, settings: DriftSettings
) -> dict[Place, Episode]:
    after = {}
    for d in drifts:
        episode = follow(before.get((d.side, d.name)), d.ratio, now_us, settings)
        if episode is not None:
            after[d.side, d.name] = episode
    return after


def _told(drift: ColumnDrift, episode: Episode | None, settings: DriftSettings) -> ColumnDrift:
    """Return the verdict of a column whose episode is open: it stays drift until the episode closes."""
    if episode is None or drift.verdict is not Verdict.NO_DRIFT:
        return drift
    hours = f"{settings.close_after_seconds / 3600:g} h"
    said = f"drift since {iso(episode.opened_at_us)}, over when {hours} stay under {settings.close_ratio:.0%} of it"
    return replace(drift, verdict=Verdict.DRIFT, reason=f"{drift.reason}; {said}")


def _sides_after(
    drifts: list[ColumnDrift], before: Mapping[Place, Episode], now_us: int, share_threshold: float
) -> dict[Place, Episode]:
    """Return the episodes of the sides as wholes, which open and close with their columns'."""
    after = {}
    for side in _SIDES:
        place, judged = (side, WHOLE), [d for d in drifts if d.side == side and d.score is not None]
        episode = before.get(place)
        drifted = [d for d in judged if d.verdict is Verdict.DRIFT]
        if results.is_drifted(len(drifted), len(judged), share_threshold):
            peak = max(d.ratio or 0.0 for d in drifted)
            earlier = episode or Episode(now_us, now_us, 0, 0.0)
            after[place] = Episode(earlier.opened_at_us, now_us, earlier.judgements + 1, max(earlier.peak, peak))
        elif episode is not None and not judged:
            after[place] = episode
    return after


def _save(
    connection: Connection, judged: Judgement, run_id: int, now_us: int, episodes: Mapping[Place, Episode]
) -> None:
    results.save_drift(
        connection,
        judged.drifts,
        job_run_id=run_id,
        model_version_id=judged.version.id,
        reference_id=judged.reference_id,
        arm=judged.arm,
        at_us=now_us,
        since_us={place: episode.opened_at_us for place, episode in episodes.items()},
        pictures=judged.pictures(),
        importances={d.column_name: judged.importance(d) for d in judged.drifts},
    )


def _outcome(found: list[Judgement]) -> Outcome:
    said = []
    for each in found:
        drifted = [d.name for d in each.ranked if d.verdict == "drift"]
        arm = f" ({each.arm.name.lower()})" if len(found) > 1 else ""
        verdict = f"drift in {', '.join(drifted) if drifted else 'no column'}"
        said.append(f"{each.rows} rows{arm}, {verdict if _is_judged(each) else 'too few for a verdict'}")
    judged = any(map(_is_judged, found))
    return Outcome(Result.SUCCESS if judged else Result.INSUFFICIENT_DATA, "; ".join(said))


def _is_judged(judgement: Judgement) -> bool:
    return any(d.score is not None for d in judgement.drifts)
