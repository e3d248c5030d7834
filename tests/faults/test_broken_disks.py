"""The spool on a disk that fails, turns read-only and loses its power."""

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import faulty_disks
import pytest
import servers
import store_traffic as traffic
from fault_oracle import Figures, stored

from driftline.store import migrate
from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.spool.adoption import adopt_orphans, spools
from driftline.store.spool.reader import SpoolReader
from driftline.store.spool.record import Gap, Record

pytestmark = pytest.mark.thorough
CHILD = Path(__file__).with_name("spool_child.py")
CONFIRMED = Path(__file__).with_name("durable_child.py")
TESTS = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
_CUTS = 3
_TOLD_BYTES = 1 << 20  # nobody reads what the child tells before its end: a full pipe would stop it
Note = Callable[[Figures], None]


def payload_of(seq: int) -> bytes:
    """The bytes that the child appends as number ``seq``."""
    chance = random.Random(seq)
    return hashlib.sha256(seq.to_bytes(8)).digest() * chance.randrange(40)


def start(home: Path, memory: Path, **options: object) -> subprocess.Popen[bytes]:
    settings = {"ring_bytes": 1 << 20, "overflow_bytes": 1 << 20, "segment_bytes": 1 << 18, "min_free_bytes": 0}
    arguments = [f"{name}={value}" for name, value in {**settings, **options}.items()]
    child = subprocess.Popen([sys.executable, CHILD, home, memory, *arguments],
                             stdout=subprocess.PIPE, pipesize=_TOLD_BYTES)  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def kill(child: subprocess.Popen[bytes]) -> list[int]:
    """Return the numbers that the child has told."""
    child.send_signal(signal.SIGKILL)
    raw, _ = child.communicate()
    return [int.from_bytes(raw[place : place + 8]) for place in range(0, len(raw) - 7, 8)]


def recovered(home: Path) -> tuple[list[Record], list[Gap]]:
    adopt_orphans(home)
    (folder,) = spools(home)
    reader = SpoolReader(folder)
    records, gaps = [], []
    while (batch := reader.read(max_records=50_000)).records or batch.gaps:
        records += batch.records
        gaps += batch.gaps
    assert all(record.payload == payload_of(record.seq) for record in records), "altered"
    assert [record.seq for record in records] == sorted({record.seq for record in records}), "twice, or not in order"
    return records, gaps


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("room", [1 << 25, 0], ids=["memory holds it", "memory is full"])
def test_a_disk_that_turns_read_only_costs_counted_drops_at_most(
    ext4: faulty_disks.Ext4, memory: Path, note: Note, room: int
) -> None:
    home = ext4.folder / "spool"
    child = start(home, memory, pace=20, overflow_bytes=room)
    time.sleep(0.3)
    ext4.fail()
    time.sleep(0.7)
    told = kill(child)
    assert told == list(range(1, told[-1] + 1)), "append stopped"
    ext4.unmount()
    ext4.mount()
    records, gaps = recovered(home)
    dropped = sum(gap.count for gap in gaps)
    assert len(records) + dropped >= told[-1]
    assert len(records) + dropped <= told[-1] + 1
    reasons = {gap.reason for gap in gaps}
    assert reasons <= {"disk_error", "damaged"}, "damaged is what the disk took and had not confirmed"
    assert ("disk_error" in reasons) == (not room)
    note(Figures(1, told[-1], dropped=dropped))


def lose_power(ext4: faulty_disks.Ext4, memory: Path, seconds: float, **options: object) -> tuple[list[int], set[int]]:
    """Return the numbers that were told before the power went and those that are there after it."""
    home = ext4.folder / "spool"
    child = start(home, memory, **options)
    time.sleep(seconds)
    child.send_signal(signal.SIGSTOP)
    ext4.cut_power()
    told = kill(child)
    ext4.unmount()
    for left in memory.iterdir():  # memory goes with the power
        left.unlink()
    ext4.mount()
    records, gaps = recovered(home) if spools(home) else ([], [])
    assert gaps == []
    shutil.rmtree(home, ignore_errors=True)
    return told, {record.seq for record in records}


def test_a_power_cut_loses_nothing_that_was_answered_in_power_mode(
    ext4: faulty_disks.Ext4, memory: Path, note: Note
) -> None:
    total = Figures()
    for seed in range(5):
        seconds = random.Random(seed).uniform(0.1, 0.5)
        told, there = lose_power(ext4, memory, seconds, durable=1, sync_interval_seconds=0.2, segment_bytes=1 << 15)
        assert set(told) <= there, "answered and lost"
        total += Figures(1, len(told))
    assert total.issued
    note(total)


def test_a_power_cut_in_process_mode_loses_about_the_last_second_and_nothing_before_it(
    ext4: faulty_disks.Ext4, memory: Path, note: Note
) -> None:
    total = Figures()
    for _ in range(_CUTS):
        told, there = lose_power(ext4, memory, 3.0, pace=1)
        assert there == set(range(1, len(there) + 1)), "a hole before what is there"
        lost = len(set(told) - there)
        total += Figures(1, len(told), lost=lost)
        per_second = len(told) / 3.0
        if there and lost < 2.5 * per_second:  # a second between two syncs, the sync itself, and some delay
            break
    else:
        pytest.fail(f"each of {_CUTS} cuts took more than about a second: {total}")  # a busy machine delays one sync
    note(total)


def test_a_power_cut_takes_nothing_from_a_store_on_the_same_disk_in_power_mode(
    ext4: faulty_disks.Ext4, memory: Path, note: Note
) -> None:
    home = ext4.folder / "home"
    (home / "spool").mkdir(parents=True)
    store = f"sqlite:///{home / 'driftline.sqlite'}"
    engine = open_engine(store)
    migrate.upgrade(engine)
    analyst = sqlite3.connect(home / "driftline.sqlite")  # so that no commit closes the last connection
    analyst.execute("SELECT count(*) FROM invocation").fetchall()
    before = list(traffic.clf_traffic(5000))
    traffic.fill(home / "spool", before)
    Loader(engine, home / "spool", LoaderSettings(batch_records=1000)).load_once()  # the log goes round from here on
    environment = {**os.environ, "DRIFTLINE_HOME": str(home), "DRIFTLINE_STORE": store, "PYTHONPATH": TESTS}
    loader = subprocess.Popen([sys.executable, "-m", "driftline.store.loader.process"], env=environment)
    child = subprocess.Popen([sys.executable, CONFIRMED, home / "spool", memory], env=environment,
                             stdout=subprocess.PIPE)  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    servers.wait_until(lambda: len(stored(engine)) > 5100)
    time.sleep(1.5)
    for process in (child, loader):
        process.send_signal(signal.SIGSTOP)
    ext4.cut_power()
    loader.kill()
    loader.wait()
    child.kill()
    raw, _ = child.communicate()
    analyst.close()
    told = {one.id for one in before} | {raw[place : place + 16] for place in range(0, len(raw) - 15, 16)}
    engine.dispose()
    ext4.unmount()
    for left in memory.iterdir():
        left.unlink()
    ext4.mount()
    engine = open_engine(store)
    Loader(engine, home / "spool", LoaderSettings()).load_once()
    found = stored(engine).keys()
    engine.dispose()
    assert len(told) > 5100
    assert not told - found, f"{len(told - found)} of {len(told)} confirmed and lost"
    note(Figures(1, len(told)))
