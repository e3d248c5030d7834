"""Tell a record that the database refuses from a database that is not there."""

import re
import sqlite3
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError, StatementError

# PostgreSQL's classes: data exception, integrity constraint violation, program limit exceeded (a row too big).
_POISON_CLASSES = ("22", "23", "54")
# What drivers say, and what to do then. Connections that PostgreSQL refuses have no SQLSTATE.
_STEPS = (
    ("no such (table|column)", "run `driftline store upgrade`"),
    ('database ".*" does not exist', "create that database and upgrade it, or correct `--store` (DRIFTLINE_STORE)"),
    ('role ".*" does not exist|authentication failed|no password|pg_hba.conf',
     "correct user and password in `--store` (DRIFTLINE_STORE)"),
    ("(resolve|translate) host", "correct the host in `--store` (DRIFTLINE_STORE)"),
    ("unable to open|readonly database",
     "correct the owner of the file and its folder, or `--store` (DRIFTLINE_STORE)"),
    ("database is locked", "end the process that holds its lock"),
    ("is full|No space left", "make room on its disk"),
)  # fmt: skip


def is_poison(error: Exception) -> bool:
    """Return whether the error lies in what was written, so that writing it again would fail again."""
    original = original_error(error)
    state = sqlstate(error)
    if state is not None:
        return state[:2] in _POISON_CLASSES
    if isinstance(original, sqlite3.Error):
        return isinstance(original, sqlite3.DataError | sqlite3.IntegrityError)
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError)
    if _is_from_driver(original):
        return type(original).__name__ in ("DataError", "IntegrityError")
    return isinstance(error, StatementError | ValueError | OverflowError | TypeError | KeyError | MemoryError)


def is_store_trouble(error: Exception) -> bool:
    """Return whether the database is away, full, locked or not as expected: something that waiting may mend."""
    original = original_error(error)
    return not is_poison(error) and (isinstance(error, SQLAlchemyError | sqlite3.Error) or _is_from_driver(original))


def next_step(error: Exception) -> str:
    """Return what to do about store trouble."""
    if sqlstate(error) in ("42P01", "42703"):
        return "run `driftline store upgrade`"
    if sqlstate(error) == "42501":  # of a role that may not make tables, or may not do this
        return "run `driftline store upkeep MODEL_URI` as the owner of the tables, see docs/security.md"
    text = str(original_error(error))
    found = (step for said, step in _STEPS if re.search(said, text, re.IGNORECASE))
    return next(found, "start the database or correct `--store` (DRIFTLINE_STORE)")


def cause(error: Exception) -> str:
    """Return the first line of what the driver says of an operational error; of any other its kind alone.

    The text of others may hold values.
    """
    original = original_error(error)
    lines = str(original).strip().splitlines()
    operational = isinstance(error, OperationalError) or type(original).__name__ == "OperationalError"
    return lines[0] if operational and lines else describe(error)


def describe(error: Exception) -> str:
    """Return the error's kind without its text, which may hold values."""
    state = sqlstate(error)
    return f"{type(original_error(error)).__name__}{f' (SQLSTATE {state})' if state else ''}"


def original_error(error: Exception) -> Any:
    """Return the driver's error under SQLAlchemy's."""
    return getattr(error, "orig", None) or error


def sqlstate(error: Exception) -> str | None:
    """Return PostgreSQL's five characters, where there are any."""
    state = getattr(original_error(error), "sqlstate", None)
    return state if isinstance(state, str) else None


def _is_from_driver(original: Any) -> bool:
    return type(original).__module__.split(".")[0] in ("psycopg", "sqlite3")
