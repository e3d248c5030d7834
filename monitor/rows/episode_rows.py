"""Episodes of drift in the store: one per column, and one per side of a model as a whole."""

from sqlalchemy import Connection, insert, select, text, update

from driftline.monitor.drift.episodes import Episode
from driftline.store import schema
from driftline.store.records import Arm

WHOLE = ""  # the column name of a side as a whole
Place = tuple[str, str]  # side, column name
_LOCK = 0x6472_6966_746C_0008


def lock_episodes(connection: Connection) -> None:
    """Let no other monitor follow episodes until the transaction ends; SQLite's ``writing`` excludes it anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def open_episodes(connection: Connection, model_version_id: int, arm: Arm) -> dict[Place, Episode]:
    """Return the open episodes of a version and arm."""
    t = schema.drift_episode
    rows = connection.execute(
        select(t).where(t.c.model_version_id == model_version_id, t.c.closed_at.is_(None), t.c.arm == arm)
    )
    return {(r.side, r.column_name): Episode(r.opened_at, r.near_at, r.judgements, r.peak) for r in rows}


def open_drift(connection: Connection, model_version_id: int, arm: Arm) -> dict[str, Episode]:
    """Return the open episodes of the model's sides as wholes, by side: input, output."""
    episodes = open_episodes(connection, model_version_id, arm)
    return {side: episode for (side, column), episode in episodes.items() if column == WHOLE}


def save_episode(
    connection: Connection,
    model_version_id: int,
    arm: Arm,
    place: Place,
    before: Episode | None,
    after: Episode | None,
    now_us: int,
) -> None:
    """Write what became of an episode: opened, gone on, or closed."""
    if before == after:
        return
    t, (side, column) = schema.drift_episode, place
    if before is None and after is not None:
        where = {"model_version_id": model_version_id, "arm": arm, "side": side, "column_name": column}
        connection.execute(insert(t).values(**where, opened_at=after.opened_at_us, **_values(after)))
        return
    same = (
        (t.c.model_version_id == model_version_id) & (t.c.arm == arm) & (t.c.side == side)
        & (t.c.column_name == column) & t.c.closed_at.is_(None)
    )  # fmt: skip
    connection.execute(update(t).where(same).values(**(_values(after) if after else {"closed_at": now_us})))


def _values(episode: Episode) -> dict[str, int | float]:
    return {"near_at": episode.near_at_us, "judgements": episode.judgements, "peak": episode.peak}
