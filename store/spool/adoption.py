"""Finish what a dead owner left: its ring and overflow become a segment, and an empty last segment seals the spool.

Invariants
----------
- Only the holder of the spool's lock adopts, so a spool is adopted once however many try.
- A spool that cannot be adopted stops no other.
- The ring is removed after its records are on the medium; a kill in between lets the next adopter do it again, and
  what is written twice has the same numbers.
- After adoption every number that was used up lies in a segment, as a record or in a gap; the torn tail of the
  segment that was being written is cut off.
- Nothing follows the seal, and its base seq tells where the numbers ended. A spool is removed only when the seal is
  all that the readers have left of it.
"""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from driftline.store.errors import SpoolError
from driftline.store.spool import failpoints
from driftline.store.spool.layout import META_NAME, Meta, sync_folder
from driftline.store.spool.loaded import note_loaded
from driftline.store.spool.lock import Lock
from driftline.store.spool.pending_gaps import PendingGaps
from driftline.store.spool.record import DAMAGED, Framing, Gap, Record, last_seq
from driftline.store.spool.ring import Ring
from driftline.store.spool.segment import SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_numbers, segment_path
from driftline.store.spool.segment_file import open_segment

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
        SpoolError, OSError: what was met first; the others have been adopted all the same, and what was not stays as it
            is, for the next call.
    """
    _remove_unfinished(folder)
    adopted: list[Path] = []
    trouble: SpoolError | OSError | None = None
    for path in spools(folder):
        try:
            if _adopt(path):
                adopted.append(path)
        except (SpoolError, OSError) as error:
            trouble = trouble or error
    if trouble is not None:
        raise trouble
    return adopted


def remove_loaded(path: Path) -> bool:
    """Remove the folder of an adopted spool of which only the seal is left; return whether it was removed.

    ``SpoolReader.delete_consumed`` leaves only the seal when everything before it has been read.
    """
    lock = _take(path)
    if lock is None:
        return False
    try:
        if Path(Meta.read(path).ring).exists() or not _is_sealed(path) or len(segment_numbers(path)) > 1:
            return False
        note_loaded(path.parent, path.name)
        hidden = path.with_name(f".{path.name}.loaded")
        path.rename(hidden)
    finally:
        lock.release()
    shutil.rmtree(hidden)
    return True


def _adopt(path: Path) -> bool:
    lock = _take(path)
    if lock is None:
        return False
    try:
        meta = Meta.read(path)
        ring = Ring.open(Path(meta.ring), writable=False)
        if ring is None and _is_sealed(path):
            return False
        framing = Framing(bytes.fromhex(meta.salt))
        known = _end_of_segments(path, framing)
        if ring is not None:  # else closed, or the machine has started anew and its memory is gone
            known = _drain(path, meta, framing, ring, known)
            ring.close(remove=False)
        _seal(path, meta, known)
        if failpoints.ARMED:
            failpoints.reached("adoption.sealed")
        _remove_memory(meta)
        return True
    finally:
        lock.release()


def _take(path: Path) -> Lock | None:
    try:
        return Lock.take(path)
    except FileNotFoundError:  # another loader has removed the folder
        return None


def _drain(path: Path, meta: Meta, framing: Framing, ring: Ring, known: int) -> int:
    """Write what memory holds behind ``known`` into a segment, and return the last number accounted for."""
    segment = Segment.create(path, meta.uuid, known + 1)
    try:
        parts: list[bytes] = []
        for last, part in _missing(framing, meta, ring, known):
            parts.append(part)
            known = last
            if sum(map(len, parts)) >= _WRITE_BYTES:
                _write(segment, parts)
                parts = []
        _write(segment, parts)
        if failpoints.ARMED:
            failpoints.reached("adoption.written")
        segment.sync()
    finally:
        segment.close()
    return known


def _seal(path: Path, meta: Meta, known: int) -> None:
    segment = Segment.create(path, meta.uuid, known + 1)
    try:
        segment.sync()
    finally:
        segment.close()


def _is_sealed(path: Path) -> bool:
    numbers = segment_numbers(path)
    return bool(numbers) and segment_path(path, numbers[-1]).stat().st_size == SEGMENT_HEADER_BYTES


def _write(segment: Segment, parts: list[bytes]) -> None:
    raw = b"".join(parts)
    if raw:
        segment.write([memoryview(raw)], len(raw))


def _missing(framing: Framing, meta: Meta, ring: Ring, known: int) -> Iterator[tuple[int, bytes]]:
    """Yield the framed records behind ``known`` that memory holds, and gaps for the numbers that it does not.

    With each goes the last number that it accounts for.
    """
    at_us = meta.started_at_us
    for record in _left_in_memory(framing, meta, ring):
        if last_seq(record) <= known:
            continue
        if record.seq > known + 1:
            missing = Gap(known + 1, record.seq - 1, record.seq - 1 - known, DAMAGED, at_us, record.at_us)
            yield missing.last_seq, framing.gap(missing)
        known, at_us = last_seq(record), record.at_us
        yield known, framing.frame(record.kind, record.model, record.seq, record.at_us, record.payload)
    for gap in PendingGaps(ring.memory).gaps():
        last = min(gap.last_seq, ring.seq)  # a kill amid a drop may leave a number that was not used up
        if last > known:
            known, at_us = last, gap.to_us
            yield known, framing.gap(replace(gap, last_seq=last, count=last - gap.first_seq + 1))
    if ring.seq > known:
        yield ring.seq, framing.gap(Gap(known + 1, ring.seq, ring.seq - known, DAMAGED, at_us, at_us))


def _left_in_memory(framing: Framing, meta: Meta, ring: Ring) -> Iterator[Record]:
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
        with open_segment(path, number, framing) as segment:
            raw = segment.read(0, segment.size)
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
