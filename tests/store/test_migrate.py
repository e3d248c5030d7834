"""Upgrades: one at a time, to exactly the schema, never downwards."""

import subprocess
import sys

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from driftline.store import migrate
from driftline.store.errors import SchemaMismatch
from driftline.store.schema import metadata


def test_an_empty_store_is_upgraded_to_every_table_of_the_schema(engine: Engine) -> None:
    assert set(metadata.tables) <= set(inspect(engine).get_table_names())
    migrate.check(engine)


def test_the_frozen_history_ends_where_the_schema_stands(engine: Engine) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(
                text("CREATE TABLE invocation_p20260101 PARTITION OF invocation FOR VALUES FROM (0) TO (1)")
            )
        connection.execute(text("CREATE TABLE prediction_clf_0123456789ab (row_index INTEGER)"))
        alembic = migrate.config()
        alembic.attributes["connection"] = connection
        command.check(alembic)  # raises where autogenerate would still write an operation


def test_a_column_missing_from_the_history_is_noticed(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE label DROP COLUMN value"))
        alembic = migrate.config()
        alembic.attributes["connection"] = connection
        with pytest.raises(Exception, match="New upgrade operations"):
            command.check(alembic)


def test_eight_processes_upgrade_an_empty_store_at_once(empty_store_url: str, empty_engine: Engine) -> None:
    program = (
        "import sys; from driftline.store import engine, migrate; migrate.upgrade(engine.open_engine(sys.argv[1]))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, empty_store_url]) for _ in range(8)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 8
    migrate.check(empty_engine)


def test_sqlite_is_created_at_start_and_postgresql_refuses_with_the_command(empty_engine: Engine) -> None:
    if empty_engine.dialect.name == "sqlite":
        migrate.prepare(empty_engine)
        migrate.check(empty_engine)
    else:
        with pytest.raises(SchemaMismatch, match="driftline store upgrade"):
            migrate.prepare(empty_engine)


def test_a_store_from_the_future_is_refused_and_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (migrate.check, migrate.upgrade, migrate.prepare):
        with pytest.raises(SchemaMismatch, match="upgrade driftline"):
            refused(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_the_files_are_the_line_of_migrations_that_alembic_reads() -> None:
    walked = [script.revision for script in ScriptDirectory.from_config(migrate.config()).walk_revisions()]
    assert migrate.history() == tuple(reversed(walked))
