"""Spools in a temporary home, with small memory so that its limits are near."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from driftline.store.records import ModelIdentity
from driftline.store.spool.reader import Batch, SpoolReader
from driftline.store.spool.record import Gap, Record
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

IDENTITY = ModelIdentity("diabetes", "3", "models:/diabetes/3")


class OpenSpool(Protocol):
    def __call__(self, **changes: object) -> Spool: ...


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """Where rings lie, so that a test leaves nothing in /dev/shm."""
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of all spools of a test."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def open_spool(home: Path, memory: Path) -> Iterator[OpenSpool]:
    """Open spools of 64 KiB; they are closed at the end."""
    opened: list[Spool] = []

    def make(**changes: object) -> Spool:
        settings = {"ring_folder": memory, "ring_bytes": 64 << 10, "overflow_bytes": 64 << 10, "min_free_bytes": 0}
        spool = Spool.open(home, SpoolSettings(**{**settings, **changes}))  # type: ignore[arg-type]
        opened.append(spool)
        return spool

    yield make
    for spool in opened:
        spool.close(drain_seconds=1)


@pytest.fixture
def read_all() -> Callable[..., Batch]:
    """Read a spool from its beginning to its present end, in batches of ``max_records``."""

    def read(folder: Path, max_records: int = 1000) -> Batch:
        reader = SpoolReader(folder)
        records: list[Record] = []
        gaps: list[Gap] = []
        before = None
        while reader.position != before:
            before = reader.position
            batch = reader.read(max_records=max_records)
            records += batch.records
            gaps += batch.gaps
        return Batch(reader.position, records, gaps)

    return read
