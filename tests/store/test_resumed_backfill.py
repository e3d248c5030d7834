"""A backfill of days, from the store or from an export, killed and resumed: what loaders and roll-ups have made."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import store_traffic as traffic
from retention_rig import NOW, TODAY, keep
from sqlalchemy import Engine, delete, select

from driftline.store import backfill as backfill_module
from driftline.store import schema
from driftline.store.backfill import backfill, days_to_do, put_in_force, recomputed_minutes, version_by_id
from driftline.store.engine import writing
from driftline.store.errors import DriftlineError
from driftline.store.export.export import day_files, export
from driftline.store.export.parquet_rows import ParquetRows
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.partitions import DAY_US
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.reads import window_profile
from driftline.store.records import Invocation
from driftline.store.references import newest_reference
from driftline.store.retention.prune import prune
from driftline.store.retention.settings import RetentionSettings
from driftline.store.rollup import roll_up
from driftline.store.verify import verify

pytestmark = pytest.mark.thorough
ALL = RetentionSettings(keep_minute_profile_hours=0, keep_hour_profile_days=0)
DAYS = range(TODAY - 4, TODAY - 1)
SCRIPT = Path(__file__).with_name("killed_backfill.py")


def spread(day: int, seed: int, count: int = 60) -> list[Invocation]:
    """Traffic of many values, missing and unseen ones, in three arms, over a day."""
    step = DAY_US // count
    return [
        one._replace(received_at_us=day * DAY_US + i * step) for i, one in enumerate(traffic.clf_traffic(count, seed))
    ]


def load(engine: Engine, folder: Path, invocations: list[Invocation]) -> None:
    traffic.fill(folder, invocations)
    Loader(engine, folder, LoaderSettings()).load_once()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def version_id(engine: Engine, folder: Path) -> int:
    """A version with a reference and three days of rows, loaded as they came."""
    with writing(engine) as connection:
        id_ = ensure_model_version(connection, traffic.CLF).id
    put_in_force(engine, id_, traffic.clf_reference())
    load(engine, folder, [one for day in DAYS for one in spread(day, day)])
    return id_


def stored(engine: Engine) -> list[Any]:
    """All that is stored of profiles, to the byte."""
    t = schema.profile.c
    columns = (t.arm, t.span_seconds, t.bucket_start, t.writer, t.row_count, t.counts)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(*columns[:4]))]


def window(engine: Engine, version_id: int, day: int) -> Profile:
    with engine.connect() as connection:
        found = newest_reference(connection, version_id)
        assert found is not None
        return window_profile(connection, version_id, *found, None, day * DAY_US, (day + 1) * DAY_US)


def by_rows(engine: Engine, version_id: int, reference: Reference, day: int) -> Profile:
    """A day's profile on a reference, straight from the rows that are stored."""
    total = reference.empty_profile()
    with engine.connect() as connection:
        version = version_by_id(connection, version_id)
        for _, _, profile in recomputed_minutes(connection, version, reference, day * DAY_US):
            total += profile
    return total


def killed(engine: Engine, version_id: int, hours: int, *folder: str) -> None:
    url = engine.url.render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, SCRIPT, url, str(version_id), str(hours), *folder], check=False)
    assert done.returncode == -signal.SIGKILL


def assert_agrees(engine: Engine) -> None:
    assert not [check for check in verify(engine) if not check.agrees]


def test_a_backfill_that_was_killed_and_resumed_is_what_loading_and_rolling_up_made(
    engine: Engine, version_id: int
) -> None:
    roll_up(engine, ALL, NOW)
    incremental = stored(engine)
    assert len(incremental) > 200
    with writing(engine) as connection:
        connection.execute(delete(schema.profile))
    before = days_to_do(engine, version_id)
    killed(engine, version_id, 24 + 7)
    assert days_to_do(engine, version_id) == before - 1
    hours: list[int] = []
    assert backfill(engine, version_id, None, ALL, hours.append) == sum(
        row[4] for row in incremental if row[1] == 86_400
    )
    assert sum(hours) == 24 * (before - 1)
    assert stored(engine) == incremental
    assert_agrees(engine)


def test_rows_that_are_loaded_while_a_backfill_lies_killed_count_once(
    engine: Engine, version_id: int, folder: Path
) -> None:
    killed(engine, version_id, 24 + 7)
    load(engine, folder, [one for day in DAYS for one in spread(day, 99, 20)])
    backfill(engine, version_id)
    assert_agrees(engine)


def test_rows_that_are_loaded_while_a_day_is_read_count_once(engine: Engine, version_id: int, folder: Path) -> None:
    sent: list[int] = []

    def load_more(_: int) -> None:
        if not sent:
            load(engine, folder, spread(DAYS[0], 7, 20))
        sent.append(1)

    backfill(engine, version_id, on_hours=load_more)
    assert_agrees(engine)


def test_a_finished_backfill_begins_anew(engine: Engine, version_id: int) -> None:
    before = days_to_do(engine, version_id)
    backfill(engine, version_id)
    assert days_to_do(engine, version_id) == before


def test_a_newer_reference_stops_a_backfill_on_the_last_one(engine: Engine, version_id: int) -> None:
    def put(_: int) -> None:
        put_in_force(engine, version_id, traffic.clf_reference(seed=1))

    with pytest.raises(DriftlineError, match="newer one in force"):
        backfill(engine, version_id, on_hours=put)
    assert_agrees(engine)


def test_pruned_days_are_profiled_on_a_new_reference_from_an_export_killed_and_resumed(
    engine: Engine, version_id: int, tmp_path: Path
) -> None:
    reference = traffic.clf_reference(seed=1)
    expected = [by_rows(engine, version_id, reference, day) for day in DAYS]
    assert all(profile.row_count for profile in expected)
    exported = tmp_path / "export"
    export(engine, exported, day_files(engine, None, None, NOW))
    prune(engine, keep(2), NOW)
    put_in_force(engine, version_id, reference)
    assert window(engine, version_id, DAYS[0]).row_count == 0
    killed(engine, version_id, 24 + 7, str(exported))
    backfill(engine, version_id, ParquetRows(exported), ALL)
    assert [window(engine, version_id, day) for day in DAYS] == expected
    assert_agrees(engine)


def test_from_an_export_or_from_the_store_the_profiles_are_the_same_to_the_byte(
    engine: Engine, version_id: int, tmp_path: Path
) -> None:
    export(engine, tmp_path / "export", day_files(engine, None, None, NOW))
    backfill(engine, version_id, None, ALL)
    of_rows = stored(engine)
    with writing(engine) as connection:
        connection.execute(delete(schema.profile))
    backfill(engine, version_id, ParquetRows(tmp_path / "export"), ALL)
    assert stored(engine) == of_rows


def test_rows_that_came_after_their_day_was_exported_count_once(
    engine: Engine, version_id: int, folder: Path, tmp_path: Path
) -> None:
    reference, day, exported = traffic.clf_reference(), DAYS[0], tmp_path / "export"
    in_file = by_rows(engine, version_id, reference, day)
    export(engine, exported, day_files(engine, None, None, NOW))
    load(engine, folder, spread(day, 5, 20))
    everything = by_rows(engine, version_id, reference, day)
    backfill(engine, version_id, ParquetRows(exported))  # the export lacks some: the store has all
    assert window(engine, version_id, day) == everything
    prune(engine, keep(2), NOW)
    load(engine, folder, spread(day, 6, 20))
    in_store = by_rows(engine, version_id, reference, day)
    assert in_store.row_count > 0
    backfill(engine, version_id, ParquetRows(exported))
    assert window(engine, version_id, day) == in_file + in_store


def test_a_wide_model_is_profiled_in_smaller_steps_with_the_same_result(
    engine: Engine, version_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(engine, tmp_path / "export", day_files(engine, None, None, NOW))
    backfill(engine, version_id, None, ALL)
    expected = stored(engine)
    one_profile = 16 * traffic.clf_reference().layout.numeric.total
    monkeypatch.setattr(backfill_module, "_STEP_BYTES", 20 * one_profile)
    assert backfill_module._step_minutes(traffic.clf_reference()) == 4
    for source in (None, ParquetRows(tmp_path / "export")):
        with writing(engine) as connection:
            connection.execute(delete(schema.profile))
        backfill(engine, version_id, source, ALL)
        assert stored(engine) == expected


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DriftlineError, match="driftline store export"):
        ParquetRows(tmp_path / "absent")
