"""The writer's side: append, declare, wait, close."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import servers

from driftline.store.errors import SpoolError
from driftline.store.records import ModelIdentity
from driftline.store.spool.lock import is_held
from driftline.store.spool.reader import Batch, SpoolReader
from driftline.store.spool.record import Kind
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

ReadAll = Callable[..., Batch]
IDENTITY = ModelIdentity("diabetes", "3", "models:/diabetes/3", signature={"inputs": None, "outputs": None})


def test_every_record_is_read_as_it_was_appended_in_order(open_spool, read_all: ReadAll) -> None:
    spool = open_spool()
    payloads = [b"", b"x", os.urandom(1000), b"\0" * 5000, b"dLr1" * 50]
    assert [spool.append(7, p, 1000 + i) for i, p in enumerate(payloads)] == [1, 2, 3, 4, 5]
    spool.close()
    batch = read_all(spool.folder)
    assert [r.payload for r in batch.records] == payloads
    assert [(r.seq, r.kind, r.model, r.at_us) for r in batch.records] == [
        (i + 1, Kind.INVOCATION, 7, 1000 + i) for i in range(5)
    ]
    assert batch.gaps == []


def test_a_record_reaches_a_segment_without_a_close(open_spool, read_all: ReadAll) -> None:
    spool = open_spool()
    spool.append(0, b"soon", 0)
    servers.wait_until(lambda: read_all(spool.folder).records, seconds=5, every=0.005, what="the record in a segment")


def test_the_same_identity_has_the_same_index_and_a_reader_finds_it(open_spool) -> None:
    spool = open_spool()
    other = ModelIdentity("diabetes", "4", "models:/diabetes/4")
    assert [spool.declare_model(m) for m in (IDENTITY, other, IDENTITY, other)] == [0, 1, 0, 1]
    reader = SpoolReader(spool.folder)
    assert reader.model(0) == IDENTITY
    assert reader.model(1) == other
    with pytest.raises(SpoolError, match=r"2\.json does not tell the model"):
        reader.model(2)


def test_a_model_that_the_disk_refuses_is_an_error_and_has_no_index(open_spool) -> None:
    spool = open_spool()
    (spool.folder / "models").rename(spool.folder / "gone")
    with pytest.raises(SpoolError, match="diabetes version 3 cannot be noted"):
        spool.declare_model(IDENTITY)
    (spool.folder / "gone").rename(spool.folder / "models")
    assert spool.declare_model(IDENTITY) == 0


def test_threads_share_a_spool_and_each_keeps_its_order(open_spool, read_all: ReadAll) -> None:
    spool = open_spool(ring_bytes=4 << 20)
    threads = [
        threading.Thread(target=lambda n=n: [spool.append(n, i.to_bytes(4), i) for i in range(3000)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.close()
    batch = read_all(spool.folder, max_records=777)
    assert [r.seq for r in batch.records] == list(range(1, 12_001))
    for n in range(4):
        assert [int.from_bytes(r.payload) for r in batch.records if r.model == n] == list(range(3000))


def test_append_after_close_keeps_nothing_and_says_so(open_spool, read_all: ReadAll) -> None:
    spool = open_spool()
    spool.append(0, b"kept", 0)
    spool.close()
    assert spool.append(0, b"late", 0) == -1
    assert [r.payload for r in read_all(spool.folder).records] == [b"kept"]


def test_append_in_a_forked_child_keeps_nothing_and_leaves_the_spool_whole(open_spool, read_all: ReadAll) -> None:
    spool = open_spool()
    child = os.fork()
    if not child:
        os._exit(0 if spool.append(0, b"child", 0) == -1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert spool.append(0, b"parent", 0) == 1
    spool.close()
    assert [r.payload for r in read_all(spool.folder).records] == [b"parent"]


def test_append_of_what_is_no_payload_is_counted_and_does_not_raise(open_spool, read_all: ReadAll) -> None:
    spool = open_spool()
    assert spool.append(0, None, 0) == 1
    assert spool.append(0, b"x", 1 << 80) == 2
    assert spool.append(1 << 16, b"x", 0) == 3
    assert spool.append(0, b"kept", 5) == 4
    spool.close()
    batch = read_all(spool.folder)
    assert {g.reason for g in batch.gaps} == {"error"}
    assert [seq for g in batch.gaps for seq in range(g.first_seq, g.last_seq + 1)] == [1, 2, 3]
    assert [r.seq for r in batch.records] == [4]


@pytest.mark.parametrize("at_us", [-1, 0, 4_102_444_800_000_000, -62_135_596_800_000_000])
def test_a_clock_that_jumps_is_recorded_and_changes_no_order(open_spool, read_all: ReadAll, at_us: int) -> None:
    spool = open_spool()
    for at in (1_700_000_000_000_000, at_us, 1_700_000_000_000_001):
        spool.append(0, b"", at)
    spool.close()
    assert [r.at_us for r in read_all(spool.folder).records] == [1_700_000_000_000_000, at_us, 1_700_000_000_000_001]


def test_a_record_of_100_mb_and_those_behind_it_are_kept(open_spool, read_all: ReadAll) -> None:
    spool = open_spool()
    large = os.urandom(1 << 20) * 100
    for payload in (b"before", large, b"behind", large, b""):
        spool.append(0, payload, 0)
    spool.close()
    batch = read_all(spool.folder)
    assert [len(r.payload) for r in batch.records] == [6, 100 << 20, 6, 100 << 20, 0]
    assert batch.records[1].payload == large
    assert batch.gaps == []


def test_close_removes_ring_and_overflow_and_frees_the_lock(open_spool, memory: Path) -> None:
    spool = open_spool()
    assert is_held(spool.folder)
    assert len(list(memory.iterdir())) == 2
    spool.append(0, b"x", 0)
    spool.close()
    spool.close()
    assert not is_held(spool.folder)
    assert list(memory.iterdir()) == []


def test_wait_durable_answers_after_a_sync_and_says_no_to_the_dropped(open_spool) -> None:
    spool = open_spool(sync_interval_seconds=3600)

    async def ask() -> list[bool]:
        seqs = [spool.append(0, b"x", 0) for _ in range(50)]
        answers = await asyncio.gather(*(spool.wait_durable(seq, 5) for seq in seqs))
        return [*answers, await spool.wait_durable(-1, 5)]

    assert asyncio.run(ask()) == [True] * 50 + [False]


def test_wait_durable_gives_up_when_its_time_is_over(open_spool) -> None:
    spool = open_spool(max_bytes=1)  # nothing may be written
    seq = spool.append(0, b"x", 0)
    assert asyncio.run(spool.wait_durable(seq, 0.1)) is False


def test_a_home_that_is_not_writable_stops_the_start(tmp_path: Path, memory: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="make the folder writable, or name another home"):
        Spool.open(tmp_path / "file" / "spool", SpoolSettings(ring_folder=memory))


def test_a_missing_ring_folder_stops_the_start_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match=r"name a memory file system .*DRIFTLINE_SPOOL_RING_FOLDER"):
        Spool.open(home, SpoolSettings(ring_folder=tmp_path / "none"))
    assert list(home.iterdir()) == []
