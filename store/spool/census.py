"""How many records and drops a spool's segments hold, told without reading what was answered long ago.

A sealed segment is counted once; the counts are kept beside it (``NNNNNNNNNN.sum``, JSON behind its CRC32C). Counting
walks from header to header and looks at no payload: a record whose payload is damaged counts as a record until the
loader meets it.

Invariants
----------
- Every number between a position and the end is counted once, as a record or as dropped: base seqs tell what is missing
  between segments, and a segment that overlaps with what is known is walked, not believed.
- Only the partly read first segment and the open last one are walked, once the others have been counted.
- A summary that is missing, cut or altered is no summary: the segment is walked instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Final

import orjson
from crc32c import crc32c

from driftline.store.spool.layout import write_durably
from driftline.store.spool.reader import Position
from driftline.store.spool.record import DAMAGED, HEADER_BYTES, Framing, Gap, Kind
from driftline.store.spool.segment import SEGMENT_HEADER_BYTES, SegmentHeader, segment_numbers, summary_path
from driftline.store.spool.segment_file import SegmentFile, open_segment

_READ_BYTES: Final = 4 << 20
_LAST_NUMBER: Final = 1 << 63


@dataclass
class Census:
    """Numbers up to ``known`` are accounted for; those behind the start are ``records`` or ``dropped`` by reason.

    Attributes:
        oldest_at_us: time of the first record; None when there is none.
    """

    known: int
    records: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    oldest_at_us: int | None = None

    def drop(self, last_seq: int, reason: str) -> None:
        """Account for the numbers up to ``last_seq``, which have no record."""
        if last_seq > self.known:
            self.dropped[reason] = self.dropped.get(reason, 0) + last_seq - self.known
            self.known = last_seq


@dataclass(frozen=True, slots=True)
class Summary:
    """What a sealed segment holds: every number from ``first_seq`` to ``last_seq``, as a record or dropped."""

    first_seq: int
    last_seq: int
    dropped: dict[str, int]


def take_census(path: Path, framing: Framing, position: Position, until: int | None) -> Census:
    """Count what the segments of the spool in ``path`` hold behind ``position``.

    Args:
        until: the last number that counts; None means all that are there.
    """
    census, last = Census(position.seq), _LAST_NUMBER if until is None else until
    numbers = [number for number in segment_numbers(path) if number >= position.segment]
    for number, following in zip_longest(numbers, numbers[1:]):
        if census.known >= last:
            break
        begun = number == position.segment and position.offset > 0
        summary = None if begun or following is None else read_summary(path, number)
        try:
            if summary is not None and census.known < summary.first_seq and summary.last_seq <= last:
                _add(census, summary, path, number, framing)
            else:
                with open_segment(path, number, framing) as segment:
                    _walk(census, segment, framing, position.offset if begun else 0, last)
        except FileNotFoundError:  # a loader has read and removed it
            break
    return census


def summarise(path: Path, number: int, framing: Framing) -> None:
    """Count a sealed segment and keep the counts beside it.

    A segment whose own header is damaged does not tell where its numbers begin; its counts are no summary and are only
    there so that it is not counted again and again.

    Raises:
        FileNotFoundError: the segment is gone.
        OSError: the disk refuses.
    """
    with open_segment(path, number, framing) as segment:
        header = SegmentHeader.unpack(segment.read(0, SEGMENT_HEADER_BYTES))
        first_seq = 0 if header is None else header.base_seq
        census = Census(max(0, first_seq - 1))
        if header is not None:
            _walk(census, segment, framing, SEGMENT_HEADER_BYTES, _LAST_NUMBER)
    content = orjson.dumps({"first_seq": first_seq, "last_seq": census.known, "dropped": census.dropped})
    write_durably(summary_path(path, number), b"%08x %s" % (crc32c(content), content))


def read_summary(path: Path, number: int) -> Summary | None:
    """Return what was counted of a segment, or None when it has to be counted again."""
    try:
        checksum, _, content = summary_path(path, number).read_bytes().partition(b" ")
    except FileNotFoundError:
        return None
    if checksum != b"%08x" % crc32c(content):
        return None
    return Summary(**orjson.loads(content))


def _add(census: Census, summary: Summary, path: Path, number: int, framing: Framing) -> None:
    census.drop(summary.first_seq - 1, DAMAGED)
    dropped = sum(summary.dropped.values())
    records = summary.last_seq - summary.first_seq + 1 - dropped
    if records and census.oldest_at_us is None:
        with open_segment(path, number, framing) as segment:
            heads = _heads(segment, framing, SEGMENT_HEADER_BYTES)
            census.oldest_at_us = next((at_us for kind, _, at_us, _ in heads if kind != Kind.GAP), None)
    for reason, count in summary.dropped.items():
        census.dropped[reason] = census.dropped.get(reason, 0) + count
    census.records += records
    census.known = summary.last_seq


def _walk(census: Census, segment: SegmentFile, framing: Framing, offset: int, last: int) -> None:
    """Count the records from ``offset`` on, up to the number ``last``."""
    if offset == 0:
        header = SegmentHeader.unpack(segment.read(0, SEGMENT_HEADER_BYTES))
        offset = SEGMENT_HEADER_BYTES
        if header is not None:
            census.drop(min(header.base_seq - 1, last), DAMAGED)
    for kind, seq, at_us, gap in _heads(segment, framing, offset):
        if census.known >= last:
            return
        census.drop(min(seq - 1, last), DAMAGED)
        if gap is not None:
            census.drop(min(gap.last_seq, last), gap.reason)
        elif kind != Kind.GAP and census.known < seq <= last:
            census.records += 1
            census.known = seq
            if census.oldest_at_us is None:
                census.oldest_at_us = at_us


def _heads(segment: SegmentFile, framing: Framing, offset: int) -> Iterator[tuple[int, int, int, Gap | None]]:
    """Yield kind, number, time and, of a gap, what its payload tells, of each record that lies whole in the segment."""
    while offset + HEADER_BYTES <= segment.size:
        raw = segment.read(offset, _READ_BYTES)
        behind = 0
        for at, size, kind, seq, at_us in framing.heads(raw):
            if offset + at + size > segment.size:
                return
            gap = None
            if kind == Kind.GAP:
                if at + size > len(raw):
                    behind = at
                    break
                found = next(framing.scan(raw[at : at + size]), None)
                gap = None if found is None else Gap.unpack(found[1].payload)
            yield kind, seq, at_us, gap
            behind = at + size
        offset += behind or max(1, len(raw) - HEADER_BYTES + 1)
