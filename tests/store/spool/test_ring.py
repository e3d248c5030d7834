"""The ring: reserved at start, written round and round, readable after its writer is gone."""

import os
import resource
import uuid
from pathlib import Path

import pytest

from driftline.store.errors import SpoolError
from driftline.store.spool.record import HEADER_BYTES
from driftline.store.spool.ring import PAGE_BYTES, Ring
from driftline.store.spool.settings import SHARED_MEMORY


def put(ring: Ring, payload: bytes) -> bytes:
    header = (ring.seq + 1).to_bytes(HEADER_BYTES)
    ring.put(header, payload, ring.write, ring.seq + 1)
    return header + payload


def test_what_goes_round_comes_out_as_it_went_in(tmp_path: Path) -> None:
    ring = Ring.create(tmp_path / "ring", 1000)
    for size in [0, 1, 63, 64, 65, 500, 963, 964] * 30:
        start = ring.write
        record = put(ring, os.urandom(size))
        assert ring.copy(start, ring.write) == record
        views = ring.views(start, ring.write)
        assert b"".join(views) == record
        for view in views:
            view.release()
        assert ring.free == 1000 - len(record)
        ring.consume(ring.write)
    assert ring.seq == 240
    ring.close(remove=True)


def test_no_append_waits_for_a_page() -> None:
    ring = Ring.create(SHARED_MEMORY / f"driftline-test-{uuid.uuid4()}.ring", 4 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(1000):
        put(ring, bytes(4000))
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    ring.close(remove=True)
    assert faults < 500, "the ring has 1024 pages"


def test_positions_survive_the_mapping(tmp_path: Path) -> None:
    ring = Ring.create(tmp_path / "ring", 1000)
    first = put(ring, b"first")
    second = put(ring, b"second")
    ring.consume(len(first))
    ring.publish_overflow(7, 99)
    ring.consume_overflow(33)
    ring.close(remove=False)
    again = Ring.open(tmp_path / "ring", writable=False)
    assert again is not None
    assert (again.seq, again.overflow_write, again.overflow_read) == (7, 99, 33)
    assert again.copy(again.read, again.write) == second
    again.close(remove=False)


def test_the_memory_is_reserved_at_start(tmp_path: Path) -> None:
    ring = Ring.create(tmp_path / "ring", 1 << 20)
    assert (tmp_path / "ring").stat().st_blocks * 512 >= PAGE_BYTES + (1 << 20)
    ring.close(remove=True)
    assert not (tmp_path / "ring").exists()


def test_a_memory_file_system_that_cannot_hold_the_ring_stops_the_start(small_memory_file_system: Path) -> None:
    with pytest.raises(
        SpoolError,
        match=r"a ring of 4194304 bytes does not fit into .*tmpfs, \d+ bytes are free: "
        r"enlarge it .*lower spool\.ring_bytes",
    ):
        Ring.create(small_memory_file_system / "ring", 4 << 20)
    assert list(small_memory_file_system.iterdir()) == []


def test_a_ring_that_was_not_finished_is_none(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    (tmp_path / "empty").write_bytes(bytes(PAGE_BYTES + 1000))
    assert Ring.open(tmp_path / "short", writable=False) is None
    assert Ring.open(tmp_path / "empty", writable=False) is None
    assert Ring.open(tmp_path / "none", writable=False) is None


def test_an_existing_ring_is_never_taken_for_a_new_one(tmp_path: Path) -> None:
    Ring.create(tmp_path / "ring", 1000).close(remove=False)
    with pytest.raises(SpoolError, match="File exists"):
        Ring.create(tmp_path / "ring", 1000)
