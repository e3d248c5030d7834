"""Training references in the store: saved whole, the newest of a version is the one in force."""

from sqlalchemy import Connection, insert, select, update

from driftline.store import schema
from driftline.store.profile.reference import Reference


def save_reference(connection: Connection, model_version_id: int, reference: Reference) -> int:
    """Save ``reference`` as the version's newest and return its id; ``backfill.put_in_force`` calls it."""
    t = schema.reference
    saved = connection.execute(
        insert(t).values(
            model_version_id=model_version_id,
            content=reference.to_bytes(),
            spec_hash=reference.spec_hash,
            row_count=reference.row_count,
            source=reference.source,
            made_at=reference.made_at_us,
        )
    )
    key = saved.inserted_primary_key
    assert key is not None
    return int(key[0])


def replace_calibration(connection: Connection, reference_id: int, reference: Reference) -> None:
    """Put a saved reference's newly simulated tables in the place of older ones; bins and profile are the same."""
    t = schema.reference
    same = (t.c.id == reference_id) & (t.c.spec_hash == reference.spec_hash)
    connection.execute(update(t).where(same).values(content=reference.to_bytes()))


def newest_reference_id(connection: Connection, model_version_id: int) -> int | None:
    """Return the id of the version's newest reference: the last one saved."""
    t = schema.reference
    found = connection.scalar(
        select(t.c.id).where(t.c.model_version_id == model_version_id).order_by(t.c.id.desc()).limit(1)
    )
    return None if found is None else int(found)


def reference_by_id(connection: Connection, reference_id: int) -> Reference:
    """Return a saved reference.

    Raises:
        ReferenceCorrupt: its bytes are damaged.
    """
    t = schema.reference
    return Reference.from_bytes(
        bytes(connection.execute(select(t.c.content).where(t.c.id == reference_id)).scalar_one())
    )


def newest_reference(connection: Connection, model_version_id: int) -> tuple[int, Reference] | None:
    """Return id and reference in force, or None where the version has none yet."""
    id_ = newest_reference_id(connection, model_version_id)
    return None if id_ is None else (id_, reference_by_id(connection, id_))
