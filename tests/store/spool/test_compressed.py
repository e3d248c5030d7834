"""Compressed segments: the same bytes at the same offsets, and damage costs a block."""

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard

from driftline.store.spool.compressed import BLOCK_BYTES, BLOCK_HEADER_BYTES, compress_segment
from driftline.store.spool.layout import Meta
from driftline.store.spool.reader import Batch, Position, SpoolReader
from driftline.store.spool.record import Framing, Gap
from driftline.store.spool.segment import compressed_path, segment_numbers, segment_path
from driftline.store.spool.segment_file import open_segment

ReadAll = Callable[..., Batch]


def compress(written, number: int) -> Path:
    assert compress_segment(written.folder, number, written.framing)
    assert not segment_path(written.folder, number).exists()
    return compressed_path(written.folder, number)


def fill(written, segments: int = 3, records: int = 700, size: int = 5000) -> list[bytes]:
    """Segments of several blocks each, the last one open; return their bytes."""
    starts = [1 + records * i for i in range(segments)]
    return [written.add_segment(start, written.frames(range(start, start + records), size)).read_bytes()
            for start in starts]  # fmt: skip


def test_any_range_reads_as_in_the_plain_segment(written) -> None:
    (plain, _) = fill(written, 2)
    compress(written, 1)
    chance = random.Random(1)
    edges = [0, 1, 64, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, len(plain) - 1, len(plain), len(plain) + 5]
    with open_segment(written.folder, 1, written.framing) as segment:
        assert segment.size == len(plain)
        for start in edges + [chance.randrange(len(plain)) for _ in range(50)]:
            for size in (0, 1, 100, BLOCK_BYTES, 3 * BLOCK_BYTES, chance.randrange(len(plain))):
                assert segment.read(start, size) == plain[start : start + size], (start, size)


def test_every_position_in_the_plain_segment_reads_on_in_the_compressed_one(written) -> None:
    fill(written)
    reader, plain = SpoolReader(written.folder), []
    while batch := reader.read(max_records=150).records:
        plain.append((reader.position, batch))
    for number in (1, 2):
        compress(written, number)
    reader = SpoolReader(written.folder)
    for position, batch in plain:
        assert reader.read(max_records=150).records == batch
        assert reader.position == position
    assert Position() < plain[0][0] < plain[-1][0]


def test_a_compressed_spool_reads_as_before_and_takes_less(written, read_all: ReadAll) -> None:
    fill(written)
    before = read_all(written.folder)
    sizes = [segment_path(written.folder, number).stat().st_size for number in (1, 2)]
    for number, size in zip((1, 2), sizes, strict=True):
        assert compress(written, number).stat().st_size < size / 5
    assert segment_numbers(written.folder) == [1, 2, 3]
    assert read_all(written.folder) == before
    assert len(before.records) == 2100


def test_zstd_itself_restores_the_plain_segment(written) -> None:
    (plain, _) = fill(written, 2)
    raw = compress(written, 1).read_bytes()
    assert zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True).read() == plain


def test_bytes_that_do_not_shrink_stay_plain(written) -> None:
    noise = random.Random(1).randbytes(300_000)
    path = written.add_segment(1, written.framing.frame(0, 0, 1, 1, noise))
    assert not compress_segment(written.folder, 1, written.framing)
    assert [p.name for p in written.folder.glob("*.seg*")] == [path.name]


def smash(path: Path, place: int, size: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place : place + size] = bytes(byte ^ 0x55 for byte in raw[place : place + size])
    path.write_bytes(raw)


def blocks_of(path: Path) -> list[int]:
    """Where the block headers of a compressed segment lie."""
    raw, places, at = path.read_bytes(), [], 0
    while (at := raw.find(b"\x5d\x2a\x4d\x18\x20\0\0\0dLz1", at)) >= 0:
        places.append(at)
        at += 1
    return places


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("where", ["header", "content"])
def test_damage_costs_the_records_of_its_block_and_is_counted(
    written, read_all: ReadAll, where: str, seed: int
) -> None:
    fill(written)
    path = compress(written, 1)
    compress(written, 2)
    intact = read_all(written.folder)
    chance = random.Random(seed)
    places = blocks_of(path)
    hit = chance.randrange(len(places))
    begin = places[hit] + (0 if where == "header" else BLOCK_HEADER_BYTES)
    end = places[hit] + BLOCK_HEADER_BYTES if where == "header" else [*places, path.stat().st_size][hit + 1]
    at = chance.randrange(begin, end)
    smash(path, at, min(chance.choice([1, 30]), end - at))
    batch = read_all(written.folder)
    lost = {r.seq for r in intact.records} - {r.seq for r in batch.records}
    assert [r for r in intact.records if r.seq not in lost] == batch.records
    assert {seq for gap in batch.gaps for seq in range(gap.first_seq, gap.last_seq + 1)} == lost
    assert {gap.reason for gap in batch.gaps} <= {"damaged"}
    assert 0 < len(lost) <= BLOCK_BYTES // 5000 + 2


def test_a_tail_cut_anywhere_costs_the_blocks_behind_the_cut(written, read_all: ReadAll) -> None:
    fill(written)
    path = compress(written, 1)
    whole = path.read_bytes()
    places = [*blocks_of(path), len(whole)]
    for block, (begin, end) in enumerate(pairwise(places)):
        for cut in (begin, begin + 7, begin + BLOCK_HEADER_BYTES, end - 1):
            path.write_bytes(whole[:cut])
            batch = read_all(written.folder)
            first = batch.gaps[0].first_seq
            assert first - 1 == max(0, block * BLOCK_BYTES - 64) // 5036
            assert [r.seq for r in batch.records] == [*range(1, first), *range(701, 2101)]
            assert [(g.first_seq, g.last_seq) for g in batch.gaps] == [(first, 700)]


def test_a_payload_that_holds_blocks_is_never_taken_for_blocks(written, read_all: ReadAll) -> None:
    """Blocks of a spool whose salt a client may know, inside noise that compression leaves as it is."""
    foreign = written.folder.parent / "foreign"
    foreign.mkdir()
    other = Framing(b"salt5678")
    chance = random.Random(2)
    (foreign / "0000000001.seg").write_bytes(written.frames(range(1, 3000), 100))
    compress_segment(foreign, 1, other)
    hostile = compressed_path(foreign, 1).read_bytes()
    noisy = [chance.randbytes(3000) + hostile + chance.randbytes(3000) for _ in range(6)]
    frames = [written.framing.frame(0, 0, seq, seq, payload) for seq, payload in enumerate(noisy, 1)]
    written.add_segment(1, b"".join(frames) + written.frames(range(7, 2000), 3000))
    written.add_segment(2000, b"")
    path = compress(written, 1)
    genuine = [place for place in blocks_of(path) if _is_genuine(path, place, written.framing)]
    assert len(genuine) < len(blocks_of(path)), "no hostile block survived compression: the test proves nothing"
    smash(path, 20, 4)
    batch = read_all(written.folder)
    assert all(r.seq >= 7 or r.payload == noisy[r.seq - 1] for r in batch.records)
    assert len(batch.records) + sum(gap.count for gap in batch.gaps) == 1999


def _is_genuine(path: Path, place: int, framing: Framing) -> bool:
    fields = path.read_bytes()[place : place + BLOCK_HEADER_BYTES]
    return framing.checksum(fields[:-4]) == int.from_bytes(fields[-4:], "little")


def test_gaps_are_kept(written, read_all: ReadAll) -> None:
    gap = written.framing.gap(Gap(501, 600, 100, "disk_full", 1, 2))
    written.add_segment(1, written.frames(range(1, 501)) + gap)
    written.add_segment(601, b"")
    compress(written, 1)
    assert [(g.first_seq, g.last_seq, g.reason) for g in read_all(written.folder).gaps] == [(501, 600, "disk_full")]


def test_a_record_of_many_blocks_is_read(written, read_all: ReadAll) -> None:
    written.add_segment(1, written.frames([1]) + written.frames([2], size=11 << 20) + written.frames([3]))
    written.add_segment(4, b"")
    before = read_all(written.folder)
    compress(written, 1)
    assert read_all(written.folder) == before
    assert [len(r.payload) for r in before.records] == [40, 11 << 20, 40]


def test_where_both_forms_are_there_the_plain_one_is_read_and_then_removed(written, read_all: ReadAll) -> None:
    (plain, _) = fill(written, 2)
    path = compress(written, 1)
    segment_path(written.folder, 1).write_bytes(plain)
    smash(path, 0, 100)
    assert len(read_all(written.folder).records) == 1400
    compress(written, 1)


def test_what_was_read_is_removed_in_whatever_form(written) -> None:
    fill(written)
    compress(written, 1)
    reader = SpoolReader(written.folder)
    reader.position = Position(3, 64, 1400)
    assert reader.delete_consumed(reader.position) == 2
    assert [p.name for p in written.folder.glob("0*")] == ["0000000003.seg"]


def test_the_salt_of_the_spool_guards_its_blocks(written, read_all: ReadAll) -> None:
    fill(written, 2)
    compress(written, 1)
    meta = Meta.read(written.folder)
    with open_segment(written.folder, 1, Framing(bytes.fromhex(meta.salt))) as segment:
        assert segment.size > 0
    with open_segment(written.folder, 1, Framing(b"guessed!")) as segment:
        assert (segment.size, segment.read(0, 100)) == (0, b"")
