"""Spools in a temporary home, with small memory so that its limits are near."""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from driftline.store.spool.layout import Meta
from driftline.store.spool.reader import Batch, SpoolReader
from driftline.store.spool.record import Framing, Gap, Kind, Record
from driftline.store.spool.segment import Segment
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool


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


class Written:
    """A spool's folder as a writer would leave it, made by hand: any segments, no ring, no owner."""

    SALT = b"secret!!"

    def __init__(self, home: Path) -> None:
        self.uuid = str(uuid.uuid4())
        self.folder = home / self.uuid
        self.framing = Framing(self.SALT)
        (self.folder / "models").mkdir(parents=True)
        missing = home / "no-memory"
        Meta(self.uuid, "host", 1, 0, self.SALT.hex(), str(missing / "ring"), str(missing / "overflow")).write(
            self.folder
        )

    def frames(self, seqs: Iterable[int], size: int = 40) -> bytes:
        """Framed records whose payload is made of their number."""
        return b"".join(self.framing.frame(Kind.INVOCATION, 0, seq, seq, payload_of(seq, size)) for seq in seqs)

    def add_segment(self, base_seq: int, raw: bytes) -> Path:
        segment = Segment.create(self.folder, self.uuid, base_seq)
        segment.write([memoryview(raw)], len(raw))
        segment.close()
        return segment.path


def payload_of(seq: int, size: int = 40) -> bytes:
    """The payload that the tests give to a record: other bytes for each number."""
    return (seq.to_bytes(8) * (size // 8 + 1))[:size]


@pytest.fixture
def written(home: Path) -> Written:
    return Written(home)


@pytest.fixture
def small_memory_file_system(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 2 MiB."""
    if os.geteuid():
        pytest.skip("mounting a tmpfs needs root")
    folder = tmp_path / "tmpfs"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
