"""Fixtures that every room's tests share."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[servers.PostgreSQL]:
    """One PostgreSQL cluster for the session."""
    with servers.postgresql() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql_server: servers.PostgreSQL) -> str:
    """The URL of an empty PostgreSQL database of this test's own."""
    return postgresql_server.create_database(f"test_{uuid.uuid4().hex[:12]}")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'driftline.sqlite'}"
    return str(request.getfixturevalue("postgresql_url"))
