"""Memory that the processes of one server share, opened like a file; nothing is left behind when the last one ends."""

import os
from pathlib import Path
from typing import Self


class MemoryFile:
    """The base of what lies in such memory.

    Args:
        descriptor: of the memory; it stays open while the object lives.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def attach(cls, path: Path) -> Self:
        """Open another process's memory."""
        return cls(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    @property
    def path(self) -> Path:
        """Where another process of the same user opens it while this one lives."""
        return Path(f"/proc/{os.getpid()}/fd/{self._descriptor}")


def new_memory(name: str, size_bytes: int) -> int:
    """Make memory of zeros and return its descriptor; the name is for people who look at the process."""
    descriptor = os.memfd_create(f"driftline-{name}")
    os.ftruncate(descriptor, size_bytes)
    return descriptor
