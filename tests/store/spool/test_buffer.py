"""Ring, then overflow, then drops: every number once, in order, whatever the sizes and the speed of the disk."""

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from driftline.store.spool.buffer import Buffer
from driftline.store.spool.overflow import Overflow
from driftline.store.spool.record import Framing, Gap, Kind, Record
from driftline.store.spool.ring import Ring

FRAMING = Framing(b"secret!!")
RING_BYTES = 4096


@pytest.fixture
def make_buffer(tmp_path: Path) -> Iterator[Callable[..., Buffer]]:
    made: list[Buffer] = []

    def make(overflow_bytes: int = 4096) -> Buffer:
        ring = Ring.create(tmp_path / f"ring-{len(made)}", RING_BYTES)
        overflow = Overflow.create(tmp_path / f"overflow-{len(made)}", overflow_bytes)
        made.append(Buffer(ring, overflow, FRAMING, threading.Event()))
        return made[-1]

    yield make
    for buffer in made:
        buffer.close(remove=True)


def take(buffer: Buffer, limit: int = 1 << 20, chunks: int = 1 << 30) -> list[Record]:
    """Consume like the writer thread, at most so many chunks."""
    records: list[Record] = []
    while chunks and (chunk := buffer.peek(limit)):
        found = [record for _, record in FRAMING.scan(b"".join(chunk.views))]
        assert found[0].seq == chunk.first_seq
        records += found
        buffer.consume(chunk)
        buffer.settle()
        chunks -= 1
    return records


def accounted(records: list[Record]) -> list[int]:
    seqs: list[int] = []
    for record in records:
        gap = Gap.unpack(record.payload) if record.kind is Kind.GAP else None
        seqs += range(gap.first_seq, gap.last_seq + 1) if gap else [record.seq]
    return seqs


def test_a_full_ring_goes_on_in_the_overflow_and_the_order_is_kept(make_buffer) -> None:
    buffer = make_buffer()
    seqs = [buffer.append(0, bytes(500), 0) for _ in range(15)]  # 7 fit into the ring
    assert seqs == list(range(1, 16))
    assert [(r.seq, r.kind) for r in take(buffer)] == [(seq, Kind.INVOCATION) for seq in seqs]


def test_beyond_ring_and_overflow_the_newest_is_dropped_and_a_gap_tells_how_many(make_buffer) -> None:
    buffer = make_buffer()
    seqs = [buffer.append(0, bytes(500), 100 + i) for i in range(30)]
    assert seqs == list(range(1, 31))
    buffer.full_reason = "disk_full"
    assert [buffer.append(0, bytes(500), 200) for _ in range(3)] == [31, 32, 33]
    records = take(buffer)
    assert accounted(records) == list(range(1, 34))
    kept = [r.seq for r in records if r.kind is Kind.INVOCATION]
    assert kept == list(range(1, kept[-1] + 1))
    gaps = [Gap.unpack(r.payload) for r in records if r.kind is Kind.GAP]
    assert gaps == [
        Gap(kept[-1] + 1, 30, 30 - kept[-1], "ring_full", 100 + kept[-1], 129),
        Gap(31, 33, 3, "disk_full", 200, 200),
    ]


def test_without_an_overflow_a_full_ring_drops_and_then_takes_again(make_buffer) -> None:
    buffer = make_buffer(overflow_bytes=0)
    for _ in range(9):
        buffer.append(0, bytes(500), 0)
    first = take(buffer)
    assert buffer.append(0, b"again", 0) == 10
    assert accounted(first + take(buffer)) == list(range(1, 11))


def test_a_record_larger_than_the_ring_is_kept_and_in_order(make_buffer) -> None:
    buffer = make_buffer(overflow_bytes=0)
    sizes = [10, RING_BYTES, 10, 50 * RING_BYTES, RING_BYTES - 36]
    kept = []
    for size in sizes:
        buffer.append(0, bytes([size % 251]) * size, 0)
        kept += take(buffer)
    assert [len(r.payload) for r in kept] == sizes


def test_gaps_are_recorded_also_when_no_request_comes_any_more(make_buffer) -> None:
    buffer = make_buffer(overflow_bytes=0)
    for _ in range(9):
        buffer.append(0, bytes(500), 0)
    assert accounted(take(buffer)) == list(range(1, 10))
    assert buffer.is_empty()


def test_a_dropped_number_is_known_as_dropped(make_buffer) -> None:
    buffer = make_buffer(overflow_bytes=0)
    for _ in range(9):
        buffer.append(0, bytes(500), 0)
    assert [buffer.was_dropped(seq) for seq in (1, 7, 8, 9, 10)] == [False, False, True, True, False]


@pytest.mark.parametrize("seed", range(20))
def test_answered_is_recovered_plus_dropped_and_payloads_are_intact(make_buffer, seed: int) -> None:
    chance = random.Random(seed)
    buffer = make_buffer(overflow_bytes=chance.choice([0, 1000, 8192]))
    payloads: dict[int, bytes] = {}
    records: list[Record] = []
    for _ in range(600):
        if chance.random() < 0.9:
            payload = chance.randbytes(chance.choice([0, 1, 100, 400, 2000, 6000]))
            payloads[buffer.append(1, payload, 0)] = payload
        else:
            records += take(buffer, limit=chance.choice([1, 700, 1 << 20]), chunks=chance.randint(1, 9))
    records += take(buffer)
    assert accounted(records) == sorted(payloads) == list(range(1, len(payloads) + 1))
    assert all(r.payload == payloads[r.seq] for r in records if r.kind is Kind.INVOCATION)


def test_threads_append_while_the_writer_takes_and_no_number_is_lost(make_buffer) -> None:
    buffer = make_buffer(overflow_bytes=2048)
    seqs: list[list[int]] = [[] for _ in range(4)]
    threads = [
        threading.Thread(target=lambda own=own: own.extend(buffer.append(0, bytes(50), 0) for _ in range(3000)))
        for own in seqs
    ]
    for thread in threads:
        thread.start()
    records: list[Record] = []
    while any(thread.is_alive() for thread in threads):
        records += take(buffer, limit=500)
    records += take(buffer)
    assert accounted(records) == sorted(seq for own in seqs for seq in own) == list(range(1, 12_001))


def test_after_stop_nothing_is_kept(make_buffer) -> None:
    buffer = make_buffer()
    buffer.append(0, b"kept", 0)
    buffer.stop()
    assert buffer.append(0, b"late", 0) == -1
    assert [r.payload for r in take(buffer)] == [b"kept"]
