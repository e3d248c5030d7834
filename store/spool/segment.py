"""Segments: append-only files of records on the local disk, numbered from 1.

Header, 64 bytes, little endian: magic 8 | version u16 | 6 bytes 0 | spool uuid 16 | number u64 | base seq u64 |
time i64 | crc32c of the 60 bytes before u32; the salt stands in META.json alone.

Invariants
----------
- A segment is created once (``O_EXCL``), with its name made durable, and never written again after the next exists.
- Its base seq is that of its first record: everything before lies in earlier segments or was counted as a gap.
- A write is all or nothing: what the disk took of a refused one is cut off again.
- A file descriptor whose ``fdatasync`` failed is never synced again: the kernel has forgotten which pages were dirty.
"""

import errno
import os
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from crc32c import crc32c

from driftline.store.records import now_us
from driftline.store.spool import failpoints
from driftline.store.spool.layout import COMPRESSED_SUFFIX, SEGMENT_SUFFIX, SUMMARY_SUFFIX, sync_folder

MAGIC: Final = b"DLsegmt1"
VERSION: Final = 1
_FIELDS: Final = struct.Struct("<8sH6x16sQQq4x")
_CHECKSUM: Final = struct.Struct("<I")
SEGMENT_HEADER_BYTES: Final = _FIELDS.size + _CHECKSUM.size


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What stands before the first record."""

    uuid: str
    number: int
    base_seq: int
    made_at_us: int

    def pack(self) -> bytes:
        fields = _FIELDS.pack(MAGIC, VERSION, uuid.UUID(self.uuid).bytes, self.number, self.base_seq, self.made_at_us)
        return fields + _CHECKSUM.pack(crc32c(fields))

    @classmethod
    def unpack(cls, raw: bytes) -> Self | None:
        """Return the header, or None when it is cut, altered or of another version."""
        if len(raw) < SEGMENT_HEADER_BYTES or _CHECKSUM.unpack_from(raw, _FIELDS.size)[0] != crc32c(
            raw[: _FIELDS.size]
        ):
            return None
        magic, version, uuid_, number, base_seq, made_at_us = _FIELDS.unpack_from(raw)
        if magic != MAGIC or version != VERSION:
            return None
        return cls(str(uuid.UUID(bytes=uuid_)), number, base_seq, made_at_us)


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:010d}{SEGMENT_SUFFIX}"


def compressed_path(folder: Path, number: int) -> Path:
    return folder / f"{number:010d}{COMPRESSED_SUFFIX}"


def summary_path(folder: Path, number: int) -> Path:
    return folder / f"{number:010d}{SUMMARY_SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """Return the numbers of the segments in ``folder``, plain and compressed, in order.

    A listing of many names is no snapshot: a segment that is compressed meanwhile may be met under neither name.
    Numbers follow each other, so a hole is looked at again; one that is found twice is real.
    """
    found = _numbers_listed(folder)
    while found and len(found) <= found[-1] - found[0]:
        again = _numbers_listed(folder)
        if again == found:
            break
        found = again
    return found


def _numbers_listed(folder: Path) -> list[int]:
    found = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, dot, suffix = entry.name.partition(".")
            if dot + suffix in {SEGMENT_SUFFIX, COMPRESSED_SUFFIX} and stem.isdigit():
                found.add(int(stem))
    return sorted(found)


def segment_bytes(folder: Path) -> int:
    """Return what the segments in ``folder`` take of the disk, those that are just being compressed included.

    Raises:
        FileNotFoundError: the folder or a segment went meanwhile.
    """
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_size for entry in entries if SEGMENT_SUFFIX in entry.name)


def remove_segments(folder: Path, before: int) -> int:
    """Remove the segments with smaller numbers in whatever form, with what is kept beside them; return how many."""
    found: dict[int, list[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            stem = entry.name.partition(".")[0]
            if stem.isdigit() and int(stem) < before:
                found.setdefault(int(stem), []).append(entry.name)
    for number in sorted(found):
        for name in found[number]:
            (folder / name).unlink(missing_ok=True)
    return len(found)


class Segment:
    """An open segment that this process appends to."""

    def __init__(self, path: Path, number: int, descriptor: int) -> None:
        self.path = path
        self.number = number
        self.size = 0
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path, spool_uuid: str, base_seq: int) -> Self:
        """Make the next segment of the spool in ``folder``.

        Raises:
            OSError: the disk refuses; nothing is left behind.
        """
        number = max(segment_numbers(folder), default=0) + 1
        path = segment_path(folder, number)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        segment = cls(path, number, os.open(path, flags, 0o600))
        try:
            header = SegmentHeader(spool_uuid, number, base_seq, now_us()).pack()
            segment.write([memoryview(header)], len(header))
            sync_folder(folder)
        except OSError:
            segment.close()
            path.unlink(missing_ok=True)
            raise
        if failpoints.ARMED:
            failpoints.reached("segment.created")
        return segment

    def write(self, views: Sequence[memoryview], size: int) -> None:
        """Append all bytes of ``views``, ``size`` in all, or none.

        Raises:
            OSError: the disk refuses.
        """
        try:
            written = os.writev(self._descriptor, views)
            while written < size:  # a signal or a disk that is nearly full: the rest, or the error that says why not
                rest = os.write(self._descriptor, b"".join(views)[written:])
                if not rest:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written += rest
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += size

    def sync(self) -> None:
        """Wait until the medium holds what was written.

        Raises:
            OSError: it may not; this segment must not be synced again.
        """
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)
