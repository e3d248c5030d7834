"""A spool that the disk does not let be made at first."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import faulty_disks
import pytest
import servers

from driftline.scorer import patient_spool
from driftline.scorer.patient_spool import NO_SPOOL, PatientSpool
from driftline.scorer.tally import TallySheet
from driftline.scorer.tee import Tee
from driftline.store.records import Arm, Invocation, ModelIdentity, new_invocation_id
from driftline.store.spool.adoption import spools
from driftline.store.spool.reader import SpoolReader
from driftline.store.spool.settings import SpoolSettings

FIRST, SECOND = (ModelIdentity("model", version, f"models:/model/{version}") for version in "12")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk that a test may fill."""
    with faulty_disks.tmpfs(tmp_path / "disk", "2m") as disk:
        yield disk


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_spool, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(patient_spool, "_LONGEST_PAUSE_SECONDS", 0.05)


def _settings(tmp_path: Path) -> SpoolSettings:
    return SpoolSettings(ring_folder=tmp_path, ring_bytes=1 << 16, min_free_bytes=0)


def _open_on_full(disk: Path, tmp_path: Path) -> tuple[PatientSpool, Path]:
    (disk / "spool").mkdir()
    ballast = faulty_disks.fill_up(disk)
    return PatientSpool.open(disk / "spool", _settings(tmp_path)), ballast


def test_a_spool_that_cannot_be_made_keeps_nothing_and_says_so(
    disk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool, _ = _open_on_full(disk, tmp_path)
    assert spool.append(spool.declare_model(FIRST), b"payload", 1) == NO_SPOOL
    assert not asyncio.run(spool.wait_durable(1, 0.1))
    assert "answers go on and are not kept until there is a spool" in caplog.text
    spool.close()


def test_a_spool_is_made_as_soon_as_there_is_room_and_knows_its_models(
    disk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool, ballast = _open_on_full(disk, tmp_path)
    first, second = spool.declare_model(FIRST), spool.declare_model(SECOND)
    assert spool.declare_model(FIRST) == first
    ballast.unlink()
    with caplog.at_level(logging.WARNING):
        servers.wait_until(lambda: spool.append(second, b"payload", 1) > 0, 60, 0.01)
        servers.wait_until(lambda: "answers are kept again" in caplog.text)
    assert spool.declare_model(SECOND) == second
    spool.close()
    (path,) = spools(disk / "spool")
    reader = SpoolReader(path)
    (record,) = reader.read().records
    assert reader.model(record.model) == SECOND


def test_answers_without_a_spool_are_counted(disk: Path, tmp_path: Path) -> None:
    spool, _ = _open_on_full(disk, tmp_path)
    sheet = TallySheet.create(1)
    tee = Tee(spool, FIRST, sheet.claim(), durable_wait_seconds=5)
    invocation = Invocation(new_invocation_id(5_000), 5_000, 200, Arm.CHAMPION, 7, b"text/csv", b"", b"a\n1\n", b"[1]")
    assert tee.record(invocation) is None
    tee.close()
    totals = sheet.totals()
    assert (totals.enqueued, totals.tee_failed, totals.tee_unspooled) == (0, 0, 1)


def test_a_spool_that_is_closed_before_it_could_be_made_leaves_nothing(disk: Path, tmp_path: Path) -> None:
    spool, ballast = _open_on_full(disk, tmp_path)
    spool.close()
    ballast.unlink()
    assert spools(disk / "spool") == []
