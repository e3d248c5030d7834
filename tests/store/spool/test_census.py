"""Counting without reading: the same counts as a reader finds, from any position, in any form of the segments."""

import random
from collections import Counter
from pathlib import Path

import pytest

from driftline.store.spool import census as census_module
from driftline.store.spool.census import Summary, read_summary, summarise, take_census
from driftline.store.spool.compressed import compress_segment
from driftline.store.spool.inspect import inspect
from driftline.store.spool.reader import Position, SpoolReader
from driftline.store.spool.record import Gap
from driftline.store.spool.segment import (
    SEGMENT_HEADER_BYTES,
    SegmentHeader,
    segment_numbers,
    segment_path,
    summary_path,
)

REASONS = ["ring_full", "disk_full", "disk_budget"]


def write_random_spool(written, chance: random.Random) -> int:
    """Segments of records and gaps; some overlap, some numbers between two segments are missing. Return the last."""
    seq = 0
    for _ in range(chance.randrange(2, 7)):
        base, parts = seq + 1, []
        if seq and chance.random() < 0.2:
            base, seq = max(1, seq - 3), max(0, seq - 4)
        elif chance.random() < 0.2:
            base, seq = base + 5, seq + 5
        for _ in range(chance.randrange(12)):
            if chance.random() < 0.2:
                last = seq + chance.randrange(1, 30)
                parts.append(written.framing.gap(Gap(seq + 1, last, last - seq, chance.choice(REASONS), seq, last)))
                seq = last
            else:
                parts.append(written.frames([seq + 1], chance.choice([0, 40, 3000])))
                seq += 1
        written.add_segment(base, b"".join(parts))
    return seq


def counted_by_reading(folder: Path, position: Position) -> tuple[int, Counter[str], int | None, int]:
    """Records, drops by reason, the time of the oldest record, and the last number, as the loader would meet them."""
    reader, records, dropped, oldest = SpoolReader(folder, position), 0, Counter[str](), None
    while True:
        before = reader.position
        batch = reader.read()
        if batch.end == before:
            return records, dropped, oldest, before.seq
        records += len(batch.records)
        for gap in batch.gaps:
            dropped[gap.reason] += gap.count
        if oldest is None and batch.records:
            oldest = batch.records[0].at_us


def positions_in(folder: Path) -> list[Position]:
    """All positions that a loader may have between two batches."""
    reader, found = SpoolReader(folder), [Position()]
    while (batch := reader.read(max_records=1)).end != found[-1]:
        found.append(batch.end)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_what_is_counted_is_what_a_reader_finds(written, seed: int) -> None:
    chance = random.Random(seed)
    write_random_spool(written, chance)
    sealed = segment_numbers(written.folder)[:-1]
    for number in sealed:
        if chance.random() < 0.7:
            summarise(written.folder, number, written.framing)
        if chance.random() < 0.5:
            compress_segment(written.folder, number, written.framing)
    for position in positions_in(written.folder):
        records, dropped, oldest, last = counted_by_reading(written.folder, position)
        state = inspect(written.folder, position)
        assert (state.on_disk, state.dropped, state.oldest_at_us) == (records, dropped, oldest), position
        assert state.answered == last == position.seq + state.on_disk + sum(state.dropped.values())


@pytest.mark.parametrize("seed", range(20))
def test_up_to_any_number_it_counts_that_many(written, seed: int) -> None:
    """A living spool is counted up to the number that its memory told: behind it the writer may have gone on."""
    chance = random.Random(1000 + seed)
    last = write_random_spool(written, chance)
    for number in segment_numbers(written.folder)[:-1]:
        if chance.random() < 0.5:
            summarise(written.folder, number, written.framing)
    for until in range(last + 1):
        census = take_census(written.folder, written.framing, Position(), until)
        assert census.known == census.records + sum(census.dropped.values()) <= until


def test_only_the_first_and_the_last_segment_are_read(written, monkeypatch: pytest.MonkeyPatch) -> None:
    for base in range(1, 101, 10):
        written.add_segment(base, written.frames(range(base, base + 10)))
    for number in segment_numbers(written.folder)[:-1]:
        summarise(written.folder, number, written.framing)
    walked = []
    walk = census_module._walk

    def noting(census, segment, framing, offset: int, last: int) -> None:
        header = SegmentHeader.unpack(segment.read(0, SEGMENT_HEADER_BYTES))
        walked.append((header and header.number, offset))
        walk(census, segment, framing, offset, last)

    monkeypatch.setattr(census_module, "_walk", noting)
    state = inspect(written.folder, Position(1, SEGMENT_HEADER_BYTES + 3 * 76, 3))
    assert (state.on_disk, state.answered, state.oldest_at_us) == (97, 100, 4)
    assert walked == [(1, SEGMENT_HEADER_BYTES + 3 * 76), (10, 0)]


def test_the_counts_survive_the_damage_of_what_they_count(written) -> None:
    """They were taken when it was whole; what is damaged since is found by the loader."""
    path = written.add_segment(1, written.frames(range(1, 11)))
    written.add_segment(11, b"")
    summarise(written.folder, 1, written.framing)
    path.write_bytes(path.read_bytes()[:300])
    assert inspect(written.folder).on_disk == 10


def test_a_summary_that_is_cut_or_altered_anywhere_is_none(written) -> None:
    written.add_segment(1, written.frames(range(1, 11)) + written.framing.gap(Gap(11, 15, 5, "disk_full", 1, 2)))
    written.add_segment(16, b"")
    summarise(written.folder, 1, written.framing)
    path = summary_path(written.folder, 1)
    assert read_summary(written.folder, 1) == Summary(1, 15, {"disk_full": 5})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place])
        assert read_summary(written.folder, 1) is None
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert read_summary(written.folder, 1) is None
    state = inspect(written.folder)
    assert (state.on_disk, state.dropped) == (10, {"disk_full": 5})


def test_a_segment_whose_header_is_damaged_is_walked(written) -> None:
    path = written.add_segment(1, written.frames(range(1, 11)))
    written.add_segment(11, b"")
    raw = bytearray(path.read_bytes())
    raw[30] ^= 1
    path.write_bytes(raw)
    summarise(written.folder, 1, written.framing)
    assert inspect(written.folder).on_disk == 10


def test_a_record_larger_than_a_look_is_stepped_over(written) -> None:
    written.add_segment(1, written.frames([1]) + written.frames([2], size=9 << 20) + written.frames([3, 4]))
    assert inspect(written.folder).on_disk == 4


def test_gaps_across_the_border_of_a_look_are_counted(written) -> None:
    """Whatever lies where one look of 4 MiB ends: a gap record, its payload, or damage before it."""
    look = 4 << 20
    for before_border in range(0, 90, 7):
        gap = written.framing.gap(Gap(2, 9, 8, "disk_full", 1, 2))
        path = written.add_segment(1, written.frames([1], size=look - 36 - before_border) + gap + written.frames([10]))
        state = inspect(written.folder)
        assert (state.on_disk, state.dropped) == (2, {"disk_full": 8}), before_border
        raw = bytearray(path.read_bytes())
        raw[SEGMENT_HEADER_BYTES] ^= 1
        path.write_bytes(raw)
        state = inspect(written.folder)
        assert (state.on_disk, state.dropped) == (1, {"damaged": 1, "disk_full": 8}), before_border
        segment_path(written.folder, 1).unlink()
