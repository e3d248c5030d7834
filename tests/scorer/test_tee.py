"""The tee over a real spool: what it records, and what it does when it cannot."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.scorer.tally import TallySheet
from driftline.scorer.tee import Tee
from driftline.store.records import Arm, Invocation, ModelIdentity, new_invocation_id
from driftline.store.spool.reader import SpoolReader
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

IDENTITY = ModelIdentity("model", "1", "models:/model/1")


def _invocation() -> Invocation:
    return Invocation(new_invocation_id(5_000), 5_000, 200, Arm.CHAMPION, 7, b"text/csv", b"", b"a\n1\n", b"[1]")


@pytest.fixture
def sheet() -> TallySheet:
    return TallySheet.create(1)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool.open(tmp_path, SpoolSettings(ring_folder=tmp_path, ring_bytes=1 << 16, min_free_bytes=0))
    yield spool
    spool.close()


def test_a_record_is_in_the_spool_and_counted(spool: Spool, sheet: TallySheet) -> None:
    tee = Tee(spool, IDENTITY, sheet.claim(), durable_wait_seconds=5)
    invocation = _invocation()
    seq = tee.record(invocation)
    asyncio.run(tee.durable(seq))
    reader = SpoolReader(spool.folder)
    (record,) = reader.read().records
    assert Invocation.unpack(record.payload) == invocation
    assert reader.model(record.model) == IDENTITY
    assert (sheet.totals().enqueued, sheet.totals().tee_failed) == (1, 0)


def test_a_record_that_cannot_be_made_is_counted_and_harms_nobody(
    spool: Spool, sheet: TallySheet, caplog: pytest.LogCaptureFixture
) -> None:
    broken = _invocation()._replace(status=1 << 16, request=b"a value of the request")
    tee = Tee(spool, IDENTITY, sheet.claim(), durable_wait_seconds=5)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            asyncio.run(tee.durable(tee.record(broken)))
    assert (sheet.totals().enqueued, sheet.totals().tee_failed) == (0, 3)
    assert len(caplog.records) == 1
    assert "a value of the request" not in caplog.text


def test_a_closed_spool_counts_as_failed(spool: Spool, sheet: TallySheet) -> None:
    tee = Tee(spool, IDENTITY, sheet.claim())
    tee.close()
    assert tee.record(_invocation()) is None
    assert sheet.totals().tee_failed == 1


def test_without_a_wait_the_medium_is_not_waited_for(spool: Spool, sheet: TallySheet) -> None:
    tee = Tee(spool, IDENTITY, sheet.claim())
    seq = tee.record(_invocation())
    waiting = tee.durable(seq)
    with pytest.raises(StopIteration):
        waiting.send(None)


def test_a_medium_that_does_not_confirm_delays_an_answer_no_longer_than_the_wait(
    spool: Spool, sheet: TallySheet
) -> None:
    tee = Tee(spool, IDENTITY, sheet.claim(), durable_wait_seconds=0.2)
    asyncio.run(asyncio.wait_for(tee.durable(10**9), 5))
