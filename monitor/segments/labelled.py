"""Labelled rows of hours whose labels changed, told apart by the segments of a column.

Invariants
----------
- Only hours whose labels changed are read; labels that come late have their own hours counted anew, and no others.
- What is kept was counted for one task; where another is told, the column's hours are counted anew.
- A labelled row is in exactly one segment of each column.
"""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, Engine

from driftline.monitor.performance.hour import LabelledHour, empty_hour, reduced
from driftline.monitor.performance.task import Task
from driftline.monitor.rows import segment_performance_rows as rows
from driftline.monitor.watch import WatchedVersion
from driftline.store.engine import writing
from driftline.store.labels.changes import changed_hours
from driftline.store.labels.labelled_rows import chosen_rows, labelled_hour
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile.segments import SegmentedColumn
from driftline.store.records import MICROSECONDS
from driftline.store.stored_rows import holding_column


def count_labels_by_segment(
    engine: Engine, version: WatchedVersion, task: Task, columns: Sequence[SegmentedColumn]
) -> int:
    """Count the hours whose labels changed since the last time by these columns, and let go what others counted.

    Returns:
        How many hours were read.
    """
    with engine.connect() as connection:
        before, counted = rows.segment_progress(connection, version.id), []
        for column in columns:
            known = before.get(column.spec)
            anew = known is None or known.task != task
            changes = changed_hours(connection, version.id, 0 if known is None or anew else known.labels_until_us)
            if changes.hours or anew:
                hours = {
                    hour: count_hour_by_segment(connection, version.stored, task, column, hour.arm, hour.hour_us)
                    for hour in changes.hours
                }
                counted.append((column.spec, hours, rows.SegmentProgress(changes.until_us, task), anew))
    specs = [column.spec for column in columns]
    if counted or set(before) - set(specs):
        with writing(engine) as connection:
            rows.let_go_of_other_segments(connection, version.id, specs)
            for spec, hours, progress, anew in counted:
                rows.save_segment_hours(connection, version.id, spec, hours, progress, anew=anew)
    return len({hour for _, hours, _, _ in counted for hour in hours})


def count_hour_by_segment(
    connection: Connection, version: ModelVersion, task: Task, column: SegmentedColumn, arm: int, hour_us: int
) -> dict[str, LabelledHour]:
    """Return what the labelled rows of an hour add up to, by segment, read from the rows themselves."""
    wanted = list(dict.fromkeys([*task.columns, holding_column(version, column.column_name)]))
    found: dict[str, LabelledHour] = {}
    for place, part in enumerate(labelled_hour(connection, version, arm, hour_us, wanted)):
        places = column.places(part.columns.get(column.column_name), len(part.labels))
        for each in np.unique(places).tolist():
            hour = found.setdefault(column.segments[each], empty_hour(task))
            hour.add(reduced(task, chosen_rows(part, np.flatnonzero(places == each)), hour_us // MICROSECONDS + place))
    return found
