"""The file beside the ring."""

import os
from pathlib import Path

import pytest

from driftline.store.spool.overflow import LARGE_BYTES, Overflow


def test_what_was_written_is_read_from_any_place(tmp_path: Path) -> None:
    overflow = Overflow.create(tmp_path / "overflow", 1000)
    end = overflow.write(b"head", b"payload", 0, 0)
    assert end == 11
    assert overflow.write(b"h", b"", end, 0) == 12
    assert overflow.read(0, 100) == b"headpayloadh"
    assert overflow.read(4, 7) == b"payload"
    overflow.close(remove=True)
    assert not (tmp_path / "overflow").exists()


def test_it_is_bounded_and_large_records_have_a_bound_of_their_own(tmp_path: Path) -> None:
    overflow = Overflow.create(tmp_path / "overflow", 100)
    assert overflow.has_room(99, 0)
    assert not overflow.has_room(100, 0)
    assert overflow.has_room(100, 5000)
    end = overflow.write(b"", bytes(5000), 50, 5000)
    assert overflow.has_room(end, 0)
    assert not overflow.has_room(end + 50, 0)
    assert not overflow.has_room(end, LARGE_BYTES)
    overflow.empty()
    assert overflow.has_room(0, LARGE_BYTES)
    overflow.close(remove=True)


def test_a_write_that_a_full_file_system_refuses_leaves_no_trace(small_memory_file_system: Path) -> None:
    overflow = Overflow.create(small_memory_file_system / "overflow", 100 << 20)
    end = overflow.write(b"head", os.urandom(1 << 20), 0, 0)
    with pytest.raises(OSError, match="No space left"):
        overflow.write(b"head", bytes(2 << 20), end, 0)
    assert overflow.path.stat().st_size == end
    assert overflow.write(b"head", bytes(900 << 10), end, 0) == end + 4 + (900 << 10)
    overflow.close(remove=True)
