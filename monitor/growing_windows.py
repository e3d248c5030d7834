"""Windows of several lengths that end together, each the one before and what came earlier."""

from collections.abc import Iterable

from sqlalchemy import Connection

from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile_rows import SPAN_US
from driftline.store.reads import window_profile
from driftline.store.records import MICROSECONDS, Arm


def growing_windows(
    connection: Connection,
    model_version_id: int,
    in_force: tuple[int, Reference],
    arm: Arm,
    spans: Iterable[int],
    end_us: int,
) -> dict[int, Profile]:
    """Return the windows' profiles by their spans in seconds; each stored profile is read once.

    Args:
        in_force: id and reference.
        spans: in seconds; a window that begins within a minute holds that minute whole.
        end_us: of all windows.
    """
    reference_id, reference = in_force
    profiles: dict[int, Profile] = {}
    total, end = reference.empty_profile(), end_us
    for span in sorted(spans):
        start = end_us - span * MICROSECONDS
        start -= start % SPAN_US
        total += window_profile(connection, model_version_id, reference_id, reference, arm, start, end)
        profiles[span], end = total + reference.empty_profile(), start
    return profiles
