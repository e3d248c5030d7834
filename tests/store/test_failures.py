"""Poison or trouble."""

import sqlite3

import pytest
from sqlalchemy import Engine, text

from driftline.store.engine import open_engine
from driftline.store.failures import cause, describe, is_poison, is_store_trouble, next_step


def error_of(engine: Engine, statement: str) -> Exception:
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    except Exception as error:
        return error
    pytest.fail("the database took it")


def test_a_refused_value_is_poison_and_its_text_is_not_told(engine: Engine) -> None:
    error = error_of(engine, "INSERT INTO label (invocation_id, row_index, value, event_at, received_at) "
                             "VALUES (NULL, 1, 'secret', 1, 1)")  # fmt: skip
    assert is_poison(error)
    assert not is_store_trouble(error)
    assert "secret" in str(error)
    assert "secret" not in describe(error)
    assert "secret" not in cause(error)


def test_a_missing_table_is_trouble_and_names_the_upgrade(empty_engine: Engine) -> None:
    error = error_of(empty_engine, "SELECT * FROM invocation")
    assert is_store_trouble(error)
    assert next_step(error) == "run `driftline store upgrade`"


def test_a_database_that_is_away_is_trouble() -> None:
    engine = open_engine("postgresql://127.0.0.1:1/x", probe=False)
    assert is_store_trouble(error_of(engine, "SELECT 1"))


@pytest.mark.postgresql
def test_each_refusal_of_postgresql_names_the_step_that_mends_it(postgresql_url: str) -> None:
    server, role = postgresql_url.rsplit("/", 1)[0], postgresql_url.replace("driftline@", "nobody@")
    for url, said, step in (
        (f"{server}/nosuch", 'database "nosuch" does not exist', "create that database"),
        (role, 'role "nobody" does not exist', "correct user and password in `--store` (DRIFTLINE_STORE)"),
        ("postgresql+psycopg://nohost.invalid/x", "nohost.invalid", "correct the host in `--store` (DRIFTLINE_STORE)"),
        ("postgresql+psycopg://127.0.0.1:1/x", "Connection refused", "start the database or correct `--store`"),
    ):
        error = error_of(open_engine(url, probe=False), "SELECT 1")
        assert said in cause(error)
        assert step in next_step(error)


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ("database is locked", "end the process that holds its lock"),
        ("unable to open database file", "correct the owner"),
        ("database or disk is full", "make room on its disk"),
    ],
)
def test_what_sqlite_says_names_the_step_that_mends_it(said: str, step: str) -> None:
    assert step in next_step(sqlite3.OperationalError(said))


@pytest.mark.parametrize(
    ("error", "poison"),
    [(OverflowError(), True), (UnicodeEncodeError("utf-8", "\ud800", 0, 1, ""), True), (sqlite3.DataError(), True),
     (sqlite3.OperationalError("database is locked"), False), (RuntimeError(), False)],
)  # fmt: skip
def test_errors_of_python_and_of_the_bare_driver(error: Exception, poison: bool) -> None:
    assert is_poison(error) is poison
