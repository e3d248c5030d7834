"""The segments of one column in any window, judged now: for the command."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.segments.judge import SegmentDrift, judge_segments, segment_budget
from driftline.monitor.segments.parts import ensure_segments, wanted_of
from driftline.monitor.watch import WatchedVersion
from driftline.store.errors import ConfigurationError
from driftline.store.near_names import meant
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
        ConfigurationError: the column is no input, or not among ``[segments] columns``.
    """
    model, inputs = version.identity.name, [c.name for c in version.stored.columns if c.side == "input"]
    if column not in inputs:
        raise ConfigurationError(f"{model} has no input {column}: {meant(column, inputs)}")
    wanted = wanted_of(context.segments, model, version.stored.columns)
    if column not in [each.name for each in wanted]:
        raise ConfigurationError(
            f"{column} is not among [segments] columns: write {_with(context.segments.columns, column)}"
        )
    return wanted


def _with(columns: Sequence[str], column: str) -> str:
    """Return how to name a column beside those that the settings name."""
    named = [*columns, column]
    said = f"`[segments] columns = {json.dumps(named, ensure_ascii=False)}`"
    if any("," in each for each in named):  # a comma ends a name in the variable
        return said
    return f"{said}, or set DRIFTLINE_SEGMENTS_COLUMNS={shlex.quote(','.join(named))}"
