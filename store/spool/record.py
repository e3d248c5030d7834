"""How a record lies in the ring, in the overflow and in a segment: 36 bytes of header, then the payload.

    magic 4 | length u32 | kind u8 | flags u8 | model u16 | seq u64 | at_us i64 | crc32c of the payload u32
    crc32c of the salt and the 32 bytes before u32                                        little endian

Invariants
----------
- A header is believed only when its checksum agrees, and that begins with the spool's secret salt: bytes of a client
  that look like records are never taken for records.
- Damage costs the record that it lies in: the next header that can be believed is searched, and read on from there.
- Sequence numbers begin at 1 and rise by one with every record and every dropped record; a gap record stands for the
  numbers from its own to ``Gap.last_seq``.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, Self

from crc32c import crc32c

MAGIC: Final = b"dLr1"
_FIELDS: Final = struct.Struct("<4sIBBHQqI")
_CHECKSUM: Final = struct.Struct("<I")
HEADER: Final = struct.Struct("<4sIBBHQqII")
HEADER_BYTES: Final = HEADER.size
SALT_BYTES: Final = 8
DAMAGED: Final = "damaged"


class Kind(IntEnum):
    """What the payload of a record is."""

    INVOCATION = 0
    TYPED = 1
    GAP = 2


class Record(NamedTuple):
    """One whole record; ``model`` is the index that ``Spool.declare_model`` returned.

    A named tuple, because the loader makes one for every answer: a frozen dataclass takes three times as long.
    """

    seq: int
    kind: Kind
    model: int
    at_us: int
    payload: bytes


_GAP: Final = struct.Struct("<QQQqq")


@dataclass(frozen=True, slots=True)
class Gap:
    """Sequence numbers that have no record: how many, why, and between which times."""

    first_seq: int
    last_seq: int
    count: int
    reason: str
    from_us: int
    to_us: int

    def pack(self) -> bytes:
        """Return the payload of a gap record; ``unpack`` is its inverse."""
        return _GAP.pack(self.first_seq, self.last_seq, self.count, self.from_us, self.to_us) + self.reason.encode()

    @classmethod
    def unpack(cls, payload: bytes) -> Self:
        first_seq, last_seq, count, from_us, to_us = _GAP.unpack_from(payload)
        return cls(first_seq, last_seq, count, payload[_GAP.size :].decode(errors="replace"), from_us, to_us)


class Framing:
    """Makes and checks the headers of one spool.

    Args:
        salt: the spool's secret, ``SALT_BYTES`` random bytes.
    """

    __slots__ = ("_state",)

    def __init__(self, salt: bytes) -> None:
        self._state: int = crc32c(salt)

    def header(self, kind: int, model: int, seq: int, at_us: int, length: int, checksum: int) -> bytes:
        """Return the header of a payload of ``length`` bytes whose CRC32C is ``checksum``."""
        fields = _FIELDS.pack(MAGIC, length, kind, 0, model, seq, at_us, checksum)
        return fields + _CHECKSUM.pack(crc32c(fields, self._state))

    def checksum(self, fields: bytes) -> int:
        """Return the CRC32C of the salt and ``fields``: nobody without the salt can tell it."""
        return int(crc32c(fields, self._state))

    def frame(self, kind: Kind, model: int, seq: int, at_us: int, payload: bytes) -> bytes:
        """Return header and payload."""
        return self.header(kind, model, seq, at_us, len(payload), crc32c(payload)) + payload

    def gap(self, gap: Gap) -> bytes:
        """Return the framed gap record."""
        return self.frame(Kind.GAP, 0, gap.first_seq, gap.to_us, gap.pack())

    def frame_bytes(self, raw: bytes, at: int) -> int | None:
        """Return the length of the record at ``at`` with its header, or None where no header can be believed."""
        if raw[at : at + 4] != MAGIC or at + HEADER_BYTES > len(raw):
            return None
        expected: int = _CHECKSUM.unpack_from(raw, at + _FIELDS.size)[0]
        if crc32c(raw[at : at + _FIELDS.size], self._state) != expected:
            return None
        return HEADER_BYTES + int(_CHECKSUM.unpack_from(raw, at + 4)[0])

    def find(self, raw: bytes, at: int) -> int | None:
        """Return where the next believable header at or after ``at`` begins."""
        while (at := raw.find(MAGIC, at)) >= 0:
            if self.frame_bytes(raw, at) is not None:
                return at
            at += 1
        return None

    def heads(self, raw: bytes, at: int = 0) -> Iterator[tuple[int, int, int, int, int]]:
        """Yield where each record of ``raw`` begins, how long it is with its header, its kind, number and time.

        Payloads are not looked at, and the last one may reach beyond ``raw``. Damaged headers are passed over.
        """
        state, size_of_fields, end = self._state, _FIELDS.size, len(raw)
        while at + HEADER_BYTES <= end:
            magic, length, kind, _, _, seq, at_us, _, expected = HEADER.unpack_from(raw, at)
            if magic != MAGIC or crc32c(raw[at : at + size_of_fields], state) != expected:
                found = self.find(raw, at + 1)
                if found is None:
                    return
                at = found
                continue
            if kind in _KINDS:
                yield at, HEADER_BYTES + length, kind, seq, at_us
            at += HEADER_BYTES + length

    def scan(self, raw: bytes, at: int = 0) -> Iterator[tuple[int, Record]]:
        """Yield the whole records of ``raw`` from ``at``, each with the offset behind it.

        What is damaged is passed over when a whole record follows it; what is cut at the end is left.
        """
        state, size_of_fields, end = self._state, _FIELDS.size, len(raw)
        while at + HEADER_BYTES <= end:
            magic, length, kind, _, model, seq, at_us, checksum, expected = HEADER.unpack_from(raw, at)
            if magic != MAGIC or crc32c(raw[at : at + size_of_fields], state) != expected:
                found = self.find(raw, at + 1)
                if found is None:
                    return
                at = found
                continue
            start = at + HEADER_BYTES
            at = start + length
            if at > end:
                return
            payload = raw[start:at]
            if crc32c(payload) == checksum and kind in _KINDS:
                yield at, Record(seq, _KINDS[kind], model, at_us, payload)


_KINDS: Final = {int(kind): kind for kind in Kind}


def last_seq(record: Record) -> int:
    """Return the last sequence number that the record accounts for."""
    return Gap.unpack(record.payload).last_seq if record.kind is Kind.GAP else record.seq
