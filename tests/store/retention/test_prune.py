"""What is older than the limit goes, nothing else does, and the store agrees with itself afterwards."""

import threading
import time
from pathlib import Path

import pytest
import store_traffic as traffic
from sqlalchemy import Engine, func, insert, select, text, update

from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.backfill import backfill
from driftline.store.engine import writing
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.partitions import DAY_US, day_of
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.reads import count_rows, model_versions
from driftline.store.records import Invocation, now_us
from driftline.store.references import save_reference
from driftline.store.retention import partition_drop
from driftline.store.retention.days import stored_days, used_bytes
from driftline.store.retention.prune import PruneReport, older_than, plan, prune
from driftline.store.retention.settings import RetentionSettings
from driftline.store.verify import verify

NOW = now_us()
TODAY = day_of(NOW)
FOREVER = RetentionSettings(0, 0, 0, 0)


def keep(days: float) -> RetentionSettings:
    return RetentionSettings(keep_days=days)


def a_day(day: int, count: int = 40, rows: int = 2) -> list[Invocation]:
    """Invocations spread evenly over a UTC day, the first and the last moment among them."""
    columns = ["age", "visits", "plan"]
    body = {"dataframe_split": {"columns": columns, "data": [[40.5, 3, "gold"]] * rows}}
    times = [day * DAY_US + i * (DAY_US - 1) // (count - 1) for i in range(count)]
    return [traffic.invocation(body, {"predictions": [1] * rows}, at_us=at) for at in times]


@pytest.fixture
def home(engine: Engine, tmp_path: Path) -> Path:
    """A home whose store knows the model and its reference."""
    with writing(engine) as connection:
        save_reference(connection, ensure_model_version(connection, traffic.CLF).id, traffic.clf_reference())
    return tmp_path


def load(engine: Engine, home: Path, *days: int, count: int = 40, rows: int = 2) -> None:
    traffic.fill(home / "spool", [one for day in days for one in a_day(day, count, rows)])
    Loader(engine, home / "spool", LoaderSettings()).load_once()


def days_there(engine: Engine) -> dict[int, int]:
    """Invocations by day."""
    with engine.connect() as connection:
        times = connection.scalars(select(schema.invocation.c.received_at)).all()
    return {day - TODAY: sum(day_of(at) == day for at in times) for day in sorted({day_of(at) for at in times})}


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def assert_whole(engine: Engine, home: Path) -> None:
    """The store agrees with itself, and the accounts balance."""
    differing = [check for check in verify(engine) if not check.agrees]
    assert not differing
    assert accounts(engine, home / "spool").balanced


def test_nothing_younger_than_the_limit_goes(engine: Engine, home: Path) -> None:
    load(engine, home, *range(TODAY - 5, TODAY + 1))
    report = prune(engine, keep(2), NOW)
    assert days_there(engine) == {-2: 40, -1: 40, 0: 40}
    assert [day - TODAY for day in report.days if day >= TODAY - 5] == [-5, -4, -3]
    assert (report.pruned.invocations, report.pruned.rows, report.waiting) == (120, 240, [])
    with engine.connect() as connection:
        (version,) = model_versions(connection)
        assert count_rows(connection, version, None, None) == 240
    assert_whole(engine, home)
    assert accounts(engine, home / "spool").stored == 240


def test_a_second_run_takes_nothing_and_counts_nothing_twice(engine: Engine, home: Path) -> None:
    load(engine, home, TODAY - 5, TODAY)
    prune(engine, keep(2), NOW)
    again = prune(engine, keep(2), NOW)
    assert not again.pruned
    assert_whole(engine, home)


def test_profiles_outlive_their_rows_and_a_backfill(engine: Engine, home: Path) -> None:
    load(engine, home, TODAY - 5, TODAY)
    before = count(engine, "profile")
    prune(engine, keep(2), NOW)
    assert count(engine, "profile") == before
    with engine.connect() as connection:
        (version,) = model_versions(connection)
    backfill(engine, version.id)
    assert count(engine, "profile") == before
    assert_whole(engine, home)
    settings = RetentionSettings(keep_days=2, keep_profile_days=4)
    assert prune(engine, settings, NOW).profiles > 0
    assert 0 < count(engine, "profile") < before
    assert_whole(engine, home)


def test_rows_that_arrive_for_a_pruned_day_are_stored_and_go_at_the_next_run(engine: Engine, home: Path) -> None:
    load(engine, home, TODAY - 5, TODAY)
    prune(engine, keep(2), NOW)
    load(engine, home, TODAY - 5, count=10)
    assert days_there(engine) == {-5: 10, 0: 40}
    assert_whole(engine, home)
    assert prune(engine, keep(2), NOW).pruned.invocations == 10
    assert_whole(engine, home)
    with engine.connect() as connection:
        counted = connection.execute(select(schema.pruned_day)).one()
    assert (counted.day_start, counted.invocations, counted.row_count) == ((TODAY - 5) * DAY_US, 50, 100)


def test_rows_of_clocks_that_jumped_lie_in_default_and_go_with_their_day(engine: Engine, home: Path) -> None:
    ancient, future = 19_000, TODAY + 400
    load(engine, home, ancient, future, TODAY)
    with engine.connect() as connection:
        assert stored_days(connection, TODAY * DAY_US)[0] == ancient
    prune(engine, keep(2), NOW)
    assert days_there(engine) == {0: 40, 400: 40}
    assert_whole(engine, home)


def test_empty_old_partitions_go_too(engine: Engine, home: Path) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no partitions")
    load(engine, home, TODAY - 5)
    with writing(engine) as connection:
        connection.execute(text(f"DELETE FROM prediction_clf_{traffic.CLF.fingerprint}"))
        connection.execute(text("DELETE FROM invocation"))
    assert TODAY - 5 in prune(engine, keep(2), NOW).days
    with engine.connect() as connection:
        assert not [day for day in stored_days(connection, TODAY * DAY_US) if day < TODAY - 2]


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


def test_what_is_kept_for_ever_stays(engine: Engine, home: Path) -> None:
    load(engine, home, TODAY - 800, TODAY)
    assert not prune(engine, FOREVER, NOW).days
    assert days_there(engine) == {-800: 40, 0: 40}


def test_dead_letters_and_labels_go_with_the_rows_of_their_age(engine: Engine, home: Path) -> None:
    load(engine, home, TODAY)
    with writing(engine) as connection:
        for age in (5, 1):
            connection.execute(insert(schema.dead_letter).values(
                spool_id=1, seq=age, reason="unreadable", error="test", payload=b"x", at=NOW - age * DAY_US
            ))  # fmt: skip
            connection.execute(insert(schema.label).values(
                invocation_id=bytes(16), row_index=age, value="1", event_at=0, received_at=NOW - age * DAY_US
            ))  # fmt: skip
        stored = schema.spool_position.c.stored
        connection.execute(update(schema.spool_position).values(stored=stored + 2))
    report = prune(engine, keep(2), NOW)
    assert (report.pruned.dead_letters, report.results) == (1, 1)
    assert (count(engine, "dead_letter"), count(engine, "label")) == (1, 1)
    assert all(check.agrees for check in verify(engine))


def test_old_results_go_before_the_runs_that_made_them(engine: Engine, home: Path) -> None:
    with writing(engine) as connection:
        for age in (500, 10):
            at = NOW - age * DAY_US
            run = connection.execute(insert(schema.job_run).values(job="drift", started_at=at, result="success"))
            assert run.inserted_primary_key is not None
            connection.execute(insert(schema.drift_result).values(
                model_version_id=1, job_run_id=run.inserted_primary_key[0], reference_id=1, arm=0, side="input",
                column_name="age", kind="numeric", statistic="ks", window_start=at, window_end=at, window_rows=1,
                verdict="drift", reason="", computed_at=at,
            ))  # fmt: skip
    assert prune(engine, RetentionSettings(), NOW).results == 2
    assert (count(engine, "job_run"), count(engine, "drift_result")) == (1, 1)


def test_the_loader_loads_while_prune_runs(engine: Engine, home: Path) -> None:
    load(engine, home, TODAY - 6, TODAY - 5, TODAY - 4, count=4000)
    slowest, batches, stop = 0.0, 0, threading.Event()

    def go_on_loading() -> None:
        nonlocal slowest, batches
        loader = Loader(engine, home / "spool", LoaderSettings())
        while not stop.is_set():
            traffic.fill(home / "spool", a_day(TODAY, 20))
            began = time.monotonic()
            loader.load_once()
            slowest, batches = max(slowest, time.monotonic() - began), batches + 1

    thread = threading.Thread(target=go_on_loading)
    thread.start()
    report = prune(engine, keep(2), NOW)
    during = batches
    stop.set()
    thread.join()
    assert report.pruned.invocations == 12_000
    if engine.dialect.name == "sqlite":
        assert during >= 3  # PostgreSQL drops the days before a batch is through
    assert slowest < 3
    assert_whole(engine, home)


def test_a_day_whose_tables_are_in_use_waits_and_stays_whole(
    engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no partitions")
    monkeypatch.setattr(partition_drop, "_PAUSE_SECONDS", 0.01)
    load(engine, home, TODAY - 5)
    with engine.begin() as reader:
        reader.execute(text("LOCK TABLE invocation IN ACCESS SHARE MODE"))
        report = prune(engine, keep(2), NOW)
        assert TODAY - 5 in report.waiting
        assert "other sessions use the tables" in str(report)
    assert days_there(engine) == {-5: 40}
    assert prune(engine, keep(2), NOW).pruned.invocations == 40
    assert_whole(engine, home)


def test_two_prunes_at_a_time_count_nothing_twice(engine: Engine, home: Path) -> None:
    load(engine, home, *range(TODAY - 7, TODAY - 3), count=500)
    reports: list[PruneReport] = []
    threads = [threading.Thread(target=lambda: reports.append(prune(engine, keep(2), NOW))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.pruned.invocations for report in reports) == 2000
    assert_whole(engine, home)


def test_older_than_nothing_leaves_today(engine: Engine, home: Path) -> None:
    load(engine, home, TODAY - 1, TODAY)
    prune(engine, older_than(RetentionSettings(), 0), NOW)
    assert days_there(engine) == {0: 40}


def test_a_store_that_was_filled_before_retention_is_upgraded_with_all_it_holds(
    empty_engine: Engine, tmp_path: Path
) -> None:
    from alembic import command

    from driftline.store import migrate

    alembic = migrate.config()
    with writing(empty_engine) as connection:
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "0001")
        spool = insert(schema.spool).values(uuid="u", host="h", pid=1, started_at=1)
        connection.execute(spool)
        connection.execute(insert(schema.spool_position).values(
            spool_id=1, segment=0, offset=9, seq=1, stored=1, dropped=0, quarantined=1, updated_at=1
        ))  # fmt: skip
        connection.execute(insert(schema.dead_letter).values(
            spool_id=1, seq=1, reason="r", error="e", payload=b"\0", at=NOW - 5 * DAY_US
        ))  # fmt: skip
        ensure_model_version(connection, traffic.CLF)
    migrate.upgrade(empty_engine)
    migrate.check(empty_engine)
    assert all(check.agrees for check in verify(empty_engine))
    load(empty_engine, tmp_path, TODAY - 5)
    assert prune(empty_engine, keep(2), NOW).pruned.dead_letters == 1
    assert all(check.agrees for check in verify(empty_engine))
    with empty_engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.pruned_day)) == 1


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
