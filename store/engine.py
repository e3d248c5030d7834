"""Open the store: one place where URLs become engines and connection failures become one line.

SQLite connections run in WAL mode with ``synchronous=FULL``: the loader deletes segments after its commit, and a power
cut must not take the commit alone. They begin their transactions explicitly, so that ``writing`` can take the write
lock at once: a transaction that reads first and writes later would fail with ``SQLITE_BUSY`` whenever another process
wrote in between.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

# SQLAlchemy asks its inspectors about values of types that it does not know, as our enums. What another thread is just
# then importing of its object mapper (MLflow does so when first used) fails with an AttributeError: so import it first.
import sqlalchemy.orm  # noqa: F401
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from driftline.store.errors import ConfigurationError, StoreUnreachable
from driftline.store.failures import next_step

WRITES: Final = "driftline_writes"  # the execution option of connections whose transactions are going to write
_BUSY_TIMEOUT_SECONDS = 60
_CONNECT_TIMEOUT_SECONDS = 10


def require_file(url: str) -> None:
    """Raise where the store is a SQLite file that is not there: to open it would make an empty one.

    Raises:
        ConfigurationError: the URL is malformed.
        StoreUnreachable: no such file.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and not Path(parsed.database).exists():
        raise StoreUnreachable(
            f"there is no store at {Path(parsed.database).absolute()}: run this where `driftline serve` runs, or name "
            "its home (`--home`, DRIFTLINE_HOME) or its store (`--store`, DRIFTLINE_STORE)"
        )


def open_engine(url: str, *, probe: bool = True) -> Engine:
    """Return an engine for the store's SQLAlchemy URL.

    Args:
        url: ``sqlite:///path`` or ``postgresql[+psycopg]://...``.
        probe: connect once, so that an unreachable database is an error now; False where the caller waits for it.

    Raises:
        ConfigurationError: the URL is malformed, its database kind is not supported, its driver is missing, or the
            database cannot hold every text.
        StoreUnreachable: nothing answers, or the answer is a refusal.
    """
    parsed = _parsed(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        engine = _postgresql(parsed.set(drivername="postgresql+psycopg") if "+" not in parsed.drivername else parsed)
    elif backend == "sqlite":
        engine = _sqlite(url)
    else:
        raise ConfigurationError(f"the store cannot be {backend!r}: use a `sqlite:///` or a `postgresql://` URL")
    if probe:
        check_reachable(engine)
    return engine


def check_reachable(engine: Engine) -> None:
    """Connect once.

    Raises:
        StoreUnreachable: with the URL (its password hidden) and the driver's first line.
    """
    folder = _sqlite_folder(engine)
    if folder is not None and not folder.is_dir():
        raise StoreUnreachable(
            f"the store's folder {folder} does not exist: create it or correct `--store` (DRIFTLINE_STORE)"
        )
    if folder is not None and not os.access(folder, os.W_OK | os.X_OK):
        raise StoreUnreachable(
            f"the store's folder {folder} is not writable: correct its owner or `--store` (DRIFTLINE_STORE)"
        )
    try:
        with engine.connect():
            pass
    except DBAPIError as error:
        raise unreachable(engine, error) from error


def unreachable(engine: Engine, error: DBAPIError) -> StoreUnreachable:
    """Return the one-line error for a failed connection."""
    shown = engine.url.render_as_string(hide_password=True)
    lines = str(error.orig).strip().splitlines()
    return StoreUnreachable(
        f"the store {shown} does not answer ({lines[0] if lines else type(error.orig).__name__}): {next_step(error)}"
    )


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that is going to write: on SQLite it holds the write lock from its first moment."""
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        yield connection


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "the store URL is malformed: write `sqlite:////path/driftline.sqlite` or `postgresql://user@host/database`"
        ) from error


def _postgresql(url: Any) -> Engine:
    try:
        engine = create_engine(
            url,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
                "application_name": "driftline",
                "keepalives_idle": 30,
            },
        )
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigurationError(
            f"the driver of {url.drivername!r} is not installed: `pip install driftline[postgresql]` and write "
            "`postgresql+psycopg://...`"
        ) from error

    # Before SQLAlchemy's own first look, which falls over the bytes that come for texts where there is no encoding.
    @event.listens_for(engine, "connect", insert=True)
    def require_encoding(dbapi_connection: Any, _: object) -> None:
        encoding = dbapi_connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            dbapi_connection.close()
            raise ConfigurationError(
                f"the database {url.database!r} keeps texts as {encoding}, which cannot hold those of every request: "
                "make another with `createdb --template=template0 --encoding=UTF8 NAME` and correct DRIFTLINE_STORE"
            )

    return engine


def _sqlite(url: str) -> Engine:
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _BUSY_TIMEOUT_SECONDS})
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigurationError("the store URL names an unknown SQLite driver: write `sqlite:////path`") from error
    if engine.url.database in (None, "", ":memory:"):
        raise ConfigurationError("the store must be a file: several processes share it; write `sqlite:////path`")

    @event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, _: object) -> None:
        dbapi_connection.isolation_level = None  # transactions are begun below, never by the driver
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_SECONDS * 1000}")
        if cursor.execute("PRAGMA page_count").fetchone() == (0,):
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")  # it takes the write lock; retention gives pages back
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA cache_size=-32768")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql(f"BEGIN {'IMMEDIATE' if writes else 'DEFERRED'}")

    return engine


def _sqlite_folder(engine: Engine) -> Path | None:
    return Path(str(engine.url.database)).absolute().parent if engine.dialect.name == "sqlite" else None
