"""Where every answer is, seen from outside."""

import subprocess
import sys
from pathlib import Path

import servers

from driftline.store.spool.adoption import adopt_orphans
from driftline.store.spool.inspect import SpoolState, inspect
from driftline.store.spool.reader import Position, SpoolReader


def balance(state: SpoolState, position: Position) -> None:
    assert state.answered == position.seq + state.on_disk + state.in_memory + sum(state.dropped.values())
    assert state.in_memory >= 0


def test_a_new_spool_has_answered_nothing(open_spool) -> None:
    state = inspect(open_spool().folder)
    assert (state.answered, state.in_memory, state.on_disk, state.dropped, state.bytes) == (0, 0, 0, {}, 0)
    assert state.alive
    assert state.oldest_at_us is None


def test_records_in_memory_on_disk_and_drops_are_told_apart(open_spool) -> None:
    spool = open_spool(flush_interval_seconds=0.01)
    for i in range(10):
        spool.append(0, b"x", 1000 + i)
    servers.wait_until(lambda: inspect(spool.folder).on_disk == 10, every=0.005)
    spool._writer._budget._settings = open_spool(max_bytes=1)._settings  # from now on nothing may be written
    for i in range(200):
        spool.append(0, bytes(1000), 2000 + i)
    state = inspect(spool.folder)
    assert (state.answered, state.on_disk, state.oldest_at_us) == (210, 10, 1000)
    assert 60 < state.in_memory < 140
    assert sum(state.dropped.values()) == 200 - state.in_memory
    reader = SpoolReader(spool.folder)
    reader.read()
    behind = inspect(spool.folder, reader.position)
    assert (behind.on_disk, behind.in_memory, behind.oldest_at_us) == (0, state.in_memory, 2000)
    balance(behind, reader.position)


def test_a_closed_spool_is_wholly_on_disk(open_spool) -> None:
    spool = open_spool()
    for _ in range(10):
        spool.append(0, b"x", 7)
    spool.close()
    state = inspect(spool.folder)
    assert (state.answered, state.on_disk, state.in_memory, state.alive) == (10, 10, 0, False)


def test_it_balances_at_every_moment_of_a_living_spool_and_after_its_death(home: Path, memory: Path) -> None:
    """A child appends faster than its small memory takes, and is read and inspected meanwhile."""
    script = """
import sys
from pathlib import Path
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool
spool = Spool.open(Path(sys.argv[1]), SpoolSettings(ring_folder=Path(sys.argv[2]), ring_bytes=1 << 16,
    overflow_bytes=1 << 15, segment_bytes=200_000, flush_interval_seconds=0.003, min_free_bytes=0))
print(spool.uuid, flush=True)
i = 0
while True:
    i += 1
    spool.append(0, bytes(i % 700), i)
    if i % 2000 == 0:
        import time; time.sleep(0.01)
"""
    child = subprocess.Popen([sys.executable, "-c", script, home, memory], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    folder = home / child.stdout.readline().strip()
    reader, seen, seen_dropped, answered = SpoolReader(folder), 0, 0, 0
    for _ in range(150):
        state = inspect(folder, reader.position)
        balance(state, reader.position)
        assert state.answered >= answered
        answered = state.answered
        batch = reader.read(max_records=3000)
        seen += len(batch.records)
        seen_dropped += sum(gap.count for gap in batch.gaps)
        assert seen + seen_dropped == reader.position.seq
        reader.delete_consumed(reader.position)
    child.kill()
    child.wait()
    child.stdout.close()
    dead = inspect(folder, reader.position)
    balance(dead, reader.position)
    adopt_orphans(home)
    adopted = inspect(folder, reader.position)
    balance(adopted, reader.position)
    assert adopted.in_memory == 0
    assert adopted.answered == dead.answered
    assert adopted.on_disk == dead.on_disk + dead.in_memory
    assert seen_dropped > 0


def test_numbers_whose_header_is_damaged_are_dropped_numbers(written) -> None:
    path = written.add_segment(1, written.frames(range(1, 4)))
    written.add_segment(4, b"")
    raw = bytearray(path.read_bytes())
    raw[64 + 76] ^= 1
    path.write_bytes(raw)
    state = inspect(written.folder)
    assert (state.answered, state.on_disk, state.dropped) == (3, 2, {"damaged": 1})


def test_a_record_whose_payload_is_damaged_is_on_the_disk_until_it_is_read(written) -> None:
    path = written.add_segment(1, written.frames(range(1, 4)))
    written.add_segment(4, b"")
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    state = inspect(written.folder)
    assert (state.answered, state.on_disk, state.dropped) == (3, 3, {})
    reader = SpoolReader(written.folder)
    assert [(len(batch.records), len(batch.gaps)) for batch in (reader.read(), reader.read())] == [(2, 1), (0, 0)]
    balance(inspect(written.folder, reader.position), reader.position)
