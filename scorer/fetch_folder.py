"""The temporary folder into which a server fetches the files of models.

Invariants
----------
- It goes with its server: at a clean end by its owner, after a kill by the next server that starts.
- Only what nobody has any more is removed: the owner holds a lock in it, which the kernel frees at its death. Folders
  without a lock, and those of other users, stay.
"""

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Self

from driftline.store.spool.layout import LOCK_NAME
from driftline.store.spool.lock import Lock

_PREFIX = "driftline-models-"


class FetchFolder:
    """A new folder, removed at the end of the ``with`` block, or of the process.

    Attributes:
        path: where it lies.
    """

    def __init__(self) -> None:
        _remove_left_over(Path(tempfile.gettempdir()))
        self._lock: Lock | None = None
        while self._lock is None:  # another start may find the lock before it is held, and remove the folder
            self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
            self.path = Path(self._folder.name)
            self._lock = _take(self.path)
            if self._lock is None:
                self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()
        if self._lock is not None:
            self._lock.release()


def _take(path: Path) -> Lock | None:
    """Return the lock on a folder that is still there; None where another process has or had it."""
    try:
        lock = Lock.take(path)
    except FileNotFoundError:
        return None
    if lock is not None and not (path / LOCK_NAME).exists():
        lock.release()
        return None
    return lock


def _remove_left_over(folder: Path) -> None:
    for path in folder.glob(f"{_PREFIX}*"):
        try:
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or not (path / LOCK_NAME).exists():
                continue
            lock = _take(path)
        except OSError:  # another start was faster
            continue
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            lock.release()
