"""Compressed segments: the plain file in blocks of 1 MiB, each a zstd frame behind a header of its own.

Header, 40 bytes, little endian: 0x184D2A5D u32 | 32 u32 | magic 4 | offset u64 | bytes u32 | packed bytes u32 |
crc32c of the packed bytes u32 | 4 bytes 0 | crc32c of the salt and the 36 bytes before u32. The first two numbers make
it a "skippable frame", so that ``zstd -d`` restores the plain segment from the file as it is.

Invariants
----------
- Offsets are those of the plain file, byte for byte; nobody who holds one can tell which form it is read from.
- A damaged block costs the records that lie in it or reach into it: its bytes read as zeros, and what follows keeps its
  offset, because each block tells its own.
- A block header is believed only with its salted checksum, as a record's is.
- At any instant of a death the segment is there in one form at least, whole and synced; where both forms are there,
  they hold the same, and the plain one is the one that is read.
"""

import os
import struct
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import zstandard
from crc32c import crc32c

from driftline.store.spool import failpoints
from driftline.store.spool.layout import sync_folder
from driftline.store.spool.record import Framing
from driftline.store.spool.segment import compressed_path, segment_path

BLOCK_BYTES: Final = 1 << 20
LEVEL: Final = 1
WORTHWHILE: Final = 0.9  # of its size: a segment that stays larger stays plain
_MAGIC: Final = struct.pack("<II4s", 0x184D2A5D, 32, b"dLz1")
_FIELDS: Final = struct.Struct("<12sQIII4x")
_CHECKSUM: Final = struct.Struct("<I")
BLOCK_HEADER_BYTES: Final = _FIELDS.size + _CHECKSUM.size
_SEARCH_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class _Block:
    """A block's place in the compressed file, and what it covers of the plain one."""

    place: int
    offset: int
    size: int
    packed_size: int
    checksum: int


def compress_segment(folder: Path, number: int, framing: Framing) -> bool:
    """Put the compressed form in the place of a segment that nobody writes any more; return whether it was worth it.

    Raises:
        FileNotFoundError: the segment is gone.
        OSError: the disk refuses; the segment stays as it is.
    """
    plain, packed = segment_path(folder, number), compressed_path(folder, number)
    if not packed.exists():
        draft = packed.with_name(f"{packed.name}.tmp")
        try:
            if not _write(plain, draft, framing):
                draft.unlink()
                return False
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        draft.rename(packed)
        if failpoints.ARMED:
            failpoints.reached("compress.renamed")
    sync_folder(folder)
    plain.unlink(missing_ok=True)
    if failpoints.ARMED:
        failpoints.reached("compress.removed")
    return True


def _write(plain: Path, draft: Path, framing: Framing) -> bool:
    """Write and sync the compressed form of ``plain``; return whether it is worth to keep."""
    pack = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True).compress
    offset = written = 0
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with plain.open("rb", buffering=0) as source, open(descriptor, "wb", closefd=False) as target:
            while block := source.read(BLOCK_BYTES):
                packed = pack(block)
                fields = _FIELDS.pack(_MAGIC, offset, len(block), len(packed), crc32c(packed))
                written += target.write(fields + _CHECKSUM.pack(framing.checksum(fields)) + packed)
                offset += len(block)
                if failpoints.ARMED:
                    failpoints.reached("compress.block")
        if written > WORTHWHILE * offset:
            return False
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if failpoints.ARMED:
        failpoints.reached("compress.synced")
    return True


class CompressedSegment:
    """A compressed segment open for reading."""

    def __init__(self, descriptor: int, framing: Framing) -> None:
        self._descriptor = descriptor
        self._framing = framing
        self._unpack = zstandard.ZstdDecompressor().decompress
        self._newest: tuple[int, bytes] = (-1, b"")
        try:
            self._blocks = self._find_blocks(os.fstat(descriptor).st_size)
        except OSError:
            os.close(descriptor)
            raise
        self._offsets = [block.offset for block in self._blocks]
        self.size = self._blocks[-1].offset + self._blocks[-1].size if self._blocks else 0

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes of the plain file, zeros for those that are damaged."""
        end = min(offset + size, self.size)
        parts: list[bytes] = []
        index = max(0, bisect_right(self._offsets, offset) - 1)
        while offset < end:
            block = self._blocks[index]
            if not block.offset <= offset < block.offset + block.size:  # the headers before the next block are damaged
                index += block.offset <= offset
                part = bytes(min(end, self._blocks[index].offset) - offset)
            else:
                part = self._content(index)[offset - block.offset : end - block.offset]
                index += 1
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def _content(self, index: int) -> bytes:
        if self._newest[0] != index:
            block = self._blocks[index]
            packed = os.pread(self._descriptor, block.packed_size, block.place)
            try:
                whole = crc32c(packed) == block.checksum
                raw = self._unpack(packed, max_output_size=block.size) if whole else b""
            except zstandard.ZstdError:
                raw = b""
            self._newest = index, raw if len(raw) == block.size else bytes(block.size)
        return self._newest[1]

    def _find_blocks(self, size: int) -> list[_Block]:
        blocks: list[_Block] = []
        place = end = 0
        while place + BLOCK_HEADER_BYTES <= size:
            block = self._header(place) or self._search(place + 1)
            if block is None:
                break
            place = block.place + block.packed_size
            if block.offset >= end:
                blocks.append(block)
                end = block.offset + block.size
        return blocks

    def _header(self, place: int) -> _Block | None:
        raw = os.pread(self._descriptor, BLOCK_HEADER_BYTES, place)
        if len(raw) < BLOCK_HEADER_BYTES or not raw.startswith(_MAGIC):
            return None
        fields = raw[: _FIELDS.size]
        if self._framing.checksum(fields) != _CHECKSUM.unpack_from(raw, _FIELDS.size)[0]:
            return None
        _, offset, size, packed_size, checksum = _FIELDS.unpack(fields)
        return _Block(place + BLOCK_HEADER_BYTES, offset, size, packed_size, checksum)

    def _search(self, place: int) -> _Block | None:
        """Return the next block at or behind ``place`` whose header can be believed."""
        while len(raw := os.pread(self._descriptor, _SEARCH_BYTES, place)) >= BLOCK_HEADER_BYTES:
            at = raw.find(_MAGIC)
            while at >= 0:
                if (block := self._header(place + at)) is not None:
                    return block
                at = raw.find(_MAGIC, at + 1)
            place += len(raw) - len(_MAGIC) + 1
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
