"""References and profiles under failures: nothing half, nothing twice, no row blamed."""

import threading
import time
from pathlib import Path

import pytest
import store_traffic as traffic
from sqlalchemy import Engine, select, text, update

from driftline.store import backfill as backfill_module
from driftline.store import schema
from driftline.store.backfill import backfill, put_in_force
from driftline.store.engine import writing
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile_rows import lock_loading
from driftline.store.records import Invocation
from driftline.store.verify import verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def version_id(engine: Engine) -> int:
    """The id of a version that has a reference."""
    with writing(engine) as connection:
        id_ = ensure_model_version(connection, traffic.CLF).id
    put_in_force(engine, id_, traffic.clf_reference())
    return id_


def loader(engine: Engine, folder: Path, **settings: int) -> Loader:
    return Loader(engine, folder, LoaderSettings(**settings))  # type: ignore[arg-type]


def within_a_minute(count: int) -> list[Invocation]:
    return [one._replace(received_at_us=traffic.START_US + i) for i, one in enumerate(traffic.clf_traffic(count))]


def agreements(engine: Engine) -> list[bool]:
    return [check.agrees for check in verify(engine)]


def test_a_damaged_reference_costs_profiles_and_no_row(
    engine: Engine, folder: Path, version_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    with writing(engine) as connection:
        connection.execute(update(schema.reference).values(content=b"\0\xff"))
    traffic.fill(folder, traffic.clf_traffic(200))
    report = loader(engine, folder, batch_records=50).load_once()
    assert (report.records, report.quarantined) == (200, 0)
    assert [r.message for r in caplog.records if "without profiles" in r.message][1:] == []
    put_in_force(engine, version_id, traffic.clf_reference())
    assert agreements(engine) == [True] * 3


def test_a_damaged_profile_costs_its_minute_and_no_row(
    engine: Engine, folder: Path, version_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    traffic.fill(folder, within_a_minute(60))
    loader(engine, folder, batch_records=20)._load_round()
    with writing(engine) as connection:
        connection.execute(update(schema.profile).values(counts=b"junk"))
    assert loader(engine, folder).load_once().quarantined == 0
    assert "begins anew" in caplog.text
    assert agreements(engine) == [True, True, False]
    backfill(engine, version_id)
    assert agreements(engine) == [True] * 3


def test_a_reference_is_never_seen_without_the_profiles_on_its_bins(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic.fill(folder, traffic.clf_traffic(50))
    loader(engine, folder).load_once()
    with engine.connect() as connection:
        version_id = connection.scalar(select(schema.model_version.c.id))

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(backfill_module, "recomputed_minutes", dies)
        with pytest.raises(KeyboardInterrupt):
            put_in_force(engine, version_id, traffic.clf_reference())
    with engine.connect() as connection:
        assert connection.scalar(select(schema.reference.c.id)) is None
    assert put_in_force(engine, version_id, traffic.clf_reference()) > 0
    assert agreements(engine) == [True] * 3


def test_a_backfill_between_two_batches_of_one_minute_counts_every_row_once(
    engine: Engine, folder: Path, version_id: int
) -> None:
    traffic.fill(folder, within_a_minute(60))
    running = loader(engine, folder, batch_records=20)
    running._load_round()
    backfill(engine, version_id)
    running.load_once()
    assert agreements(engine) == [True] * 3


def test_a_backfill_waits_for_a_loaders_transaction(postgresql_engine: Engine, folder: Path) -> None:
    with writing(postgresql_engine) as connection:
        version_id = ensure_model_version(connection, traffic.CLF).id
    put_in_force(postgresql_engine, version_id, traffic.clf_reference())
    traffic.fill(folder, within_a_minute(5))
    loader(postgresql_engine, folder).load_once()
    done = threading.Event()

    def run() -> None:
        backfill(postgresql_engine, version_id)
        done.set()

    with writing(postgresql_engine) as loading:
        lock_loading(loading, alone=False)
        thread = threading.Thread(target=run)
        thread.start()
        with postgresql_engine.connect() as watcher:
            end = time.monotonic() + 10
            waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            while not watcher.scalar(waiting):
                assert time.monotonic() < end
                assert not done.is_set()
                time.sleep(0.02)
    thread.join(60)
    assert done.is_set()
