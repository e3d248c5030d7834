"""The spool under kill -9, full disks and frozen writers, with an oracle.

The child tells each number to the parent only after ``append`` returned it: what the parent has heard of counts as
answered. Payloads follow from their numbers, so that a record is known to be the one that was appended.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import faulty_disks
import pytest

from driftline.store.spool.adoption import adopt_orphans, remove_loaded, spools
from driftline.store.spool.inspect import inspect
from driftline.store.spool.reader import SpoolReader
from driftline.store.spool.record import Gap, Record
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

CHILD = Path(__file__).with_name("spool_child.py")
FAILPOINTS = [
    "append.copied:300", "append.published:300", "overflow.written:20", "overflow.published:20", "drop.noted:5",
    "drop.published:5", "gaps.recorded", "segment.created", "segment.created:3", "segment.written", "segment.written:9",
    "segment.consumed", "segment.consumed:9", "overflow.consumed", "overflow.emptied", "segment.left:2",
    "segment.synced", "segment.synced:3",
]  # fmt: skip
ADOPTION_FAILPOINTS = ["segment.created", "adoption.written", "segment.created:2", "adoption.sealed"]


def payload_of(seq: int) -> bytes:
    """The bytes that the child appends as number ``seq``."""
    chance = random.Random(seq)
    return hashlib.sha256(seq.to_bytes(8)).digest() * chance.randrange(40)


class Child:
    """A process that appends until it is killed."""

    def __init__(self, home: Path, memory: Path, failpoint: str = "", **settings: object) -> None:
        options = {"ring_bytes": 1 << 16, "overflow_bytes": 1 << 16, "segment_bytes": 1 << 18, "min_free_bytes": 0,
                   "flush_interval_seconds": 0.002, "sync_interval_seconds": 0.02}  # fmt: skip
        arguments = [f"{name}={value}" for name, value in {**options, **settings}.items()]
        self.process = subprocess.Popen(
            [sys.executable, CHILD, home, memory, *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, "_DRIFTLINE_FAILPOINT": failpoint},
        )
        assert self.process.stdout is not None
        self._answers = self.process.stdout
        self.ready = self._answers.readline() == b"ready\n"

    def end(self) -> int:
        """Return the last number that was answered, after the process has ended."""
        last = 0
        raw = self._answers.read()
        for place in range(0, len(raw) - 7, 8):
            seq = int.from_bytes(raw[place : place + 8])
            assert seq == last + 1
            last = seq
        self._answers.close()
        self.process.wait()
        return last


def recovered(home: Path) -> tuple[list[Record], list[Gap]]:
    """Adopt, read and remove the only spool of a home, checking its accounts at each step."""
    (folder,) = spools(home)
    answered = inspect(folder).answered
    adopt_orphans(home)
    reader = SpoolReader(folder)
    records: list[Record] = []
    gaps: list[Gap] = []
    while True:
        state = inspect(folder, reader.position)
        assert state.answered == answered
        assert state.in_memory == 0
        assert answered == reader.position.seq + state.on_disk + sum(state.dropped.values())
        before = reader.position
        batch = reader.read(max_records=50_000)
        if batch.end == before:
            break
        records += batch.records
        gaps += batch.gaps
    reader.delete_consumed(reader.position)
    assert remove_loaded(folder)
    assert len(records) + sum(gap.count for gap in gaps) == answered
    return records, gaps


def check(home: Path, memory: Path, answered: int) -> tuple[int, int]:
    """Assert what every fault must leave; return how many records and drops there were."""
    records, gaps = recovered(home)
    dropped = {seq for gap in gaps for seq in range(gap.first_seq, gap.last_seq + 1)}
    seqs = [record.seq for record in records]
    assert seqs == sorted(set(seqs)), "twice, or not in order"
    assert not dropped & set(seqs)
    assert set(range(1, answered + 1)) <= dropped | set(seqs), "answered and lost"
    assert all(record.payload == payload_of(record.seq) for record in records), "altered"
    assert "damaged" not in {gap.reason for gap in gaps}
    assert list(memory.iterdir()) == []
    return len(records), len(dropped)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


def kill_at_a_random_time(home: Path, memory: Path, seed: int) -> None:
    chance = random.Random(seed)
    child = Child(home, memory, pace=chance.choice([0, 50, 500]), overflow_bytes=chance.choice([0, 1 << 16, 1 << 24]))
    assert child.ready
    time.sleep(chance.uniform(0, 0.3))
    child.process.send_signal(signal.SIGKILL)
    check(home, memory, child.end())


@pytest.mark.parametrize("seed", range(12))
def test_a_kill_at_a_random_time_loses_nothing_that_was_answered(home: Path, memory: Path, seed: int) -> None:
    kill_at_a_random_time(home, memory, seed)


@pytest.mark.slow
def test_a_thousand_kills_lose_nothing_that_was_answered(tmp_path: Path) -> None:
    for seed in range(1000, 2000):
        memory = tmp_path / f"memory{seed}"
        memory.mkdir()
        kill_at_a_random_time(tmp_path / f"spool{seed}", memory, seed)


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_kill_between_two_steps_loses_nothing_that_was_answered(home: Path, memory: Path, failpoint: str) -> None:
    child = Child(home, memory, failpoint, pace=0, max_bytes=3 << 20)
    answered = child.end()
    assert child.process.returncode == -signal.SIGKILL, "the step was not reached"
    check(home, memory, answered)


@pytest.mark.parametrize("failpoint", ADOPTION_FAILPOINTS)
def test_an_adopter_that_is_killed_leaves_it_to_the_next(home: Path, memory: Path, failpoint: str) -> None:
    child = Child(home, memory, "append.published:500", flush_interval_seconds=3600)
    answered = child.end()
    script = (
        "import sys; from pathlib import Path; from driftline.store.spool.adoption import adopt_orphans; "
        "adopt_orphans(Path(sys.argv[1]))"
    )
    environment = {**os.environ, "_DRIFTLINE_FAILPOINT": failpoint}
    adopter = subprocess.run([sys.executable, "-c", script, home], check=False, env=environment)
    assert adopter.returncode == -signal.SIGKILL, "the step was not reached"
    records, dropped = check(home, memory, answered)
    assert records + dropped >= 499


def test_a_spool_whose_making_was_killed_is_never_seen_half_made(home: Path, memory: Path) -> None:
    for failpoint in ("spool.folder_made", "spool.ring_made"):
        child = Child(home, memory, failpoint)
        assert not child.ready
        assert child.end() == 0
        assert child.process.returncode == -signal.SIGKILL
    assert spools(home) == []
    for hidden in home.iterdir():
        os.utime(hidden, (0, 0))
    adopt_orphans(home)
    assert list(home.iterdir()) == list(memory.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB for segments."""
    with faulty_disks.tmpfs(tmp_path / "disk", "2m") as folder:
        yield folder


def test_a_full_disk_drops_the_newest_counts_them_and_goes_on_when_there_is_space(
    small_disk: Path, memory: Path
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    settings = SpoolSettings(ring_folder=memory, ring_bytes=1 << 16, overflow_bytes=1 << 16, min_free_bytes=0)
    spool = Spool.open(small_disk / "spool", settings)
    durations = []
    seq = 0
    for round_ in range(2500):
        begin = time.perf_counter()
        seq = spool.append(0, payload_of(seq + 1), round_)
        durations.append(time.perf_counter() - begin)
        time.sleep(0.0002)
    ballast.unlink()
    deadline = time.monotonic() + 10
    while not spool._buffer.is_empty() and time.monotonic() < deadline:
        time.sleep(0.01)
    for _ in range(100):
        seq = spool.append(0, payload_of(seq + 1), 9)
        time.sleep(0.001)
    spool.close()
    records, gaps = recovered(small_disk / "spool")
    assert seq == 2600
    assert len(records) + sum(gap.count for gap in gaps) == 2600
    assert sum(gap.count for gap in gaps) > 0
    assert "disk_full" in {gap.reason for gap in gaps}
    assert [r.seq for r in records[-100:]] == list(range(2501, 2601))
    assert all(record.payload == payload_of(record.seq) for record in records)
    assert sorted(durations)[int(len(durations) * 0.99)] < 0.1, "append waited for the full disk"


def test_a_disk_without_inodes_is_survived(small_disk: Path, memory: Path) -> None:
    subprocess.run(["mount", "-o", "remount,nr_inodes=40", small_disk], check=True)
    settings = SpoolSettings(ring_folder=memory, ring_bytes=1 << 16, overflow_bytes=1 << 20, min_free_bytes=0,
                             segment_bytes=20_000, flush_interval_seconds=0.001)  # fmt: skip
    spool = Spool.open(small_disk / "spool", settings)
    fillers = []
    for i in range(100):
        try:
            fillers.append(small_disk / f"filler{i}")
            fillers[-1].touch()
        except OSError:
            fillers.pop()
            break
    for seq in range(1, 301):
        assert spool.append(0, payload_of(seq), 0) == seq
        time.sleep(0.001)
    for filler in fillers:
        filler.unlink()
    spool.close()
    records, gaps = recovered(small_disk / "spool")
    assert ([r.seq for r in records], gaps) == (list(range(1, 301)), [])


def test_a_stopped_writer_process_goes_on_where_it_was(home: Path, memory: Path) -> None:
    child = Child(home, memory, pace=50, overflow_bytes=1 << 24)
    assert child.ready
    (folder,) = spools(home)
    for _ in range(5):
        time.sleep(0.03)
        child.process.send_signal(signal.SIGSTOP)
        state = inspect(folder)
        assert state.alive
        assert state.answered == state.on_disk + state.in_memory + sum(state.dropped.values())
        assert adopt_orphans(home) == []
        child.process.send_signal(signal.SIGCONT)
    child.process.send_signal(signal.SIGKILL)
    check(home, memory, child.end())


def test_a_clean_end_leaves_no_gap_and_no_memory(home: Path, memory: Path) -> None:
    child = Child(home, memory, pace=20, count=2000, overflow_bytes=1 << 24)
    answered = child.end()
    assert (child.process.returncode, answered) == (0, 2000)
    assert list(memory.iterdir()) == []
    assert check(home, memory, answered) == (2000, 0)
