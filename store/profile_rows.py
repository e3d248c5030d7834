"""Add rows to the stored profiles, in the transaction that stores the rows.

Invariants
----------
- One stored profile per model version, reference, arm, minute and writer; its count is that of the rows stored with it.
- A profile kept in memory is used again only where the store still holds what was written from it; after a failed
  transaction ``forget`` drops all of them.
- A minute that has been rolled up begins anew: it is locked while rows are added to it, so that none is added to what
  is rolled up meanwhile.
- Loaders share ``lock_loading``, a backfill takes it alone: rows are in a profile or counted by the backfill, never
  both.
- A damaged reference or profile stops no row: rows go on without it, ``store verify`` shows what lacks, and the next
  reference recomputes all.
"""

import logging
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select, text, update

from driftline.store import schema
from driftline.store.errors import ProfileCorrupt, ReferenceCorrupt
from driftline.store.payload.typed_cells import Column
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.references import newest_reference_id, reference_by_id

_log = logging.getLogger(__name__)

SPAN_SECONDS = 60
SPAN_US = SPAN_SECONDS * 1_000_000
_LOCK = 0x6472_6966_746C_0004
_KEPT_PROFILES = 64

# model version, reference, arm, bucket start
Key = tuple[int, int, int, int]


def lock_loading(connection: Connection, *, alone: bool) -> None:
    """Hold the loaders' lock until the transaction ends; SQLite's ``writing`` excludes all others anyway."""
    if connection.dialect.name == "postgresql":
        function = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        connection.execute(text(f"SELECT {function}(:key)"), {"key": _LOCK})


class ProfileRows:
    """Adds up the profiles of one writer, which is a spool."""

    def __init__(self, writer: str) -> None:
        self._writer = writer
        self._references: dict[int, tuple[int, Reference | None]] = {}
        self._profiles: OrderedDict[Key, Profile] = OrderedDict()

    def add(
        self,
        connection: Connection,
        version: ModelVersion,
        columns: Mapping[str, Column],
        received_at: NDArray[np.int64],
        arms: NDArray[np.int16],
    ) -> None:
        """Count rows into their minutes; nothing happens where the version has no reference yet."""
        if not len(received_at):
            return
        in_force = self._reference(connection, version.id)
        if in_force is None:
            return
        reference_id, reference = in_force
        for arm, minute, rows in split(received_at, arms):
            key = (version.id, reference_id, arm, minute)
            part = columns if rows is None else {name: column[rows] for name, column in columns.items()}
            self._add(connection, key, reference, part, len(received_at) if rows is None else len(rows))
        while len(self._profiles) > _KEPT_PROFILES:
            self._profiles.popitem(last=False)

    def forget(self) -> None:
        """Drop what is kept in memory: the transaction it was written in has failed."""
        self._profiles.clear()

    def _reference(self, connection: Connection, model_version_id: int) -> tuple[int, Reference] | None:
        newest = newest_reference_id(connection, model_version_id)
        if newest is None:
            return None
        if self._references.get(model_version_id, (None,))[0] != newest:
            self._references[model_version_id] = (newest, _readable_reference(connection, newest))
        reference = self._references[model_version_id][1]
        return None if reference is None else (newest, reference)

    def _add(
        self, connection: Connection, key: Key, reference: Reference, columns: Mapping[str, Column], rows: int
    ) -> None:
        t = schema.profile
        mine = (
            (t.c.model_version_id == key[0]) & (t.c.reference_id == key[1]) & (t.c.arm == key[2])
            & (t.c.bucket_start == key[3]) & (t.c.span_seconds == SPAN_SECONDS) & (t.c.writer == self._writer)
        )  # fmt: skip
        stored = connection.execute(select(t.c.id, t.c.row_count).where(mine).with_for_update()).one_or_none()
        profile = self._profiles.pop(key, None)
        if profile is None or profile.row_count != (stored.row_count if stored else 0):
            profile = reference.empty_profile()
            if stored is not None:
                counts = connection.execute(select(t.c.counts).where(t.c.id == stored.id)).scalar_one()
                profile = _readable_profile(reference, bytes(counts))
        profile.add(columns, rows)
        values = {"row_count": profile.row_count, "counts": profile.to_bytes()}
        if stored is None:
            names = ("model_version_id", "reference_id", "arm", "bucket_start")
            connection.execute(insert(t).values(
                **dict(zip(names, key, strict=True)), span_seconds=SPAN_SECONDS, writer=self._writer, **values
            ))  # fmt: skip
        else:
            connection.execute(update(t).where(t.c.id == stored.id).values(**values))
        self._profiles[key] = profile


def _readable_reference(connection: Connection, reference_id: int) -> Reference | None:
    try:
        return reference_by_id(connection, reference_id)
    except ReferenceCorrupt as error:
        _log.error("rows are stored without profiles: %s", error)
        return None


def _readable_profile(reference: Reference, counts: bytes) -> Profile:
    try:
        return Profile.from_bytes(reference, counts)
    except ProfileCorrupt as error:
        _log.error("a minute's profile begins anew: %s", error)
        return reference.empty_profile()


def split(received_at: NDArray[np.int64], arms: NDArray[np.int16]) -> list[tuple[int, int, NDArray[np.int64] | None]]:
    """Return (arm, start of minute, row positions) of each part; the positions are None where one part is all."""
    minutes = received_at // SPAN_US
    keys = minutes * 4 + arms
    if (keys == keys[0]).all():
        return [(int(arms[0]), int(minutes[0]) * SPAN_US, None)]
    return [(int(key) % 4, int(key) // 4 * SPAN_US, np.flatnonzero(keys == key)) for key in np.unique(keys)]
