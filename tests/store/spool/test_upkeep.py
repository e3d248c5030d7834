"""Sealed segments are counted once and compressed when they are many, whatever dies or is loaded meanwhile."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import servers

from driftline.store.spool import upkeep as upkeep_module
from driftline.store.spool.budget import bytes_on_disk
from driftline.store.spool.census import read_summary
from driftline.store.spool.inspect import inspect
from driftline.store.spool.layout import Meta
from driftline.store.spool.reader import Batch, SpoolReader
from driftline.store.spool.segment import segment_numbers
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.upkeep import Upkeep

ReadAll = Callable[..., Batch]
SEGMENTS, RECORDS = 6, 300


@pytest.fixture
def backlog(written) -> Path:
    """Six segments of 23 kB, of which the last may still be written."""
    for base in range(1, SEGMENTS * RECORDS, RECORDS):
        written.add_segment(base, written.frames(range(base, base + RECORDS)))
    return written.folder


def names(folder: Path, suffix: str) -> list[int]:
    return sorted(int(p.name.partition(".")[0]) for p in folder.glob(f"0*{suffix}"))


def look(home: Path, above: int) -> None:
    upkeep = Upkeep(home, SpoolSettings(compress_above_bytes=above))
    upkeep._stop.wait = lambda timeout=None: False  # type: ignore[method-assign,assignment]  # without the rest
    upkeep.look()


def test_the_newest_segment_is_never_touched(home: Path, backlog: Path, read_all: ReadAll) -> None:
    before = read_all(backlog)
    look(home, above=0)
    assert names(backlog, ".zst") == [1, 2, 3, 4, 5]
    assert names(backlog, ".seg") == [6]
    assert read_all(backlog) == before


def test_nothing_is_compressed_below_the_limit(home: Path, backlog: Path) -> None:
    look(home, above=bytes_on_disk(home))
    assert names(backlog, ".zst") == []


def test_those_that_are_read_last_go_first_and_no_more_than_needed(home: Path, backlog: Path) -> None:
    look(home, above=bytes_on_disk(home) - 10_000)
    assert names(backlog, ".zst") == [5]
    look(home, above=bytes_on_disk(home) - 10_000)
    assert names(backlog, ".zst") == [4, 5]


def test_sealed_segments_are_counted_once_but_for_the_one_the_loader_reads(home: Path, backlog: Path) -> None:
    look(home, above=1 << 30)
    assert names(backlog, ".sum") == [2, 3, 4, 5]
    found = read_summary(backlog, 3)
    assert found is not None
    assert (found.first_seq, found.last_seq) == (601, 900)
    written_at = [p.stat().st_mtime_ns for p in backlog.glob("*.sum")]
    look(home, above=1 << 30)
    assert [p.stat().st_mtime_ns for p in backlog.glob("*.sum")] == written_at


def test_the_disk_has_what_compression_frees(home: Path, backlog: Path) -> None:
    before = inspect(backlog)
    look(home, above=0)
    after = inspect(backlog)
    assert replace(after, bytes=before.bytes) == before
    assert after.bytes == bytes_on_disk(home) < before.bytes / 2


def test_a_spool_of_the_first_format_stays_plain(home: Path, backlog: Path) -> None:
    replace(Meta.read(backlog), format=1).write(backlog)
    look(home, above=0)
    assert names(backlog, ".zst") == []


def test_a_disk_without_room_for_another_segment_is_left_alone(
    home: Path, backlog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = os.statvfs(home)
    monkeypatch.setattr(upkeep_module.os, "statvfs", lambda path: os.statvfs_result((*disk[:4], 0, *disk[5:])))
    look(home, above=0)
    assert names(backlog, ".zst") == []


def test_a_segment_that_the_disk_refuses_stays_plain_and_stops_no_other(
    home: Path, backlog: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("0000000004.seg.zst.tmp"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    look(home, above=0)
    assert names(backlog, ".zst") == [1, 2, 3, 5]
    assert names(backlog, ".tmp") == []
    assert [record.getMessage() for record in caplog.records] == [
        f"{backlog}/0000000004.seg is not compressed or counted (Input/output error): it stays as it is"
    ]


def test_counts_of_what_was_loaded_and_drafts_of_who_was_killed_are_removed(home: Path, backlog: Path) -> None:
    look(home, above=0)
    for killed in (2, 4):
        (backlog / f"{killed:010d}.seg.zst.tmp").touch()
    (backlog / "0000000001.seg.zst").unlink()
    (backlog / "0000000002.seg.zst").unlink()
    look(home, above=0)
    assert names(backlog, ".sum") == [3, 4, 5]
    assert names(backlog, ".tmp") == []


@pytest.mark.parametrize(
    "step", ["compress.block:2", "compress.synced", "compress.renamed", "compress.removed", "compress.renamed:3"]
)
def test_a_kill_at_each_step_loses_nothing_and_doubles_nothing(
    home: Path, backlog: Path, read_all: ReadAll, step: str
) -> None:
    before, state = read_all(backlog), inspect(backlog)
    script = (
        "import sys; from pathlib import Path; from driftline.store.spool.upkeep import Upkeep; "
        "from driftline.store.spool.settings import SpoolSettings; "
        "Upkeep(Path(sys.argv[1]), SpoolSettings(compress_above_bytes=0)).look()"
    )
    environment = {**os.environ, "_DRIFTLINE_FAILPOINT": step}
    killed = subprocess.run([sys.executable, "-c", script, home], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL, "the step was not reached"
    assert read_all(backlog) == before
    after = inspect(backlog)
    assert (after.answered, after.on_disk, after.dropped) == (state.answered, state.on_disk, state.dropped)
    look(home, above=0)
    assert names(backlog, ".zst") == [1, 2, 3, 4, 5]
    assert names(backlog, ".seg") == [6]
    assert names(backlog, ".tmp") == []
    assert read_all(backlog) == before


def test_a_living_spool_is_read_whole_while_it_is_compressed(home: Path, memory: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool
spool = Spool.open(Path(sys.argv[1]), SpoolSettings(ring_folder=Path(sys.argv[2]), ring_bytes=1 << 20,
    overflow_bytes=64 << 20, segment_bytes=20_000, flush_interval_seconds=0.001, min_free_bytes=0))
print(spool.uuid, flush=True)
for i in range(1, 12_001):
    spool.append(0, i.to_bytes(8) * 20, i)
    if i % 20 == 0:
        time.sleep(0.001)
spool.close()
"""
    child = subprocess.Popen([sys.executable, "-c", script, home, memory], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    folder = home / child.stdout.readline().strip()
    reader, seen, ended, compressed = SpoolReader(folder), 0, False, 0
    upkeep = Upkeep(home, SpoolSettings(compress_above_bytes=0))
    thread = upkeep_thread(upkeep)
    while True:
        state = inspect(folder, reader.position)
        assert state.answered == reader.position.seq + state.on_disk + state.in_memory + sum(state.dropped.values())
        batch = reader.read(max_records=100)
        assert batch.gaps == []
        assert [record.seq for record in batch.records] == list(range(seen + 1, seen + 1 + len(batch.records)))
        assert all(record.payload == record.seq.to_bytes(8) * 20 for record in batch.records)
        seen += len(batch.records)
        compressed += len(names(folder, ".zst"))
        reader.delete_consumed(reader.position)
        if not batch.records and ended:
            break
        ended = child.poll() is not None
    thread()
    assert (child.wait(), seen) == (0, 12_000)
    assert compressed > 0
    child.stdout.close()


def upkeep_thread(upkeep: Upkeep) -> Callable[[], None]:
    """Look without a pause from a thread; the returned function ends it."""
    import threading

    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            upkeep.look()

    thread = threading.Thread(target=run)
    thread.start()

    def end() -> None:
        upkeep._stop.set()
        ended.set()
        thread.join()

    return end


def test_it_rests_three_times_as_long_as_it_worked(home: Path, backlog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upkeep, rests, worked = Upkeep(home, SpoolSettings(compress_above_bytes=1 << 30)), [], []
    summarise = upkeep_module.summarise

    def slow(*arguments) -> None:
        begin = time.monotonic()
        time.sleep(0.02)
        summarise(*arguments)
        worked.append(time.monotonic() - begin)

    monkeypatch.setattr(upkeep_module, "summarise", slow)
    monkeypatch.setattr(upkeep._stop, "wait", rests.append)
    upkeep.look()
    assert len(rests) == len(worked) == 4
    assert all(rest >= 3 * work for rest, work in zip(rests, worked, strict=True))


def test_the_loaders_process_compresses_while_the_database_is_away(tmp_path: Path, home: Path, backlog: Path) -> None:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("DRIFTLINE_")},
        "DRIFTLINE_HOME": str(tmp_path),
        "DRIFTLINE_STORE": f"postgresql://nobody@127.0.0.1:{servers.free_port()}/nothing",
        "DRIFTLINE_SPOOL_COMPRESS_ABOVE_BYTES": "0",
    }
    loader = subprocess.Popen([sys.executable, "-m", "driftline.store.loader.process"], env=environment, cwd=tmp_path)
    try:
        servers.wait_until(lambda: names(backlog, ".zst") == [1, 2, 3, 4, 5], what="compressed segments")
    finally:
        loader.kill()
        loader.wait()
    assert segment_numbers(backlog)[-1] >= 6


def test_a_spool_that_goes_while_it_is_looked_after_is_passed_over(home: Path, backlog: Path) -> None:
    upkeep = Upkeep(home, SpoolSettings(compress_above_bytes=0))
    upkeep._stop.wait = lambda timeout=None: shutil.rmtree(backlog, ignore_errors=True) or False  # type: ignore[method-assign,assignment]
    upkeep.look()
    assert list(home.iterdir()) == []
