"""The disk that the spools of one home may take.

Invariants
----------
- Beyond ``max_bytes``, and below ``min_free_bytes`` of free disk, nothing is written; memory fills and drops count.
- Looking costs at most once a second.
"""

import os
import time
from pathlib import Path

from driftline.store.spool.pending_gaps import DISK_BUDGET, DISK_FULL
from driftline.store.spool.segment import segment_bytes
from driftline.store.spool.settings import SpoolSettings

_LOOK_SECONDS = 1.0


class Budget:
    """Answers why the next write may not be made; ``spools`` is the folder of all spools."""

    def __init__(self, spools: Path, settings: SpoolSettings) -> None:
        self._spools = spools
        self._settings = settings
        self._looked_at = -_LOOK_SECONDS
        self._used = 0
        self._free = 0

    def refusal(self, size: int) -> str | None:
        """Return why ``size`` bytes may not be written now, or None when they may, and count them."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._used = bytes_on_disk(self._spools)
            disk = os.statvfs(self._spools)
            self._free = disk.f_bavail * disk.f_frsize
            self._looked_at = now
        if self._used + size > self._settings.max_bytes:
            return DISK_BUDGET
        if self._free - size < self._settings.min_free_bytes:
            return DISK_FULL
        self._used += size
        self._free -= size
        return None


def bytes_on_disk(spools: Path) -> int:
    """Return the bytes of all segments of all spools, of compressed ones what they take."""
    total = 0
    for folder in [*spools.glob("*/")]:
        try:
            total += segment_bytes(folder)
        except FileNotFoundError:  # the loader removed a segment or a whole spool meanwhile; the next look sees it
            continue
    return total
