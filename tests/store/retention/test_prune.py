"""What is older than the limit goes, nothing else does, and the store agrees with itself afterwards."""

from pathlib import Path

import pytest
import store_traffic as traffic
from retention_rig import FOREVER, NOW, TODAY, assert_whole, count, days_there, keep, load
from sqlalchemy import Engine, func, insert, select, text, update

from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.backfill import backfill
from driftline.store.engine import writing
from driftline.store.partitions import DAY_US
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.reads import count_rows, model_versions
from driftline.store.records import new_invocation_id
from driftline.store.retention.days import stored_days
from driftline.store.retention.prune import older_than, prune
from driftline.store.retention.settings import RetentionSettings
from driftline.store.verify import verify


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
    p = schema.profile.c
    aged = select(func.count()).where(p.bucket_start < (TODAY - 4) * DAY_US)
    with engine.connect() as connection:
        held = connection.scalar(aged)
    backfill(engine, version.id)
    with engine.connect() as connection:
        assert connection.scalar(aged) == held
    assert_whole(engine, home)
    before = count(engine, "profile")
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
                invocation_id=new_invocation_id(NOW - age * DAY_US), row_index=0, value="1", event_at=0, received_at=NOW
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
    assert prune(engine, RetentionSettings(keep_result_days=400), NOW).results == 2
    assert (count(engine, "job_run"), count(engine, "drift_result")) == (1, 1)


def test_old_episodes_go_when_they_are_closed_and_what_thresholds_learn_from_stays(engine: Engine, home: Path) -> None:
    old = NOW - 500 * DAY_US
    episode = {"model_version_id": 1, "arm": 0, "side": "input", "opened_at": old, "near_at": old, "judgements": 1}
    with writing(engine) as connection:
        for column, closed_at in (("gone", old), ("open", None), ("late", NOW - DAY_US)):
            values = insert(schema.drift_episode).values(**episode, column_name=column, peak=2.0, closed_at=closed_at)
            connection.execute(values)
        connection.execute(insert(schema.drift_history).values(
            model_version_id=1, reference_id=1, arm=0, hour=NOW - 20 * DAY_US, spans="3600", scores=b""
        ))  # fmt: skip
    assert prune(engine, RetentionSettings(keep_result_days=10), NOW).results == 1
    with engine.connect() as connection:
        names = connection.scalars(select(schema.drift_episode.c.column_name)).all()
    assert sorted(names) == ["late", "open"]
    assert count(engine, "drift_history") == 1


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
