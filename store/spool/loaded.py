"""Which spools of this home were loaded and removed: the store has their accounts, this list says that they were ours.

A file beside the spools, one line each. It only serves the counters of ``/metrics``, which would fall back at each
restart without it; a line that the disk refuses or cuts costs no record.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_NAME: Final = "loaded-spools"
_UUID_LENGTH: Final = 36


def note_loaded(folder: Path, uuid: str) -> None:
    """Add a spool of ``folder``; to add it twice does no harm."""
    with suppress(OSError):
        descriptor = os.open(folder.parent / _NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"\n{uuid}".encode())
        finally:
            os.close(descriptor)


def loaded_spools(folder: Path) -> set[str]:
    """Return the spools that were noted for ``folder``."""
    try:
        lines = (folder.parent / _NAME).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    return {line for line in lines if len(line) == _UUID_LENGTH}
