"""How many of the predictions whose labels are due have one, and how long labels take."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from driftline.monitor.watch import WatchedVersion
from driftline.store.profile_windows import whole_buckets, window_buckets
from driftline.store.reads import count_rows
from driftline.store.references import newest_reference_id


@dataclass(frozen=True, slots=True)
class LabelCoverage:
    """Of one version and arm.

    Attributes:
        window: of the requests whose labels are due, microseconds since the epoch; it ends before those that are not.
        window_rows, labelled_rows: predictions in it, and those that have a label.
        event_delay: median and 95th percentile of the time from a request until its label became true, seconds, over
            all labelled rows of the widest window; None without any.
        arrival_delay: the same until the label came.
        last_event_us: when the newest label became true.
        unusable: labelled rows of the widest window that do not count in performance, by reason (``unusable``).
    """

    window: tuple[int, int]
    window_rows: int
    labelled_rows: int
    event_delay: tuple[float | None, float | None]
    arrival_delay: tuple[float | None, float | None]
    last_event_us: int
    unusable: Mapping[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """The labelled share; None where no prediction's label is due."""
        return min(self.labelled_rows / self.window_rows, 1.0) if self.window_rows else None


def predictions_in(connection: Connection, version: WatchedVersion, arm: int, start_us: int, end_us: int) -> int:
    """Return how many rows a version and arm answered in a window of whole minutes: from profiles, which cost no rows.

    Rows are counted where an edge falls into an hour, or a day, of which no finer profiles are kept. A version without
    a reference has no profiles; there all rows are counted.
    """
    if start_us >= end_us:
        return 0
    reference_id = newest_reference_id(connection, version.id)
    if reference_id is None:
        return count_rows(connection, version.stored, start_us, end_us, arm)
    profiles = version.id, reference_id, arm
    first, last = whole_buckets(connection, *profiles, start_us, end_us)
    if first > last:
        return count_rows(connection, version.stored, start_us, end_us, arm)
    rows = sum(bucket.row_count for bucket in window_buckets(connection, *profiles, first, last))
    for edge in ((start_us, first), (last, end_us)):
        if edge[0] < edge[1]:
            rows += count_rows(connection, version.stored, *edge, arm)
    return rows
