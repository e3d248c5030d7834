"""Rows that may be there already: what SQLAlchemy has for each database apart, in one place."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an ``INSERT`` that can say what happens to a row that is there already (``ON CONFLICT``)."""
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)


def add_counts(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    key: Sequence[str],
    counted: Collection[str],
) -> None:
    """Insert rows; where one of the same key is there already, add to it.

    Args:
        rows: any number, all of the same columns.
        key: the columns of a unique constraint.
        counted: the columns that are added up; those that are neither are replaced.
    """
    if not rows:
        return
    query = insert_into(connection, table)
    replaced = {name: query.excluded[name] for name in rows[0] if name not in key}
    added = {name: table.c[name] + query.excluded[name] for name in counted}
    connection.execute(query.on_conflict_do_update(index_elements=list(key), set_=replaced | added), rows)
