"""Tell a record that the database refuses from a database that is not there."""

import sqlite3
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

# PostgreSQL's classes: data exception, integrity constraint violation, program limit exceeded (a row too big).
_POISON_CLASSES = ("22", "23", "54")


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
    """Return what to do about store trouble, for a log line."""
    state = sqlstate(error) or ""
    no_table = state in ("42P01", "42703") or "no such table" in str(original_error(error))
    return "run `driftline store upgrade`" if no_table else "waiting for it"


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
