"""The loader's side: every number once, as a record or in a gap, from whatever position."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from driftline.store.errors import SpoolError
from driftline.store.spool.reader import Batch, Position, SpoolReader
from driftline.store.spool.record import Gap
from driftline.store.spool.segment import SEGMENT_HEADER_BYTES

ReadAll = Callable[..., Batch]


def numbers(batch: Batch) -> list[int]:
    """All numbers that a batch accounts for."""
    in_gaps = [seq for gap in batch.gaps for seq in range(gap.first_seq, gap.last_seq + 1)]
    assert len(in_gaps) == sum(gap.count for gap in batch.gaps)
    return sorted([record.seq for record in batch.records] + in_gaps)


def test_reading_on_from_every_position_yields_the_rest(written) -> None:
    written.add_segment(1, written.frames(range(1, 8)))
    written.add_segment(8, written.frames(range(8, 15)))
    reader = SpoolReader(written.folder)
    positions = [Position()]
    while batch := reader.read(max_records=1).records:
        assert len(batch) == 1
        positions.append(reader.position)
    for done, position in enumerate(positions):
        rest = SpoolReader(written.folder, position).read()
        assert [r.seq for r in rest.records] == list(range(done + 1, 15))
        assert rest.gaps == []
    assert positions == sorted(positions)


def test_a_batch_ends_at_its_limits(written) -> None:
    written.add_segment(1, written.frames(range(1, 101), size=1000))
    reader = SpoolReader(written.folder)
    assert len(reader.read(max_records=7).records) == 7
    assert len(reader.read(max_records=1000, max_bytes=10_000).records) == 10
    assert [r.seq for r in reader.read().records] == list(range(18, 101))


def test_a_position_may_be_set_back(written) -> None:
    written.add_segment(1, written.frames(range(1, 5)))
    reader = SpoolReader(written.folder)
    first = reader.read()
    reader.position = Position()
    assert reader.read() == first


def test_a_tail_cut_at_every_byte_is_not_yet_there_and_is_read_when_it_has_come(written) -> None:
    path = written.add_segment(1, written.frames(range(1, 6)))
    whole = path.read_bytes()
    size = (len(whole) - SEGMENT_HEADER_BYTES) // 5
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        reader = SpoolReader(written.folder)
        before = reader.read()
        assert len(before.records) == max(0, cut - SEGMENT_HEADER_BYTES) // size
        path.write_bytes(whole)
        after = reader.read()
        assert [r.seq for r in before.records + after.records] == [1, 2, 3, 4, 5]
        assert before.gaps == after.gaps == []


def test_a_tail_cut_at_every_byte_is_a_gap_once_another_segment_follows(written, read_all: ReadAll) -> None:
    path = written.add_segment(1, written.frames(range(1, 6)))
    written.add_segment(6, written.frames([6]))
    whole = path.read_bytes()
    size = (len(whole) - SEGMENT_HEADER_BYTES) // 5
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        batch = read_all(written.folder)
        kept = max(0, cut - SEGMENT_HEADER_BYTES) // size
        assert [r.seq for r in batch.records] == [*range(1, kept + 1), 6]
        assert [(g.first_seq, g.last_seq, g.reason) for g in batch.gaps] == [(kept + 1, 5, "damaged")]


def test_a_flipped_bit_at_every_byte_costs_at_most_one_record_which_is_counted(written, read_all: ReadAll) -> None:
    path = written.add_segment(
        1,
        written.frames(range(1, 4))
        + written.framing.gap(Gap(4, 6, 3, "ring_full", 1, 2))
        + written.frames(range(7, 10)),
    )
    written.add_segment(10, written.frames([10]))
    whole = path.read_bytes()
    intact = read_all(written.folder)
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        batch = read_all(written.folder)
        assert numbers(batch) == list(range(1, 11)), place
        assert [r for r in intact.records if r in batch.records] == batch.records
        assert len(batch.records) >= len(intact.records) - 1


def test_a_damaged_record_in_the_newest_segment_is_counted_when_something_follows(written) -> None:
    path = written.add_segment(1, written.frames(range(1, 4)))
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    reader = SpoolReader(written.folder)
    assert numbers(reader.read()) == [1, 2]
    assert numbers(reader.read()) == []
    with path.open("ab") as file:
        file.write(written.frames([4]))
    batch = reader.read()
    assert [r.seq for r in batch.records] == [4]
    assert [(g.first_seq, g.last_seq, g.count, g.reason) for g in batch.gaps] == [(3, 3, 1, "damaged")]


def test_a_number_that_is_met_again_is_passed_over(written, read_all: ReadAll) -> None:
    written.add_segment(1, written.frames(range(1, 6)))
    written.add_segment(4, written.frames(range(4, 8)) + written.framing.gap(Gap(6, 9, 4, "disk_full", 0, 0)))
    batch = read_all(written.folder)
    assert [r.seq for r in batch.records] == list(range(1, 8))
    assert [(g.first_seq, g.last_seq, g.count) for g in batch.gaps] == [(8, 9, 2)]


@pytest.mark.parametrize("place", [0, 20, 36, 5 << 20])
def test_damage_in_a_record_larger_than_a_read_costs_that_record(written, read_all: ReadAll, place: int) -> None:
    path = written.add_segment(1, written.frames([1]) + written.frames([2], size=9 << 20) + written.frames([3, 4]))
    written.add_segment(5, b"")
    assert [r.seq for r in read_all(written.folder).records] == [1, 2, 3, 4]
    raw = bytearray(path.read_bytes())
    raw[SEGMENT_HEADER_BYTES + 76 + place] ^= 0x10
    path.write_bytes(raw)
    batch = read_all(written.folder)
    assert [r.seq for r in batch.records] == [1, 3, 4]
    assert [(g.first_seq, g.last_seq) for g in batch.gaps] == [(2, 2)]


def test_what_lies_wholly_before_a_position_is_removed_and_nothing_else(written) -> None:
    paths = [written.add_segment(base, written.frames(range(base, base + 5))) for base in (1, 6, 11)]
    reader = SpoolReader(written.folder)
    reader.read(max_records=7)
    assert reader.delete_consumed(reader.position) == 1
    assert [p.exists() for p in paths] == [False, True, True]
    assert [r.seq for r in SpoolReader(written.folder, reader.position).read().records] == list(range(8, 16))


def test_a_position_beyond_the_end_of_its_segment_goes_on_in_the_next(written) -> None:
    """What a power cut leaves when rows were loaded that the disk had not confirmed."""
    written.add_segment(1, written.frames(range(1, 3)))
    written.add_segment(3, written.frames(range(3, 8)))
    batch = SpoolReader(written.folder, Position(1, 10_000, 5)).read()
    assert [r.seq for r in batch.records] == [6, 7]
    assert batch.gaps == []


def test_a_spool_without_readable_meta_says_what_to_do(written) -> None:
    (written.folder / "META.json").write_text("{")
    with pytest.raises(SpoolError, match=r"META\.json cannot be read .*: restore it"):
        SpoolReader(written.folder)


def test_records_of_a_living_writer_are_read_once_in_order(home: Path, memory: Path) -> None:
    script = """
import sys, random
from pathlib import Path
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool
spool = Spool.open(Path(sys.argv[1]), SpoolSettings(ring_folder=Path(sys.argv[2]), ring_bytes=1 << 20,
    overflow_bytes=64 << 20, segment_bytes=200_000, flush_interval_seconds=0.001, min_free_bytes=0))
chance = random.Random(3)
print(spool.uuid, flush=True)
for i in range(1, 20_001):
    spool.append(0, (i.to_bytes(8) * 200)[:chance.randrange(1500)], i)
spool.close()
"""
    child = subprocess.Popen([sys.executable, "-c", script, home, memory], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    folder = home / child.stdout.readline().strip()
    reader, chance, seen, ended = SpoolReader(folder), random.Random(3), 0, False
    while True:
        batch = reader.read(max_records=500)
        assert batch.gaps == []
        for record in batch.records:
            seen += 1
            assert record.seq == seen
            assert record.payload == (seen.to_bytes(8) * 200)[: chance.randrange(1500)]
        reader.delete_consumed(reader.position)
        if not batch.records and ended:
            break
        ended = child.poll() is not None
    assert (child.wait(), seen) == (0, 20_000)
    child.stdout.close()
