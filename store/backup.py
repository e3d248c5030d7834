"""Copy a SQLite store to a file while it is in use; PostgreSQL brings its own way, ``pg_dump``.

Invariants
----------
- The copy is the store at one moment, whatever is written meanwhile, and nobody who writes waits for it.
- A file under the asked name is whole and on the medium; one that is there already is never overwritten.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from driftline.store.errors import ConfigurationError, DriftlineError


def backup(engine: Engine, target: Path) -> int:
    """Copy the store to ``target`` and return the bytes of the copy.

    Raises:
        ConfigurationError: the store is no SQLite file, or the target is there already.
        DriftlineError: the disk refuses, or the copy is damaged.
    """
    if engine.dialect.name != "sqlite":
        url = engine.url.set(drivername="postgresql", password=None).render_as_string()
        raise ConfigurationError(
            f"the store is PostgreSQL, which has a way of its own: `pg_dump --format=custom --file {target} {url}`"
        )
    if target.exists():
        raise ConfigurationError(f"{target} is there already: name another file, or move that one away")
    part = target.with_name(f"{target.name}.part")
    try:
        _copy(str(engine.url.database), part)
        os.link(part, target)  # unlike a rename, it takes no other file's place
    except FileExistsError as error:
        raise ConfigurationError(f"{target} is there already: name another file, or move that one away") from error
    except (OSError, sqlite3.Error) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise DriftlineError(f"the store cannot be copied to {target} ({said}): free space or name another") from error
    finally:
        part.unlink(missing_ok=True)
    _sync(target.absolute().parent)
    return target.stat().st_size


def _copy(source: str, part: Path) -> None:
    part.unlink(missing_ok=True)  # of a backup that was killed
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(source)) as store, closing(sqlite3.connect(part)) as copy:
        store.backup(copy)  # all pages in one step: one read transaction, which in WAL mode stops no writer
        copy.execute("PRAGMA journal_mode=DELETE")  # so that the copy is one file
        (found,) = copy.execute("PRAGMA quick_check").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError("the copy is damaged")
    _sync(part)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
