"""The segments of one column in any window, judged now: for the command."""

from dataclasses import dataclass

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.segments.judge import SegmentDrift, judge_segments, segment_budget
from driftline.monitor.segments.parts import ensure_segments, wanted_of
from driftline.monitor.watch import WatchedVersion
from driftline.store.errors import ConfigurationError
from driftline.store.profile.reference import Reference
from driftline.store.profile.segments import SegmentedReference
from driftline.store.records import MICROSECONDS, Arm
from driftline.store.references import newest_reference
from driftline.store.segments.settings import WantedSegments
from driftline.store.segments.windows import segment_window

_HOUR = 3600


@dataclass(frozen=True, slots=True)
class SegmentsNow:
    """The verdicts of one window, in the order in which segments are shown."""

    version: WatchedVersion
    arm: Arm
    window: tuple[int, int]  # microseconds since the epoch
    reference: Reference
    segmented: SegmentedReference
    drifts: list[SegmentDrift]

    @property
    def rows(self) -> int:
        """All rows of the window."""
        return sum(drift.rows for drift in self.drifts)


def segments_now(
    context: JobContext, version: WatchedVersion, arm: Arm, column: str, window: tuple[int, int]
) -> SegmentsNow:
    """Judge the segments of a column, which is one of ``[segments] columns``, in a window; the version has a reference.

    Raises:
        ConfigurationError: the column is not among these, or has no segments.
        ReferenceMissing: the reference lacks them, and there is no sample of its rows.
    """
    wanted = wanted_with(context, version, column)
    with context.engine.connect() as connection:
        found = newest_reference(connection, version.id)
    assert found is not None
    in_force = ensure_segments(context, version, found, wanted)
    (segmented,) = (each for each in in_force[1].segments if each.column.name == column)
    with context.engine.connect() as connection:
        profiles = segment_window(connection, version.stored, in_force, segmented.column, arm, *window)
    span = max(1, (window[1] - window[0]) // MICROSECONDS)
    settings = segment_budget(context.drift, context.segments, len(wanted))
    windows = {name: {span: profile} for name, profile in profiles.items()}
    drifts = judge_segments(in_force[1], segmented, windows, settings, interval_seconds=_HOUR)
    return SegmentsNow(version, arm, window, in_force[1], segmented, drifts)


def wanted_with(context: JobContext, version: WatchedVersion, column: str) -> list[WantedSegments]:
    """Return what the settings want of a version, the column among it.

    Raises:
        ConfigurationError: the column is not among ``[segments] columns``.
    """
    wanted = wanted_of(context.segments, version.identity.name, version.stored.columns)
    if column not in [each.name for each in wanted]:
        named = ", ".join(each.name for each in wanted) or "no input"
        raise ConfigurationError(
            f"{column} is not among [segments] columns, which names {named} of {version.identity.name}: write "
            f'`[segments] columns = ["{column}"]`, or set DRIFTLINE_SEGMENTS_COLUMNS={column}'
        )
    return wanted
