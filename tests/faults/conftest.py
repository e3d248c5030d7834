"""Stores, spools and disks of the fault suite, and the table of its figures at the end of a run."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faulty_disks
import pytest
import servers
from fault_oracle import Figures
from sqlalchemy import Engine
from trained_models import train

from driftline.store.engine import open_engine

_KEY = "fault figures"


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[Figures], None]:
    """Note figures for the table at the end of the run."""
    return lambda figures: record_property(_KEY, asdict(figures))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where spools lie."""
    return tmp_path / "spool"


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    """An engine on an upgraded store, once on each kind."""
    engine = open_engine(store_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an MLflow store with the models of the scorer's tests."""
    return train(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def own_postgresql() -> Iterator[servers.PostgreSQL]:
    """A cluster that a test may crash."""
    with servers.postgresql() as server:
        yield server


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[faulty_disks.Ext4]:
    """A file system that a test may freeze and break."""
    with faulty_disks.ext4(tmp_path / "disk") as disk:
        yield disk


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that the tests noted."""
    lines = [
        (report.nodeid.split("::")[-1], dict(report.user_properties)[_KEY])
        for report in terminalreporter.getreports("passed")
        if report.when == "call" and _KEY in dict(report.user_properties)
    ]
    if lines:
        terminalreporter.section("fault figures")
    for name, figures in lines:
        terminalreporter.line(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
