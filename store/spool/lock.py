"""Who owns a spool: the process that holds ``flock`` on its LOCK file.

Invariants
----------
- The kernel frees the lock when its owner dies in any way; there is no stale lock and no process id to compare.
- A child that the owner forks does not keep the lock alive, once the owner has asked for that.
"""

import fcntl
import os
import weakref
from functools import partial
from pathlib import Path
from typing import Self

from driftline.store.spool.layout import LOCK_NAME


class Lock:
    """An exclusive lock, held until ``release`` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, folder: Path) -> Self | None:
        """Return the lock on the spool in ``folder``, or None when another process or another taker holds it.

        Raises:
            OSError: the folder is gone or not writable.
        """
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def keep_from_children(self) -> None:
        """Let children forked from now on close it; for locks that are held long, because it is never undone."""
        os.register_at_fork(after_in_child=partial(_close_in_child, weakref.ref(self)))

    def release(self) -> None:
        """Free the lock; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _close_in_child(reference: weakref.ref[Lock]) -> None:
    lock = reference()
    if lock is not None:
        lock.release()


def is_held(folder: Path) -> bool:
    """Return whether a living process owns the spool in ``folder``."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
