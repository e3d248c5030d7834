"""Labels whose requests were not known when they came: looked for again, at growing intervals, until they expire.

A request may be in a spool still, or its label may have been faster than the loader. A label that waits is tried after
a minute, then at intervals that grow with how long it has waited, an hour at most: many that wait cost little.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Engine, case, delete, select, update

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.errors import ConfigurationError
from driftline.store.labels import rows
from driftline.store.labels.loading import Batch, LabelReport, account, settle
from driftline.store.labels.record import Fate, Label
from driftline.store.labels.settings import LabelSettings
from driftline.store.labels.targets import Found, Targets
from driftline.store.partitions import DAY_US

_BATCH = 5_000
_LONGEST_WAIT_US = 3600 * 1_000_000


def match_pending(engine: Engine, settings: LabelSettings, now_us: int, *, all_of_them: bool = False) -> LabelReport:
    """Look for the requests of the labels whose time has come; return the fates of those that wait no more.

    Args:
        now_us: microseconds since the epoch.
        all_of_them: whether those are tried too whose time has not come.
    """
    report, last = LabelReport(), 0
    t = schema.pending_label
    while True:
        with writing(engine) as connection:
            at_us = rows.take_turn(connection)
            query = select(t).where(t.c.id > last).order_by(t.c.id).limit(_BATCH)
            waiting = connection.execute(query if all_of_them else query.where(t.c.next_try_at <= now_us)).all()
            for (model, key_column), alike in groupby(sorted(waiting, key=_kind), key=_kind):
                report.fates.update(_match(connection, settings, model, key_column, list(alike), now_us, at_us))
        if not waiting:
            return report
        last = waiting[-1].id


def _kind(row: Any) -> tuple[str, str]:
    return row.model_name, row.key_column


def _match(
    connection: Connection, settings: LabelSettings, model: str, key_column: str, waiting: Sequence[Any], now_us: int,
    at_us: int,
) -> dict[Fate, int]:  # fmt: skip
    batch = Batch({row.id: _label(row) for row in waiting}, [])
    try:
        settle(connection, Targets(connection, settings, model, key_column), batch, at_us)
    except ConfigurationError:  # the model is not known yet, or no more
        batch.found = {row.id: Found([], Fate.PENDING, model, row.value) for row in waiting}
        batch.fates = dict.fromkeys(batch.labels, Fate.PENDING)
    expired_us = now_us - round(settings.pending_days * DAY_US)
    for row in waiting:
        if batch.fates[row.id] is Fate.PENDING and row.received_at < expired_us:
            batch.fates[row.id] = Fate.EXPIRED
    t = schema.pending_label
    still = [n for n, fate in batch.fates.items() if fate is Fate.PENDING]
    waited = now_us - t.c.received_at
    pause = case((waited < rows.FIRST_TRY_US, rows.FIRST_TRY_US), (waited < _LONGEST_WAIT_US, waited),
                 else_=_LONGEST_WAIT_US)  # fmt: skip
    connection.execute(update(t).where(t.c.id.in_(still)).values(next_try_at=now_us + pause))
    batch.fates = {n: fate for n, fate in batch.fates.items() if fate is not Fate.PENDING}
    connection.execute(delete(t).where(t.c.id.in_(list(batch.fates))))
    return account(connection, batch, model, key_column, at_us)


def _label(row: Any) -> Label:
    return Label(row.key, bool(row.key_column), None if row.row_index == rows.NO_ROW else row.row_index, row.value,
                 row.event_at)  # fmt: skip
