"""Fixtures that every room's tests share.

A store of today's schema is migrated once in a process and copied for each test: migrating takes a second.
"""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers

from driftline.store import migrate
from driftline.store.engine import open_engine

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[servers.PostgreSQL]:
    """One PostgreSQL cluster for the session."""
    with servers.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: servers.PostgreSQL) -> str:
    """The name of a database of today's schema, to be copied."""
    _upgrade(postgresql_server.create_database("upgraded"))
    return "upgraded"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store of today's schema, to be copied."""
    path = tmp_path_factory.mktemp("upgraded") / "driftline.sqlite"
    _upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """The URL of an upgraded SQLite store that holds nothing, ``driftline.sqlite`` in the test's folder."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}"


@pytest.fixture
def postgresql_url(postgresql_server: servers.PostgreSQL, postgresql_template: str) -> str:
    """The URL of an upgraded PostgreSQL store of this test's own that holds nothing."""
    return postgresql_server.create_database(_name(), postgresql_template)


@pytest.fixture(params=ENGINES)
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an upgraded store that holds nothing, once on each engine."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def empty_postgresql_url(postgresql_server: servers.PostgreSQL) -> str:
    """The URL of a PostgreSQL database of this test's own without any table."""
    return postgresql_server.create_database(_name())


@pytest.fixture(params=ENGINES)
def empty_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store without any table, once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'driftline.sqlite'}"
    return str(request.getfixturevalue("empty_postgresql_url"))


def _name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


def _upgrade(url: str) -> None:
    engine = open_engine(url)
    migrate.upgrade(engine)
    engine.dispose()
