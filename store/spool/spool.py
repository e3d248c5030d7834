"""The writer's side of a spool: one per worker process.

Invariants
----------
- Nobody sees a spool before its lock is held: it is made under a hidden name and renamed.
- ``append`` never raises and never waits for a disk; what it kept survives the death of the process.
- A declared model is durable before its index is returned, so no record can name a model that a reader cannot find.
- ``close`` leaves nothing in memory, or leaves memory and lock to be adopted.
"""

import asyncio
import os
import secrets
import shutil
import socket
import threading
import uuid
from pathlib import Path

from driftline.store.errors import SpoolError
from driftline.store.records import ModelIdentity, now_us
from driftline.store.spool import failpoints
from driftline.store.spool.buffer import Append, Buffer
from driftline.store.spool.file_system import refuse_network
from driftline.store.spool.layout import MODELS_NAME, Meta, sync_folder, write_durably
from driftline.store.spool.lock import Lock
from driftline.store.spool.overflow import Overflow
from driftline.store.spool.record import SALT_BYTES, Framing
from driftline.store.spool.ring import Ring
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.writer import Writer


class Spool:
    """Appends records; made by ``open``. Threads of the process that opened it may share it.

    Attributes:
        append: keeps a payload and returns the sequence number that it used up; see ``Buffer.append``, which it is: an
            answer waits for every call in between.
    """

    def __init__(self, folder: Path, lock: Lock, buffer: Buffer, writer: Writer, settings: SpoolSettings) -> None:
        self.uuid = folder.name
        self.folder = folder
        self._lock = lock
        self.append: Append = buffer.append
        self._buffer = buffer
        self._writer = writer
        self._settings = settings
        self._models: dict[bytes, int] = {}
        self._models_lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, folder: Path, settings: SpoolSettings) -> "Spool":
        """Make a new spool under ``folder``, reserve its ring and start its writer thread.

        Raises:
            SpoolError: the folder is not writable or on a network, or the memory file system cannot hold the ring.
        """
        refuse_network(folder)
        uuid_ = str(uuid.uuid4())
        hidden = folder / f".{uuid_}.new"
        memory = settings.memory_folder.absolute()
        salt = secrets.token_bytes(SALT_BYTES)
        meta = Meta(
            uuid_,
            socket.gethostname(),
            os.getpid(),
            now_us(),
            salt.hex(),
            str(memory / f"driftline-{uuid_}.ring"),
            str(memory / f"driftline-{uuid_}.overflow"),
        )
        lock = _make_folder(hidden, meta)
        if failpoints.ARMED:
            failpoints.reached("spool.folder_made")
        try:
            ring = Ring.create(Path(meta.ring), settings.ring_bytes)
            try:
                overflow = Overflow.create(Path(meta.overflow), settings.overflow_bytes)
                if failpoints.ARMED:
                    failpoints.reached("spool.ring_made")
                hidden.rename(folder / uuid_)
                sync_folder(folder)
            except OSError as error:
                ring.close(remove=True)
                raise SpoolError(f"the spool cannot be made in {folder} ({error.strerror}): make room") from error
        except SpoolError:
            lock.release()
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        wake = threading.Event()
        buffer = Buffer(ring, overflow, Framing(salt), wake)
        writer = Writer(folder / uuid_, uuid_, buffer, wake, settings)
        writer.start()
        return cls(folder / uuid_, lock, buffer, writer, settings)

    def declare_model(self, identity: ModelIdentity) -> int:
        """Return the index under which records name this model; the same identity has the same index.

        Raises:
            SpoolError: the disk refuses it.
        """
        raw = identity.to_json()
        with self._models_lock:
            if raw not in self._models:
                index = len(self._models)
                try:
                    write_durably(self.folder / MODELS_NAME / f"{index}.json", raw)
                except OSError as error:
                    raise SpoolError(
                        f"model {identity.name} version {identity.version} cannot be noted in "
                        f"{self.folder} ({error.strerror}): make room on that disk"
                    ) from error
                self._models[raw] = index
            return self._models[raw]

    async def wait_durable(self, seq: int, timeout_seconds: float) -> bool:
        """Return whether the medium holds the record ``seq``; False when it was dropped or the time is over."""
        if seq < 0 or self._buffer.was_dropped(seq):
            return False
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._writer.wait_for(seq, loop, future)
        try:
            return await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            return False

    def close(self, drain_seconds: float | None = None) -> None:
        """Refuse further records, write and sync what is in memory, and free the lock.

        Args:
            drain_seconds: how long that may take; None means the setting. What is left then stays in memory, where
                the loader adopts it.
        """
        if self._closed:
            return
        self._closed = True
        self._buffer.stop()
        drained = self._writer.stop(self._settings.drain_seconds if drain_seconds is None else drain_seconds)
        if self._writer.is_alive():  # it waits for a frozen disk: the end of the process frees the lock, not we
            return
        self._buffer.close(remove=drained)
        self._lock.release()


def _make_folder(hidden: Path, meta: Meta) -> Lock:
    try:
        (hidden / MODELS_NAME).mkdir(parents=True)
        lock = Lock.take(hidden)
        meta.write(hidden)
    except OSError as error:
        raise SpoolError(
            f"the spool cannot be made in {hidden.parent} ({error.strerror}): make the folder writable, "
            "or name another home (DRIFTLINE_HOME)"
        ) from error
    if lock is None:
        raise SpoolError(f"{hidden} was taken by another process while it was made: start again")
    lock.keep_from_children()
    return lock
