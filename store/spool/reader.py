"""The loader's side of a spool: records in order from a position, also while another process still writes.

Invariants
----------
- Every sequence number is reported once, as a record or in a gap: a number that is skipped, because its record or
  its gap record is damaged, is a gap with the reason ``damaged``. A number that is met again is passed over.
- A tail that cannot be read in the newest segment is "not yet there": it is reported only when something follows it.
- Offsets are those of the uncompressed bytes: a position stays right while its segment is being compressed.
- What a position says has been read does not depend on the segments before it, which may be gone.
"""

from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Final

from driftline.store.errors import SpoolError
from driftline.store.records import ModelIdentity
from driftline.store.spool.layout import MODELS_NAME, Meta
from driftline.store.spool.record import DAMAGED, HEADER_BYTES, Framing, Gap, Kind, Record
from driftline.store.spool.segment import SEGMENT_HEADER_BYTES, SegmentHeader, remove_segments, segment_numbers
from driftline.store.spool.segment_file import open_segment

_READ_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a spool has been read: ``offset`` in ``segment`` is next, ``seq`` was the last number accounted for."""

    segment: int = 0
    offset: int = 0
    seq: int = 0


@dataclass
class Batch:
    """What was read: ``end`` is where to read on once it has been kept."""

    end: Position
    records: list[Record] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class SpoolReader:
    """Reads one spool; ``position`` moves with every ``read`` and may be set back.

    Args:
        path: the spool's folder.
        position: where to begin; None means at the first segment.

    Raises:
        SpoolError: the spool's META.json cannot be read.
    """

    def __init__(self, path: Path, position: Position | None = None) -> None:
        self.path = path
        self.position = position or Position()
        self._framing = Framing(bytes.fromhex(Meta.read(path).salt))
        self._models: dict[int, ModelIdentity] = {}

    def model(self, index: int) -> ModelIdentity:
        """Return what was declared under ``index``.

        Raises:
            SpoolError: nothing was, or its file cannot be read.
        """
        if index not in self._models:
            path = self.path / MODELS_NAME / f"{index}.json"
            try:
                self._models[index] = ModelIdentity.from_json(path.read_bytes())
            except (OSError, ValueError, TypeError) as error:
                raise SpoolError(
                    f"{path} does not tell the model of a record ({type(error).__name__}): restore it from a copy"
                ) from error
        return self._models[index]

    def read(self, max_records: int = 20_000, max_bytes: int = 8 << 20) -> Batch:
        """Return what follows the position: at most ``max_records`` records, and one beyond ``max_bytes`` of payload.

        An empty batch with ``end == position`` means that nothing more is there yet.
        """
        collector = _Collector(self.position, max_records, max_bytes)
        numbers = [n for n in segment_numbers(self.path) if n >= self.position.segment]
        for number, following in zip_longest(numbers, numbers[1:]):
            try:
                self._read_segment(collector, number, is_sealed=following is not None)
            except FileNotFoundError:  # another loader has read and removed it
                break
            if collector.is_full() or following is None:
                break
        self.position = collector.position
        return Batch(collector.position, collector.records, collector.gaps)

    def delete_consumed(self, position: Position) -> int:
        """Remove the segments that lie wholly before ``position`` and return how many they were."""
        return remove_segments(self.path, position.segment)

    def _read_segment(self, collector: "_Collector", number: int, *, is_sealed: bool) -> None:
        with open_segment(self.path, number, self._framing) as segment:
            if number != collector.position.segment:
                header = SegmentHeader.unpack(segment.read(0, SEGMENT_HEADER_BYTES))
                collector.enter(number, header)
            want = _READ_BYTES
            while not collector.is_full() and (offset := collector.position.offset) < segment.size:
                raw = segment.read(offset, want)
                for end, record in self._framing.scan(raw):
                    collector.take(record, offset + end)
                    if collector.is_full():
                        break
                if collector.position.offset > offset:
                    want = _READ_BYTES
                elif len(raw) == want:  # a record longer than this, or damage: look further
                    want = max(self._framing.frame_bytes(raw, 0) or 0, want * 4)
                elif is_sealed:
                    collector.skip_to(segment.size)
                else:
                    return


class _Collector:
    """Fills a batch and keeps account of the sequence numbers."""

    def __init__(self, position: Position, max_records: int, max_bytes: int) -> None:
        self.records: list[Record] = []
        self.gaps: list[Gap] = []
        self._segment, self._offset, self._seq = position.segment, position.offset, position.seq
        self._records_left = max_records
        self._bytes_left = max_bytes
        self._at_us = 0

    @property
    def position(self) -> Position:
        return Position(self._segment, self._offset, self._seq)

    def is_full(self) -> bool:
        return self._records_left <= 0 or self._bytes_left <= 0

    def enter(self, number: int, header: SegmentHeader | None) -> None:
        """Begin a segment; its base seq tells what is missing at the end of the one before."""
        self._segment, self._offset = number, SEGMENT_HEADER_BYTES
        if header is not None:
            self._account_until(header.base_seq, header.made_at_us)

    def take(self, record: Record, end: int) -> None:
        """Add what has not been seen yet; ``end`` is the offset behind it."""
        self._offset = end
        if record.kind is Kind.GAP:
            gap = Gap.unpack(record.payload)
            self._account_until(gap.first_seq, gap.from_us)
            if gap.last_seq > self._seq:
                self.gaps.append(replace(gap, first_seq=self._seq + 1, count=gap.last_seq - self._seq))
                self._seq = gap.last_seq
        elif record.seq > self._seq:
            self._account_until(record.seq, record.at_us)
            self.records.append(record)
            self._seq = record.seq
            self._records_left -= 1
            self._bytes_left -= HEADER_BYTES + len(record.payload)
            self._at_us = record.at_us

    def skip_to(self, offset: int) -> None:
        self._offset = offset

    def _account_until(self, seq: int, at_us: int) -> None:
        """Report the numbers between the last one and ``seq``, both excluded, as damaged."""
        if seq > self._seq + 1:
            first, last = self._seq + 1, seq - 1
            self.gaps.append(Gap(first, last, last - first + 1, DAMAGED, self._at_us or at_us, at_us))
            self._seq = last
