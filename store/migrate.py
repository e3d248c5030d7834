"""Bring a database to the schema of this driftline, or say that it is not there.

Invariants
----------
- One upgrader at a time, whatever the number of processes: on PostgreSQL an advisory lock, polled on a session of its
  own in AUTOCOMMIT (it survives the commits of the upgrade and ends with the process); on SQLite a ``flock``; among
  the threads of one process a lock.
- A database newer than this driftline is never touched.
- Alembic is imported where something is to be upgraded only: it takes as long as all that most commands do.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from driftline import migrations
from driftline.store.engine import unreachable, writing
from driftline.store.errors import DriftlineError, SchemaMismatch

if TYPE_CHECKING:
    from alembic.config import Config

_ADVISORY_LOCK = 0x6472_6966_746C_0001
_POLL_SECONDS = 0.05
_FOLDER = Path(migrations.__file__).parent
_ALEMBIC = Lock()  # Alembic keeps the migration that is under way in a module, for all threads of a process


def config() -> "Config":
    """Return Alembic's configuration; it needs no file beside the package."""
    from alembic.config import Config

    alembic = Config()
    alembic.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return alembic


def upgrade(engine: Engine) -> None:
    """Upgrade the store to this driftline's schema; nothing happens where it is there already.

    Raises:
        SchemaMismatch: the store is newer than this driftline.
        StoreUnreachable: the database does not answer.
    """
    if _is_at_head(engine):
        return
    with _only_upgrader(engine), _ALEMBIC:
        if _is_at_head(engine):
            return
        from alembic import command

        alembic = config()
        with writing(engine) as connection:
            alembic.attributes["connection"] = connection
            command.upgrade(alembic, "head")


def check(engine: Engine) -> None:
    """Raise ``SchemaMismatch`` unless the store's schema is this driftline's; the message names the next command."""
    if not _is_at_head(engine):
        raise SchemaMismatch(
            f"the store's schema is older than this driftline needs (found {_revision(engine) or 'none'}, "
            f"needed {history()[-1]}): run `driftline store upgrade`"
        )


def prepare(engine: Engine) -> None:
    """Make the store ready at start: SQLite is created or upgraded, PostgreSQL is only checked."""
    if engine.dialect.name == "sqlite":
        upgrade(engine)
    else:
        check(engine)


@cache
def history() -> tuple[str, ...]:
    """Return the revisions that this driftline knows, the oldest first: its migrations are a line, named by number."""
    found = tuple(sorted(path.stem.partition("_")[0] for path in _FOLDER.glob("versions/[0-9]*_*.py")))
    if not found:
        raise DriftlineError("this driftline has no migrations in its package: install it again")
    return found


def _revision(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found
    except DBAPIError as error:
        raise unreachable(engine, error) from error


def _is_at_head(engine: Engine) -> bool:
    revision, head = _revision(engine), history()[-1]
    if revision is not None and revision not in history():
        raise SchemaMismatch(
            f"the store's schema is newer than this driftline knows (found {revision}, known up to {head}): "
            "upgrade driftline (`pip install --upgrade driftline`)"
        )
    return revision == head


@contextmanager
def _only_upgrader(engine: Engine) -> Iterator[None]:
    if engine.dialect.name == "sqlite":
        with open(f"{engine.url.database}.migrate.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        while not session.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK}):
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            session.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
