"""Segments: created once, written all or nothing."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from driftline.store.spool.segment import (
    SEGMENT_HEADER_BYTES,
    Segment,
    SegmentHeader,
    compressed_path,
    segment_numbers,
    segment_path,
)

UUID = "0b7c6f0e-1111-4222-8333-444455556666"


def write(segment: Segment, *parts: bytes) -> None:
    segment.write([memoryview(part) for part in parts], sum(map(len, parts)))


def test_the_header_has_64_bytes_and_any_flipped_bit_in_it_is_noticed() -> None:
    header = SegmentHeader(UUID, 7, 12, 99)
    raw = header.pack()
    assert len(raw) == SEGMENT_HEADER_BYTES == 64
    assert SegmentHeader.unpack(raw) == header
    assert SegmentHeader.unpack(raw[:-1]) is None
    for place in range(64):
        flipped = bytearray(raw)
        flipped[place] ^= 1
        assert SegmentHeader.unpack(bytes(flipped)) is None


def test_segments_are_numbered_on_and_none_is_made_twice(tmp_path: Path) -> None:
    for _ in range(3):
        Segment.create(tmp_path, UUID, 1).close()
    assert segment_numbers(tmp_path) == [1, 2, 3]
    segment_path(tmp_path, 1).unlink()
    Segment.create(tmp_path, UUID, 1).close()
    assert segment_numbers(tmp_path) == [2, 3, 4]


def test_a_segment_that_the_listing_meets_under_neither_of_its_names_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 3, 4):
        segment_path(tmp_path, number).touch()
    compressed_path(tmp_path, 2).touch()
    listed, looks = os.scandir, []

    @contextmanager
    def passed_its_new_name_before_it_was_there(folder: Path) -> Iterator[list[os.DirEntry[str]]]:
        looks.append(folder)
        with listed(folder) as entries:
            yield [one for one in entries if len(looks) > 1 or not one.name.startswith("0000000002")]

    monkeypatch.setattr(os, "scandir", passed_its_new_name_before_it_was_there)
    assert segment_numbers(tmp_path) == [1, 2, 3, 4]


def test_a_segment_that_is_gone_leaves_a_hole(tmp_path: Path) -> None:
    for number in (1, 3):
        segment_path(tmp_path, number).touch()
    assert segment_numbers(tmp_path) == [1, 3]


def test_a_short_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Segment.create(tmp_path, UUID, 1)
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: real(fd, [b"".join(parts)[:3]]))
    write(segment, b"abcd", b"efgh")
    segment.close()
    assert segment.path.read_bytes()[64:] == b"abcdefgh"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_refused_write_is_cut_off_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    segment = Segment.create(tmp_path, UUID, 1)
    write(segment, b"before")
    real = os.writev

    def short(descriptor: int, parts: Sequence[bytes]) -> int:
        return real(descriptor, [b"".join(parts)[:5]])

    def refuse(descriptor: int, raw: bytes) -> int:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as shim:
        shim.setattr(os, "writev", short)
        shim.setattr(os, "write", refuse)
        with pytest.raises(OSError, match=os.strerror(error)):
            write(segment, b"refused refused")
    write(segment, b" after")
    segment.close()
    assert segment.path.read_bytes()[64:] == b"before after"


def test_a_segment_that_the_disk_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, parts: Sequence[bytes]) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "writev", refuse)
    with pytest.raises(OSError, match="full"):
        Segment.create(tmp_path, UUID, 1)
    assert segment_numbers(tmp_path) == []
