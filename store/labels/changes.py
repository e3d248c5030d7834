"""Which hours of a model version got labels since somebody last looked: what must be judged again, and nothing else."""

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from driftline.store import schema

HOUR_US = 3_600_000_000


class ChangedHour(NamedTuple):
    """An hour of requests whose labels changed.

    Attributes:
        arm: ``Arm`` as a number; a label is about every arm that scored its request.
        hour_us: start of the hour in which the requests were received, microseconds since the epoch.
    """

    arm: int
    hour_us: int


class Changes(NamedTuple):
    """What changed; ``until_us`` is what to ask from the next time."""

    hours: list[ChangedHour]
    until_us: int


def changed_hours(connection: Connection, version_id: int, since_us: int = 0) -> Changes:
    """Return the hours of a version's requests that got labels, or other values of labels, after ``since_us``.

    Nothing is missed and nothing is told twice when each call passes the ``until_us`` of the one before: labels get
    their ``received_at`` in the order of their commits. A label that says again what was known changes nothing.

    Args:
        version_id: key of ``model_version``.
        since_us: ``until_us`` of an earlier call; 0 for all.
    """
    i, label = schema.invocation.c, schema.label.c
    until_us = int(connection.scalar(select(func.max(label.received_at))) or 0)
    hour = (i.received_at - i.received_at % HOUR_US).label("hour")
    query = (
        select(i.arm, hour)
        .join(schema.label, label.invocation_id == i.id)
        .where((label.received_at > since_us) & (label.received_at <= until_us) & (i.model_version_id == version_id))
        .distinct()
        .order_by(i.arm, hour)
    )
    hours = [ChangedHour(int(arm), int(start)) for arm, start in connection.execute(query)]
    return Changes(hours, max(until_us, since_us))
