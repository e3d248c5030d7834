"""Judge a window of live data against the training reference: the same for the drift job and for the command."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from driftline.monitor.drift.column_judge import Past
from driftline.monitor.drift.compare import compare, compare_windows
from driftline.monitor.drift.movement import ColumnPicture, picture_of
from driftline.monitor.drift.ranking import ranked
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.verdict import ColumnDrift, Verdict
from driftline.monitor.drift.windows import span_name
from driftline.monitor.growing_windows import growing_windows
from driftline.monitor.watch import WatchedVersion
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile_rows import SPAN_US
from driftline.store.reads import window_profile
from driftline.store.records import MICROSECONDS, Arm, iso
from driftline.store.references import newest_reference


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdicts of one window: per column, inputs first, in the signature's order.

    Attributes:
        profiles: what was judged, by the spans of the windows in seconds.
    """

    version: WatchedVersion
    arm: Arm
    reference_id: int
    reference: Reference
    window: tuple[int, int]  # microseconds since the epoch, start inclusive, end exclusive
    rows: int
    drifts: list[ColumnDrift]
    profiles: Mapping[int, Profile] = field(repr=False)

    @property
    def ranked(self) -> list[ColumnDrift]:
        """The verdicts with what drifted most first, weighed by importance; in the signature's order without any."""
        return ranked(self.drifts, self.reference.importances)

    def importance(self, drift: ColumnDrift) -> float | None:
        """How much of what the model relies on an input is; None for outputs and where it is not known."""
        importances = self.reference.importances
        return None if not importances or drift.side == "output" else importances.get(drift.column_name, 0.0)

    def pictures(self) -> dict[str, ColumnPicture]:
        """Return what changed in each drifted column, by column name: in the window that decided."""
        drifted = {d.column_name: d.window_seconds for d in self.drifts if d.verdict is Verdict.DRIFT}
        return {
            profiled.column.column_name: picture_of(profiled, self.reference, self.profiles[span])
            for profiled in self.reference.profiled
            if (span := drifted.get(profiled.column.column_name)) is not None
        }


def judge(
    connection: Connection, version: WatchedVersion, arm: Arm, window: tuple[int, int], settings: DriftSettings
) -> Judgement | None:
    """Return the verdicts of one window; None where the store has no reference of the version.

    A window is whole profiles: its start moves back to the minute's, and the judgement says so.
    """
    found = newest_reference(connection, version.id)
    if found is None:
        return None
    reference_id, reference = found
    window = (_minute(window[0]), window[1])
    profile = window_profile(connection, version.id, reference_id, reference, arm, *window)
    # From minute to minute, as both ends are written: half a minute more would make `1h` a span of 61 minutes.
    span = (_minute(window[1]) - window[0]) // MICROSECONDS or max(1, (window[1] - window[0]) // MICROSECONDS)
    drifts = compare(reference, profile, settings, span_seconds=span)
    return Judgement(version, arm, reference_id, reference, window, profile.row_count, drifts, {span: profile})


@dataclass(frozen=True, slots=True)
class Pace:
    """How often windows are judged that end at ``now_us``, and what like ones of the past reached."""

    now_us: int
    interval_seconds: float
    past: Past


def judge_windows(
    connection: Connection,
    version: WatchedVersion,
    arm: Arm,
    in_force: tuple[int, Reference],
    settings: DriftSettings,
    pace: Pace,
) -> tuple[Judgement, dict[int, dict[str, float]]]:
    """Return the verdicts of the windows of all spans that end now, and every window's scores.

    Args:
        in_force: id and reference.

    Returns:
        The judgement of the longest window, with each column's verdict from the window that decides; and the scores
        by span in seconds and column name.
    """
    reference_id, reference = in_force
    profiles = growing_windows(connection, version.id, in_force, arm, settings.spans(), pace.now_us)
    compared = compare_windows(reference, profiles, settings, interval_seconds=pace.interval_seconds, past=pace.past)
    longest = max(profiles)
    window, rows = (_minute(pace.now_us - longest * MICROSECONDS), pace.now_us), profiles[longest].row_count
    judged = Judgement(version, arm, reference_id, reference, window, rows, compared.columns, profiles)
    return judged, compared.scores


def _minute(at_us: int) -> int:
    return at_us - at_us % SPAN_US


def document(judged: Judgement) -> dict[str, Any]:
    """Return the verdicts as JSON for machines: the same in `driftline drift --json` and in the report."""
    identity, pictures = judged.version.identity, judged.pictures()
    start, end = judged.window
    return {
        "model": identity.name,
        "version": identity.version,
        "arm": judged.arm.name.lower(),
        "window": {"start": iso(start), "end": iso(end), "rows": judged.rows},
        "reference": {
            "rows": judged.reference.row_count,
            "source": judged.reference.source,
            "made_at": iso(judged.reference.made_at_us),
            "importances_from": judged.reference.importances_from or None,
        },
        "columns": [
            {
                "column": d.name,
                "side": d.side,
                "kind": d.kind,
                "statistic": d.statistic,
                "score": d.score,
                "threshold": d.threshold,
                "effect": d.effect,
                "window": span_name(d.window_seconds),
                "rows": d.window_rows,
                "verdict": str(d.verdict),
                "reason": d.reason,
                "missing_share": d.missing_share,
                "reference_missing_share": d.reference_missing_share,
                "unseen_share": d.unseen_share,
                "out_of_range_share": d.out_of_range_share,
                "importance": judged.importance(d),
                "changed": pictures[d.column_name].to_json() if d.column_name in pictures else None,
            }
            for d in judged.ranked
        ],
    }
