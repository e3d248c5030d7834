"""Finish what a dead owner left: its ring and overflow become a last segment.

Invariants
----------
- Only the holder of the spool's lock adopts, so a spool is adopted once however many try.
- The ring is removed after its records are on the medium; a kill in between lets the next adopter do it again, and
  what is written twice has the same numbers.
- After adoption every number that was used up lies in a segment, as a record or in a gap; the torn tail of the
  segment that was being written is cut off.
"""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from driftline.store.errors import SpoolError
from driftline.store.spool import failpoints
from driftline.store.spool.layout import META_NAME, Meta, sync_folder
from driftline.store.spool.lock import Lock
from driftline.store.spool.pending_gaps import PendingGaps
from driftline.store.spool.record import DAMAGED, Framing, Gap, Record, last_seq
from driftline.store.spool.ring import Ring
from driftline.store.spool.segment import SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_numbers, segment_path

ABANDONED_SECONDS: Final = 3600.0
_WRITE_BYTES: Final = 1 << 20


def spools(folder: Path) -> list[Path]:
    """Return the spools under ``folder``, of living and of dead owners, in the order of their names."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and (p / META_NAME).is_file())


def adopt_orphans(folder: Path) -> list[Path]:
    """Adopt each spool whose owner is dead and return those whose memory this call has moved to disk.

    Raises:
        OSError: the disk refuses; what was not adopted stays as it is, for the next call.
    """
    _remove_unfinished(folder)
    return [path for path in spools(folder) if _adopt(path)]


def is_orphan(path: Path) -> bool:
    """Return whether the owner is dead and all it left is in segments, so that nothing will follow them."""
    lock = _take(path)
    if lock is None:
        return False
    try:
        return not Path(Meta.read(path).ring).exists()
    finally:
        lock.release()


def remove_loaded(path: Path) -> bool:
    """Remove the folder of an adopted spool, everything of which has been loaded; False while it has an owner."""
    if not is_orphan(path):
        return False
    hidden = path.with_name(f".{path.name}.loaded")
    path.rename(hidden)
    shutil.rmtree(hidden)
    return True


def _adopt(path: Path) -> bool:
    lock = _take(path)
    if lock is None:
        return False
    try:
        meta = Meta.read(path)
        ring = Ring.open(Path(meta.ring), writable=False)
        if ring is None:  # adopted before, or the machine has started anew and its memory is gone
            _remove_memory(meta)
            return False
        _drain(path, meta, ring)
        ring.close(remove=False)
        if failpoints.ARMED:
            failpoints.reached("adoption.drained")
        _remove_memory(meta)
        return True
    finally:
        lock.release()


def _take(path: Path) -> Lock | None:
    try:
        return Lock.take(path)
    except FileNotFoundError:  # another loader has removed the folder
        return None


def _drain(path: Path, meta: Meta, ring: Ring) -> None:
    framing = Framing(bytes.fromhex(meta.salt))
    known = _end_of_segments(path, framing)
    segment = Segment.create(path, meta.uuid, known + 1)
    try:
        parts: list[bytes] = []
        for part in _missing(framing, meta, ring, known):
            parts.append(part)
            if sum(map(len, parts)) >= _WRITE_BYTES:
                _write(segment, parts)
                parts = []
        _write(segment, parts)
        if failpoints.ARMED:
            failpoints.reached("adoption.written")
        segment.sync()
    finally:
        segment.close()


def _write(segment: Segment, parts: list[bytes]) -> None:
    raw = b"".join(parts)
    if raw:
        segment.write([memoryview(raw)], len(raw))


def _missing(framing: Framing, meta: Meta, ring: Ring, known: int) -> Iterator[bytes]:
    """Yield the framed records behind ``known`` that memory holds, and gaps for the numbers that it does not."""
    at_us = meta.started_at_us
    for record in left_in_memory(framing, meta, ring):
        if last_seq(record) <= known:
            continue
        if record.seq > known + 1:
            yield framing.gap(Gap(known + 1, record.seq - 1, record.seq - 1 - known, DAMAGED, at_us, record.at_us))
        yield framing.frame(record.kind, record.model, record.seq, record.at_us, record.payload)
        known, at_us = last_seq(record), record.at_us
    for gap in PendingGaps(ring.memory).gaps():
        if gap.last_seq > known:
            yield framing.gap(gap)
            known, at_us = gap.last_seq, gap.to_us
    if ring.seq > known:
        yield framing.gap(Gap(known + 1, ring.seq, ring.seq - known, DAMAGED, at_us, at_us))


def left_in_memory(framing: Framing, meta: Meta, ring: Ring) -> Iterator[Record]:
    """Yield the whole records of ring and overflow, in order."""
    for _, record in framing.scan(ring.copy(ring.read, ring.write)):
        yield record
    start, end = ring.overflow_read, ring.overflow_write
    if end > start:
        try:
            with Path(meta.overflow).open("rb") as file:
                file.seek(start)
                raw = file.read(end - start)
        except FileNotFoundError:
            return
        for _, record in framing.scan(raw):
            yield record


def _end_of_segments(path: Path, framing: Framing) -> int:
    """Return the last number that the segments account for, and cut the torn tail off the newest."""
    known, numbers = 0, segment_numbers(path)
    for number in reversed(numbers):
        raw = segment_path(path, number).read_bytes()
        header, end = SegmentHeader.unpack(raw), SEGMENT_HEADER_BYTES
        if header is not None:
            known = header.base_seq - 1
        for behind, record in framing.scan(raw, SEGMENT_HEADER_BYTES):
            known, end = max(known, last_seq(record)), behind
        if number == numbers[-1] and end < len(raw):
            os.truncate(segment_path(path, number), end)
        if header is not None or known:
            break
    return known


def _remove_memory(meta: Meta) -> None:
    Path(meta.overflow).unlink(missing_ok=True)
    Path(meta.ring).unlink(missing_ok=True)


def _remove_unfinished(folder: Path) -> None:
    """Remove what an owner left that died while it made its spool, and what a remover left."""
    for hidden in [*folder.glob(".*.new"), *folder.glob(".*.loaded")]:
        try:
            if time.time() - hidden.stat().st_mtime < ABANDONED_SECONDS:
                continue
            lock = _take(hidden)
            if lock is None:
                continue
            if (hidden / META_NAME).is_file():
                _remove_memory(Meta.read(hidden))
            shutil.rmtree(hidden)
            lock.release()
        except (FileNotFoundError, SpoolError):  # another loader was faster
            shutil.rmtree(hidden, ignore_errors=True)
    if folder.is_dir():
        sync_folder(folder)
