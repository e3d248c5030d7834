"""The table of drops in the ring's first page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.store.spool.pending_gaps import CAPACITY, REASONS, PendingGaps
from driftline.store.spool.ring import Ring


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    ring = Ring.create(tmp_path / "ring", 1000)
    yield ring
    ring.close(remove=True)


def test_drops_for_one_reason_are_one_run_and_another_reason_begins_a_new_one(ring: Ring) -> None:
    gaps = PendingGaps(ring.memory)
    for seq, reason in [(5, "ring_full"), (6, "ring_full"), (7, "disk_full"), (8, "ring_full")]:
        gaps.add(seq, reason, seq * 10)
    assert [(g.first_seq, g.last_seq, g.count, g.reason, g.from_us, g.to_us) for g in gaps.gaps()] == [
        (5, 6, 2, "ring_full", 50, 60),
        (7, 7, 1, "disk_full", 70, 70),
        (8, 8, 1, "ring_full", 80, 80),
    ]


def test_the_table_is_bounded_and_loses_no_number(ring: Ring) -> None:
    gaps = PendingGaps(ring.memory)
    for seq in range(1, 1001):
        gaps.add(seq, REASONS[seq % len(REASONS)], seq)
    found = gaps.gaps()
    assert len(found) == CAPACITY
    assert [seq for g in found for seq in range(g.first_seq, g.last_seq + 1)] == list(range(1, 1001))
    assert ring.copy(0, 1000) == bytes(1000)


def test_another_mapping_sees_the_runs_and_that_they_were_cleared(ring: Ring) -> None:
    gaps = PendingGaps(ring.memory)
    gaps.add(1, "error", 0)
    other = Ring.open(ring.path, writable=False)
    assert other is not None
    seen = PendingGaps(other.memory)
    generation = seen.generation
    assert seen.gaps() == gaps.gaps() != []
    gaps.clear()
    assert seen.gaps() == []
    assert seen.generation != generation
    other.close(remove=False)
