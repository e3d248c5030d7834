"""The writer thread against disks that misbehave."""

import asyncio
import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import servers

from driftline.store.spool.reader import Batch
from driftline.store.spool.segment import segment_numbers
from driftline.store.spool.spool import Spool

ReadAll = Callable[..., Batch]


def accounted(batch: Batch) -> list[int]:
    gaps = [seq for gap in batch.gaps for seq in range(gap.first_seq, gap.last_seq + 1)]
    return sorted([r.seq for r in batch.records] + gaps)


def test_segments_are_rolled_by_size(open_spool, read_all: ReadAll) -> None:
    spool = open_spool(segment_bytes=10_000, flush_interval_seconds=0.001)
    for _ in range(40):
        spool.append(0, bytes(1000), 0)
        time.sleep(0.002)
    spool.close()
    sizes = [p.stat().st_size for p in spool.folder.glob("*.seg")]
    assert len(sizes) >= 4
    assert max(sizes) <= 10_000
    assert [r.seq for r in read_all(spool.folder).records] == list(range(1, 41))


def test_segments_are_rolled_by_age_when_a_record_arrives(open_spool, read_all: ReadAll) -> None:
    spool = open_spool(segment_seconds=0.05)
    spool.append(0, b"1", 0)
    servers.wait_until(lambda: read_all(spool.folder).records, every=0.005)
    time.sleep(0.1)
    assert segment_numbers(spool.folder) == [1]
    spool.append(0, b"2", 0)
    servers.wait_until(lambda: segment_numbers(spool.folder) == [1, 2], every=0.005)


def test_a_disk_error_loses_nothing_and_goes_on_in_a_new_segment(
    open_spool, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool()
    spool.append(0, b"1", 0)
    servers.wait_until(lambda: read_all(spool.folder).records, every=0.005)
    real, refused = os.writev, []

    def refuse(descriptor: int, parts: list[memoryview]) -> int:
        if len(refused) < 3:
            refused.append(1)
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, parts)

    monkeypatch.setattr(os, "writev", refuse)
    with caplog.at_level(logging.INFO):
        spool.append(0, b"2", 0)
        servers.wait_until(lambda: len(read_all(spool.folder).records) == 2, every=0.01)
    assert segment_numbers(spool.folder) == [1, 2]
    messages = [r.getMessage() for r in caplog.records if "driftline" in r.name]
    assert [("nothing is written" in m, "writing again" in m) for m in messages] == [(True, False), (False, True)]


def test_a_disk_that_freezes_delays_no_append_and_loses_nothing(
    open_spool, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = open_spool(ring_bytes=8 << 20)
    real, frozen = os.writev, threading.Event()

    def freeze(descriptor: int, parts: list[memoryview]) -> int:
        frozen.wait(60)
        return real(descriptor, parts)

    monkeypatch.setattr(os, "writev", freeze)
    durations = []
    for _ in range(3000):
        begin = time.perf_counter()
        spool.append(0, bytes(1000), 0)
        durations.append(time.perf_counter() - begin)
        time.sleep(0.0001)
    assert read_all(spool.folder).records == []
    frozen.set()
    spool.close()
    batch = read_all(spool.folder)
    assert ([r.seq for r in batch.records], batch.gaps) == (list(range(1, 3001)), [])
    assert max(durations) < 5, "append waited for the frozen disk"


def test_a_failed_sync_is_never_repeated_on_the_same_segment(
    open_spool, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    synced: list[str] = []

    def sync(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}").rsplit("/", 1)[-1]
        synced.append(name)
        if name in {"0000000001.seg", "0000000002.seg"}:
            raise OSError(errno.EIO, "Input/output error")

    spool = open_spool()
    monkeypatch.setattr(os, "fdatasync", sync)
    answers = []
    for payload in (b"1", b"2", b"3"):
        seq = spool.append(0, payload, 0)
        answers.append(asyncio.run(spool.wait_durable(seq, 5)))
    assert answers == [False, False, True]
    assert synced.count("0000000001.seg") == synced.count("0000000002.seg") == 1
    assert [r.payload for r in read_all(spool.folder).records] == [b"1", b"2", b"3"]
    assert "the medium did not confirm segment 1" in caplog.text


def test_beyond_the_disk_budget_drops_are_counted_and_end_when_the_loader_makes_room(
    open_spool, read_all: ReadAll
) -> None:
    spool = open_spool(max_bytes=100_000, segment_bytes=20_000, overflow_bytes=0)
    appended = 0
    deadline = time.monotonic() + 20
    while not (spool_drops(spool, appended) and spool._buffer.full_reason == "disk_budget"):
        appended = spool.append(0, bytes(1000), 0)
        time.sleep(0.0005)
        assert time.monotonic() < deadline
    appended = spool.append(0, bytes(1000), 0)
    on_disk = sum(p.stat().st_size for p in spool.folder.glob("*.seg"))
    assert on_disk <= 100_000
    before = read_all(spool.folder)
    for path in sorted(spool.folder.glob("*.seg"))[:-1]:
        path.unlink()
    servers.wait_until(lambda: not spool_drops(spool, appended), seconds=10, what="room again")
    last = spool.append(0, b"last", 0)
    spool.close()
    after = read_all(spool.folder)
    seqs = sorted({*accounted(before), *(r.seq for r in after.records)})
    reasons = {gap.reason for gap in after.gaps} - {"damaged"}
    assert reasons <= {"disk_budget", "ring_full"}
    assert "disk_budget" in reasons
    dropped = [seq for g in after.gaps if g.reason != "damaged" for seq in range(g.first_seq, g.last_seq + 1)]
    assert sorted({*seqs, *dropped}) == list(range(1, last + 1))


def spool_drops(spool: Spool, seq: int) -> bool:
    return spool._buffer.was_dropped(seq)


def test_an_unexpected_error_does_not_end_the_thread(
    open_spool, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = open_spool()
    real, failed = spool._buffer.peek, []

    def peek(limit: int) -> object:
        if not failed:
            failed.append(1)
            raise MemoryError
        return real(limit)

    monkeypatch.setattr(spool._buffer, "peek", peek)
    spool.append(0, b"kept", 0)
    servers.wait_until(lambda: read_all(spool.folder).records, seconds=5, every=0.01)
    assert failed


def test_close_gives_up_after_its_time_and_leaves_memory_to_be_adopted(open_spool, memory: Path) -> None:
    spool = open_spool(max_bytes=1)
    spool.append(0, b"kept in memory", 0)
    begin = time.monotonic()
    spool.close(drain_seconds=0.2)
    assert time.monotonic() - begin < 3
    assert len(list(memory.glob("*.ring"))) == 1
