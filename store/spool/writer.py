"""The writer thread: moves memory into segments, and segments to the medium.

Invariants
----------
- Bytes leave the buffer only after the segment has taken them whole; a kill between the two writes them twice, and
  readers know them by their numbers.
- No error of a disk ends the thread: what cannot be written stays in memory, is tried again without limit, and what
  memory cannot hold is dropped by the buffer, under the reason that the thread has named.
- A segment whose sync failed is left, never synced again; what it held is not reported durable.
- Whoever waits for durability is answered by the next sync, and one sync answers all who wait.
"""

import asyncio
import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from driftline.store.spool import failpoints
from driftline.store.spool.budget import Budget
from driftline.store.spool.buffer import Buffer, Chunk
from driftline.store.spool.pending_gaps import DISK_ERROR, DISK_FULL, ERROR, RING_FULL
from driftline.store.spool.segment import SEGMENT_HEADER_BYTES, Segment
from driftline.store.spool.settings import SpoolSettings

logger = logging.getLogger(__name__)

CHUNK_BYTES: Final = 1 << 20
RETRY_SECONDS: Final = 0.25
Waiter = tuple[int, asyncio.AbstractEventLoop, asyncio.Future[bool]]


class Writer:
    """Owns the segments of one live spool. Only its thread calls ``turn``.

    Args:
        folder: of the spool.
        buffer: what it empties; ``wake`` is set by the buffer when a turn should not wait.
    """

    def __init__(self, folder: Path, uuid: str, buffer: Buffer, wake: threading.Event, settings: SpoolSettings) -> None:
        self._folder = folder
        self._uuid = uuid
        self._buffer = buffer
        self._wake = wake
        self._settings = settings
        self._budget = Budget(folder.parent, settings)
        self._segment: Segment | None = None
        self._segment_since = 0.0
        self._unsynced = False
        self._sync_due_at = 0.0
        self._written_seq = 0
        self._lost_seq = 0  # up to here a failed sync leaves it open what the medium holds
        self._synced_seq = 0
        self._waiters: list[Waiter] = []
        self._waiters_lock = threading.Lock()
        self._stop_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"driftline-spool-{uuid[:8]}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, drain_seconds: float) -> bool:
        """Write and sync what is left, for at most ``drain_seconds``; return whether nothing is left in memory.

        False also means that the thread may still wait for a disk; it then keeps its files.
        """
        self._stop_at = time.monotonic() + drain_seconds
        self._wake.set()
        self._thread.join(drain_seconds + 2 * RETRY_SECONDS)
        return not self._thread.is_alive() and self._buffer.is_empty()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def wait_for(self, seq: int, loop: asyncio.AbstractEventLoop, future: asyncio.Future[bool]) -> None:
        """Let ``future`` know when the medium holds ``seq``."""
        with self._waiters_lock:
            self._waiters.append((seq, loop, future))
        self._wake.set()

    def _run(self) -> None:
        while not self._is_over():
            self._wake.wait(self._settings.flush_interval_seconds)
            self._wake.clear()
            self.turn()
        self._sync()
        if self._segment is not None:
            self._segment.close()
        self._answer_waiters()

    def _is_over(self) -> bool:
        if self._stop_at is None:
            return False
        return self._buffer.is_empty() or time.monotonic() >= self._stop_at

    def turn(self) -> None:
        """Move what is in memory into segments; sync when it is time or somebody waits."""
        try:
            self._buffer.settle()
            while self._move_chunk():
                self._buffer.settle()
            if time.monotonic() >= self._sync_due_at or self._waiters:
                self._sync()
                self._answer_waiters()
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            self._refuse(DISK_FULL if full else DISK_ERROR, os.strerror(error.errno or errno.EIO))
            if not full:
                self._leave_segment()
        except Exception:  # for instance no memory for a record of 100 MB: it waits in the overflow
            logger.exception("spool %s: a turn of the writer failed; it is tried again", self._uuid)
            self._refuse(ERROR, "see the log")

    def _move_chunk(self) -> bool:
        """Return whether something was moved; False when there is nothing, or no room on the disk."""
        chunk = self._buffer.peek(min(CHUNK_BYTES, self._settings.segment_bytes - SEGMENT_HEADER_BYTES))
        if chunk is None:
            return False
        try:
            if (refusal := self._budget.refusal(chunk.size)) is not None:
                self._refuse(refusal, "spool.max_bytes or spool.min_free_bytes is reached")
                return False
            self._segment_for(chunk).write(chunk.views, chunk.size)
            if failpoints.ARMED:
                failpoints.reached("segment.written")
            self._unsynced = True
            self._written_seq = chunk.last_seq
            self._buffer.consume(chunk)
        finally:
            chunk.release()
        if failpoints.ARMED:
            failpoints.reached("segment.consumed")
        if self._buffer.full_reason != RING_FULL:
            logger.info("spool %s: writing again", self._uuid)
            self._buffer.full_reason = RING_FULL
        return True

    def _segment_for(self, chunk: Chunk) -> Segment:
        segment = self._segment
        if segment is not None and segment.size > SEGMENT_HEADER_BYTES:
            too_large = segment.size + chunk.size > self._settings.segment_bytes
            too_old = time.monotonic() - self._segment_since > self._settings.segment_seconds
            if too_large or too_old:
                self._leave_segment()
        if self._segment is None:
            if failpoints.ARMED:
                failpoints.reached("segment.left")
            self._segment = Segment.create(self._folder, self._uuid, chunk.first_seq)
            self._segment_since = time.monotonic()
        return self._segment

    def _leave_segment(self) -> None:
        self._sync()
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _sync(self) -> None:
        self._sync_due_at = time.monotonic() + self._settings.sync_interval_seconds
        if self._segment is None or not self._unsynced:
            return
        self._unsynced = False
        try:
            self._segment.sync()
            self._synced_seq = self._written_seq
        except OSError as error:
            logger.error(
                "spool %s: the medium did not confirm segment %d (%s); going on in a new one",
                self._uuid,
                self._segment.number,
                os.strerror(error.errno or errno.EIO),
            )
            self._lost_seq = self._written_seq
            self._segment.close()
            self._segment = None
        if failpoints.ARMED:
            failpoints.reached("segment.synced")

    def _refuse(self, reason: str, found: str) -> None:
        if self._buffer.full_reason != reason:
            logger.warning("spool %s: nothing is written (%s: %s); memory holds what it can", self._uuid, reason, found)
            self._buffer.full_reason = reason
        if self._stop_at is None:
            time.sleep(RETRY_SECONDS)

    def _answer_waiters(self) -> None:
        with self._waiters_lock:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                seq, loop, future = waiter
                if seq > max(self._synced_seq, self._lost_seq) and self._stop_at is None:
                    self._waiters.append(waiter)
                    continue
                _answer(loop, future, self._lost_seq < seq <= self._synced_seq)


def _answer(loop: asyncio.AbstractEventLoop, future: asyncio.Future[bool], durable: bool) -> None:
    set_result: Callable[[bool], None] = future.set_result
    try:
        loop.call_soon_threadsafe(lambda: None if future.done() else set_result(durable))
    except RuntimeError:  # the loop has ended, and with it whoever waited
        return
