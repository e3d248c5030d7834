"""What a dead owner left becomes segments, once."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from driftline.store.errors import SpoolError
from driftline.store.spool.adoption import adopt_orphans, remove_loaded, spools
from driftline.store.spool.layout import META_NAME, Meta
from driftline.store.spool.reader import Batch, SpoolReader
from driftline.store.spool.segment import segment_numbers

ReadAll = Callable[..., Batch]

OWNER = """
import os, sys
from pathlib import Path
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool
spool = Spool.open(Path(sys.argv[1]), SpoolSettings(ring_folder=Path(sys.argv[2]), ring_bytes=1 << 16,
    overflow_bytes=1 << 16, flush_interval_seconds=float(sys.argv[3]), min_free_bytes=0, max_bytes=int(sys.argv[5])))
for i in range(int(sys.argv[4])):
    spool.append(0, i.to_bytes(4) * 100, i)
os.kill(os.getpid(), 9)
"""


def die(home: Path, memory: Path, records: int, flush_interval_seconds: float = 3600, max_bytes: int = 1 << 30) -> Path:
    """Return the folder of a spool whose owner was killed with so many records in memory."""
    before = set(spools(home))
    child = subprocess.run(
        [sys.executable, "-c", OWNER, home, memory, str(flush_interval_seconds), str(records), str(max_bytes)],
        check=False,
    )
    assert child.returncode == -9
    (folder,) = set(spools(home)) - before
    return folder


def load(folder: Path) -> Batch:
    """Read all that is there and remove what was read, as a loader does."""
    reader = SpoolReader(folder)
    total = Batch(reader.position)
    while (batch := reader.read()).end != total.end:
        total.records += batch.records
        total.gaps += batch.gaps
        total.end = batch.end
    reader.delete_consumed(reader.position)
    return total


def test_ring_and_overflow_of_the_dead_become_segments(home: Path, memory: Path) -> None:
    folder = die(home, memory, 250)
    assert adopt_orphans(home) == [folder]
    assert list(memory.iterdir()) == []
    batch = load(folder)
    assert [(r.seq, r.payload) for r in batch.records] == [(i + 1, i.to_bytes(4) * 100) for i in range(250)]
    assert batch.gaps == []


def test_drops_of_the_dead_become_gaps(home: Path, memory: Path) -> None:
    folder = die(home, memory, 1000, max_bytes=1)
    adopt_orphans(home)
    batch = load(folder)
    dropped = [seq for gap in batch.gaps for seq in range(gap.first_seq, gap.last_seq + 1)]
    assert [r.seq for r in batch.records] + dropped == list(range(1, 1001))
    assert {gap.reason for gap in batch.gaps} <= {"ring_full", "disk_budget"}
    assert batch.gaps[-1].to_us == 999


def test_an_adopted_spool_is_not_adopted_again_and_goes_when_it_is_loaded(home: Path, memory: Path) -> None:
    folder = die(home, memory, 5)
    assert not remove_loaded(folder)
    adopt_orphans(home)
    assert adopt_orphans(home) == []
    assert not remove_loaded(folder)
    assert len(load(folder).records) == 5
    assert remove_loaded(folder)
    assert list(home.iterdir()) == []
    assert not remove_loaded(folder)


def test_a_living_spool_is_neither_adopted_nor_removed(home: Path, open_spool) -> None:
    spool = open_spool()
    assert adopt_orphans(home) == []
    assert not remove_loaded(spool.folder)
    assert spools(home) == [spool.folder]


def test_a_spool_that_was_closed_after_the_last_read_is_not_removed_with_what_nobody_read(
    home: Path, open_spool
) -> None:
    spool = open_spool()
    load(spool.folder)
    spool.append(0, b"late", 0)
    spool.close()
    assert not remove_loaded(spool.folder)
    adopt_orphans(home)
    assert not remove_loaded(spool.folder)
    assert [r.payload for r in load(spool.folder).records] == [b"late"]
    assert remove_loaded(spool.folder)


def test_a_tail_torn_at_every_byte_is_cut_off_and_what_is_whole_stays(written, home: Path) -> None:
    raw = written.frames(range(1, 6))
    path = written.add_segment(1, raw)
    for cut in range(1, len(raw)):
        for later in segment_numbers(written.folder)[1:]:
            (written.folder / f"{later:010d}.seg").unlink()
        path.write_bytes(path.read_bytes()[:64] + raw[:cut])
        assert adopt_orphans(home) == [written.folder]
        whole = cut // (len(raw) // 5)
        assert path.stat().st_size == 64 + whole * (len(raw) // 5)
        batch = SpoolReader(written.folder).read()
        assert ([r.seq for r in batch.records], batch.gaps) == (list(range(1, whole + 1)), [])


def test_what_lies_in_a_segment_and_still_in_the_ring_is_read_once(home: Path, memory: Path) -> None:
    """A kill between write and consume: the ring is copied back after its records went to disk."""
    folder = die(home, memory, 100)
    ring = Path(Meta.read(folder).ring)
    copy = ring.read_bytes()
    adopt_orphans(home)
    ring.write_bytes(copy)
    assert adopt_orphans(home) == [folder]
    batch = load(folder)
    assert ([r.seq for r in batch.records], batch.gaps) == (list(range(1, 101)), [])


def test_a_damaged_record_in_the_ring_costs_that_record(home: Path, memory: Path) -> None:
    folder = die(home, memory, 10)
    ring = Path(Meta.read(folder).ring)
    raw = bytearray(ring.read_bytes())
    raw[4096 + 3 * 436 + 40] ^= 1
    ring.write_bytes(raw)
    adopt_orphans(home)
    batch = load(folder)
    assert [r.seq for r in batch.records] == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert [(g.first_seq, g.last_seq, g.reason) for g in batch.gaps] == [(4, 4, "damaged")]


def test_a_ring_that_went_with_the_power_leaves_the_segments_readable(home: Path, memory: Path) -> None:
    folder = die(home, memory, 10, flush_interval_seconds=0.0001)
    for path in memory.iterdir():
        path.unlink()
    adopt_orphans(home)
    batch = load(folder)
    assert [r.seq for r in batch.records] == list(range(1, len(batch.records) + 1))
    assert remove_loaded(folder)


def test_two_processes_adopt_a_spool_only_once(home: Path, memory: Path) -> None:
    folders = sorted(die(home, memory, 50) for _ in range(4))
    script = """
import sys
from pathlib import Path
from driftline.store.spool.adoption import adopt_orphans
sys.stdin.readline()
for path in adopt_orphans(Path(sys.argv[1])): print(path, flush=True)
"""
    children = [
        subprocess.Popen([sys.executable, "-c", script, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    adopted = [line for child in children for line in child.communicate()[0].splitlines()]
    assert sorted(adopted) == [str(folder) for folder in folders]
    for folder in folders:
        batch = load(folder)
        assert ([r.seq for r in batch.records], batch.gaps) == (list(range(1, 51)), [])


def test_a_lock_file_that_nobody_holds_is_no_owner(home: Path, memory: Path) -> None:
    folder = die(home, memory, 3)
    assert (folder / "LOCK").exists()
    assert adopt_orphans(home) == [folder]


def test_an_adopter_whose_disk_is_full_leaves_everything_for_the_next(
    home: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = die(home, memory, 20)

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as shim:
        shim.setattr(os, "fdatasync", refuse)
        with pytest.raises(OSError, match="No space left"):
            adopt_orphans(home)
    assert len(list(memory.glob("*.ring"))) == 1
    assert adopt_orphans(home) == [folder]
    batch = load(folder)
    assert ([r.seq for r in batch.records], batch.gaps) == (list(range(1, 21)), [])


def test_a_spool_that_cannot_be_adopted_stops_no_other(home: Path, memory: Path) -> None:
    folders = sorted(die(home, memory, 3) for _ in range(3))
    whole = (folders[1] / META_NAME).read_bytes()
    (folders[1] / META_NAME).write_bytes(whole[:40])
    with pytest.raises(SpoolError, match="cannot be read"):
        adopt_orphans(home)
    assert [len(load(folder).records) for folder in (folders[0], folders[2])] == [3, 3]
    (folders[1] / META_NAME).write_bytes(whole)
    assert adopt_orphans(home) == [folders[1]]
    assert len(load(folders[1]).records) == 3


def test_what_an_owner_left_that_died_while_making_its_spool_goes_after_an_hour(home: Path, memory: Path) -> None:
    folder = die(home, memory, 1)
    hidden = home / f".{folder.name}.new"
    folder.rename(hidden)
    assert adopt_orphans(home) == []
    assert hidden.exists()
    os.utime(hidden, (0, 0))
    adopt_orphans(home)
    assert not hidden.exists()
    assert list(memory.iterdir()) == []
