"""Fixtures of the store's tests."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from driftline.store.engine import open_engine


@pytest.fixture
def empty_engine(empty_store_url: str) -> Iterator[Engine]:
    """An engine on an empty database, once on each kind."""
    yield from _engine(empty_store_url)


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    """An engine on an upgraded store, once on each kind."""
    yield from _engine(store_url)


@pytest.fixture
def postgresql_engine(postgresql_url: str) -> Iterator[Engine]:
    """An engine on an upgraded PostgreSQL store."""
    yield from _engine(postgresql_url)


def _engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()
