"""The size of the store: what a plan says, what goes, what the file system gets back."""

from pathlib import Path

import pytest
from retention_rig import NOW, TODAY, assert_whole, days_there, keep, load
from sqlalchemy import Engine

from driftline.store.retention.days import used_bytes
from driftline.store.retention.prune import plan, prune
from driftline.store.retention.settings import RetentionSettings


def test_the_oldest_days_go_until_the_store_fits_and_today_never_does(engine: Engine, home: Path) -> None:
    load(engine, home, *range(TODAY - 4, TODAY + 1), count=30, rows=300)
    with engine.connect() as connection:
        full = used_bytes(connection)
        in_five = [held.bytes for held in plan(engine, keep(1e-9), NOW)]
    assert len([size for size in in_five if size > 0]) >= 4
    limit = full - round(1.5 * max(in_five))
    settings = RetentionSettings(0, limit, 0, 0)
    planned = [held.day - TODAY for held in plan(engine, settings, NOW) if held.day >= TODAY - 4]
    report = prune(engine, settings, NOW)
    assert planned == [-4, -3]
    assert list(days_there(engine)) == [-2, -1, 0]
    assert report.bytes is not None
    assert report.bytes <= limit
    assert not report.over
    assert_whole(engine, home)
    report = prune(engine, RetentionSettings(0, 1, 0, 0), NOW)
    assert list(days_there(engine)) == [0]
    assert report.over
    assert "more than keep_bytes allows" in str(report)
    assert_whole(engine, home)


def test_a_plan_says_what_goes_and_takes_nothing(engine: Engine, home: Path) -> None:
    load(engine, home, TODAY - 5, TODAY - 4, TODAY)
    planned = [held for held in plan(engine, keep(2), NOW) if held.invocations]
    assert [(held.day - TODAY, held.invocations, held.rows) for held in planned] == [(-5, 40, 80), (-4, 40, 80)]
    assert all(held.bytes > 0 for held in planned)
    assert days_there(engine) == {-5: 40, -4: 40, 0: 40}


def test_a_new_sqlite_store_gives_its_space_back(engine: Engine, home: Path) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's files go with the partitions")
    load(engine, home, TODAY - 5, rows=500)
    load(engine, home, TODAY)
    file = Path(str(engine.url.database))

    def size() -> int:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.stat().st_size

    before = size()
    prune(engine, keep(2), NOW)
    assert size() < before / 2
    with engine.connect() as connection:
        assert used_bytes(connection) > 0.85 * file.stat().st_size
