"""Alembic's environment: runs on the connection that ``driftline.store.migrate`` hands over.

Partitions and prediction tables are made at run time, so autogenerate must neither see nor drop them.
"""

from typing import Any

from alembic import context
from sqlalchemy import Connection, text

from driftline.store.schema import metadata


def _run(connection: Connection) -> None:
    partitions: set[str] = set()
    if connection.dialect.name == "postgresql":
        partitions = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relispartition")))

    def include_name(name: str | None, type_: str, parent_names: Any) -> bool:
        if type_ != "table" or name is None:
            return True
        at_run_time = name.startswith("prediction_") and name not in metadata.tables
        return not at_run_time and name not in partitions

    context.configure(connection=connection, target_metadata=metadata, include_name=include_name)
    with context.begin_transaction():
        context.run_migrations()


_run(context.config.attributes["connection"])
