"""How much memory and disk a spool may take, and how soon records reach the medium."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from driftline.store.errors import ConfigurationError

MINIMUM_RING_BYTES = 64 << 10
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  the memory file system itself, not a temporary file


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """The section ``[spool]``.

    Attributes:
        ring_folder: a memory file system for ring and overflow; without it ``/dev/shm``. On a disk it works too,
            but a disk that freezes then freezes answers.
        ring_bytes: reserved at start, per worker.
        overflow_bytes: what may lie beyond the full ring before the newest records are dropped; one record that is
            larger than the ring is taken whole on top of it.
        segment_bytes, segment_seconds: a segment is closed when it would grow beyond the one or is older than the
            other and a record arrives.
        flush_interval_seconds: from memory to a file.
        sync_interval_seconds: from a file to the medium.
        durability: ``process``: an answered record survives the death of the process; ``power``: the answer waits
            for the medium.
        max_bytes: of all segments of all spools under one home; beyond it nothing is written until the loader has
            made room.
        compress_above_bytes: once the segments of all spools take more, the loader's process compresses those that
            nobody writes any more, until they take less; at ``max_bytes`` or above nothing is ever compressed.
        min_free_bytes: of the disk; below it nothing is written.
        drain_seconds: how long a clean stop may take.
    """

    ring_folder: Path | None = None
    ring_bytes: int = 16 << 20
    overflow_bytes: int = 16 << 20
    segment_bytes: int = 64 << 20
    segment_seconds: float = 60.0
    flush_interval_seconds: float = 0.02
    sync_interval_seconds: float = 1.0
    durability: Literal["process", "power"] = "process"
    max_bytes: int = 20 << 30
    compress_above_bytes: int = 256 << 20
    min_free_bytes: int = 1 << 30
    drain_seconds: float = 20.0

    def __post_init__(self) -> None:
        if self.ring_bytes < MINIMUM_RING_BYTES:
            raise ConfigurationError(
                f"spool.ring_bytes should be at least {MINIMUM_RING_BYTES}, found {self.ring_bytes}"
            )
        for name in ("overflow_bytes", "compress_above_bytes", "min_free_bytes", "drain_seconds"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"spool.{name} should not be negative, found {getattr(self, name)}")
        for name in (
            "segment_bytes",
            "segment_seconds",
            "flush_interval_seconds",
            "sync_interval_seconds",
            "max_bytes",
        ):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"spool.{name} should be above 0, found {getattr(self, name)}")

    @property
    def memory_folder(self) -> Path:
        return self.ring_folder or SHARED_MEMORY
