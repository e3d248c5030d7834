"""Fixtures of the store's tests."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from driftline.store import migrate
from driftline.store.engine import open_engine


@pytest.fixture
def empty_engine(store_url: str) -> Iterator[Engine]:
    """An engine on an empty database, once on each kind."""
    engine = open_engine(store_url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(empty_engine: Engine) -> Engine:
    """An engine on an upgraded store, once on each kind."""
    migrate.upgrade(empty_engine)
    return empty_engine


@pytest.fixture
def postgresql_engine(postgresql_url: str) -> Iterator[Engine]:
    """An engine on an upgraded PostgreSQL store."""
    engine = open_engine(postgresql_url)
    migrate.upgrade(engine)
    yield engine
    engine.dispose()
