"""Recompute the profiles of a model version from its stored rows.

Invariants
----------
- While it runs no loader commits (``lock_loading`` alone; SQLite's write lock), so every row is counted once: here if
  it was stored before, by the loader if after.
- It is one transaction: other processes see the old profiles or the new ones.
- Profiles of days whose rows retention has taken stay as they are: there is nothing to recompute them from.
- Memory holds the profiles of one hour.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, delete, insert, select

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.prediction_tables import ModelVersion, model_version_of
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile_rows import SPAN_SECONDS, lock_loading, split
from driftline.store.references import newest_reference, save_reference
from driftline.store.retention.ledger import complete_from
from driftline.store.stored_rows import read_rows, within

WRITER = "backfill"
_HOUR_US = 3_600_000_000


def backfill(engine: Engine, model_version_id: int) -> int:
    """Replace the profiles of a version on its newest reference; return how many rows they count.

    Nothing happens, and 0 is returned, where the version has no reference.
    """
    with writing(engine) as connection:
        lock_loading(connection, alone=True)
        in_force = newest_reference(connection, model_version_id)
        return 0 if in_force is None else _recompute(connection, model_version_id, *in_force)


def put_in_force(engine: Engine, model_version_id: int, reference: Reference) -> int:
    """Save a version's new reference together with the profiles of its stored rows; return how many rows they count.

    Both or neither: nobody ever sees the reference without the profiles on its bins.
    """
    with writing(engine) as connection:
        lock_loading(connection, alone=True)
        reference_id = save_reference(connection, model_version_id, reference)
        return _recompute(connection, model_version_id, reference_id, reference)


def _recompute(connection: Connection, model_version_id: int, reference_id: int, reference: Reference) -> int:
    t, start = schema.profile, complete_from(connection)
    connection.execute(delete(t).where(
        (t.c.model_version_id == model_version_id) & (t.c.reference_id == reference_id)
        & (t.c.bucket_start >= start)
    ))  # fmt: skip
    version = version_by_id(connection, model_version_id)
    rows = 0
    for arm, minute, profile in recomputed_profiles(connection, version, reference, start):
        connection.execute(insert(t).values(
            model_version_id=model_version_id, reference_id=reference_id, arm=arm, bucket_start=minute,
            span_seconds=SPAN_SECONDS, writer=WRITER, row_count=profile.row_count, counts=profile.to_bytes(),
        ))  # fmt: skip
        rows += profile.row_count
    return rows


def recomputed_profiles(
    connection: Connection, version: ModelVersion, reference: Reference, start_us: int
) -> Iterator[tuple[int, int, Profile]]:
    """Yield (arm, start of minute, profile) of the rows stored since ``start_us``, a day's start, hour by hour."""
    hours = select((version.table.c.received_at // _HOUR_US).label("hour")).where(within(version, start_us, None))
    for hour in sorted(connection.scalars(hours.distinct())):
        profiles: dict[tuple[int, int], Profile] = {}
        for chunk in read_rows(connection, version, within(version, hour * _HOUR_US, (hour + 1) * _HOUR_US)):
            for arm, minute, positions in split(chunk.received_at, chunk.arms):
                profile = profiles.setdefault((arm, minute), reference.empty_profile())
                if positions is None:
                    profile.add(chunk.columns, len(chunk))
                else:
                    profile.add({name: cells[positions] for name, cells in chunk.columns.items()}, len(positions))
        for (arm, minute), profile in sorted(profiles.items()):
            yield arm, minute, profile


def version_by_id(connection: Connection, model_version_id: int) -> ModelVersion:
    """Return a version by its key."""
    t = schema.model_version
    return model_version_of(connection.execute(select(t).where(t.c.id == model_version_id)).one())
