"""What the monitor reads back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import store_traffic as traffic
from sqlalchemy import Engine, event, select, text

from driftline.store.engine import writing
from driftline.store.loader.bulk import insert_rows
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.reads import count_rows, model_versions, profile_buckets, sample_rows, window_profile
from driftline.store.records import Arm
from driftline.store.references import newest_reference, save_reference


@pytest.fixture
def loaded(engine: Engine, tmp_path: Path) -> Engine:
    with writing(engine) as connection:
        version = ensure_model_version(connection, traffic.CLF)
        save_reference(connection, version.id, traffic.clf_reference())
    traffic.fill(tmp_path / "spool", traffic.clf_traffic(600))
    traffic.fill(tmp_path / "spool", traffic.clf_traffic(600, seed=1))
    Loader(engine, tmp_path / "spool", LoaderSettings(batch_records=250)).load_once()
    return engine


def test_a_window_is_the_sum_of_its_minutes_over_all_writers(loaded: Engine) -> None:
    with loaded.connect() as connection:
        (version,) = model_versions(connection, "clf")
        found = newest_reference(connection, version.id)
        assert found is not None
        key, reference = found
        end = traffic.START_US + 120_000_000
        whole = window_profile(connection, version.id, key, reference, None, 0, 2**62)
        start = window_profile(connection, version.id, key, reference, None, 0, end)
        rest = window_profile(connection, version.id, key, reference, None, end, 2**62)
        assert start.row_count > 0
        assert start + rest == whole
        assert whole.row_count == count_rows(connection, version, None, None)
        arms = [window_profile(connection, version.id, key, reference, arm, 0, 2**62) for arm in Arm]
        assert arms[0] + arms[1] + arms[2] == whole
        buckets = profile_buckets(connection, version.id, key, reference, None, 0, 2**62)
        assert len({bucket.start_us for bucket in buckets}) == len(buckets) == 8  # 420 seconds, cut at both ends
        assert sum(bucket.profile.row_count for bucket in buckets) == whole.row_count


def test_a_sample_is_bounded_and_always_the_same(loaded: Engine) -> None:
    with loaded.connect() as connection:
        (version,) = model_versions(connection)
        first = sample_rows(connection, version, None, None, 100)
        assert list(first.columns) == ["age", "visits", "plan", "prediction"]
        assert len(first) == 100
        assert first.equals(sample_rows(connection, version, None, None, 100))
        smaller = sample_rows(connection, version, None, None, 40)
        assert first.head(40).equals(smaller)
        everything = sample_rows(connection, version, None, None, 10**6)
        assert len(everything) == count_rows(connection, version, None, None)
        assert everything["age"].dtype == np.float64
        assert everything["visits"].dtype == np.int64
        assert sample_rows(connection, version, 0, 1, 100).empty


def test_a_sample_is_not_the_first_rows(loaded: Engine) -> None:
    with loaded.connect() as connection:
        (version,) = model_versions(connection)
        sample = sample_rows(connection, version, None, None, 200)
        everything = sample_rows(connection, version, None, None, 10**6)
    assert abs(sample["visits"].mean() - everything["visits"].mean()) < 1.5


@pytest.mark.parametrize("max_rows", [1, 10, 40, 100, 700, 5000])
@pytest.mark.parametrize("window", [(None, None), (traffic.START_US + 60_000_000, traffic.START_US + 300_000_000)])
def test_a_sample_holds_the_rows_of_the_smallest_hashes(
    loaded: Engine, max_rows: int, window: tuple[int | None, int | None]
) -> None:
    with loaded.connect() as connection:
        (version,) = model_versions(connection)
        t = version.table.c
        rows = connection.execute(select(t.invocation_id, t.row_index, t.received_at, t.in_visits)).all()
        inside = [row for row in rows if window[0] is None or window[0] <= row.received_at < (window[1] or 0)]
        ranked = sorted(inside, key=lambda row: (row.invocation_id[-4:], row.invocation_id, row.row_index))
        sample = sample_rows(connection, version, *window, max_rows)
    assert sample["visits"].tolist() == [row.in_visits for row in ranked[:max_rows]]


def test_a_sample_of_a_large_store_reads_the_rows_of_its_index_alone(engine: Engine) -> None:
    with writing(engine) as connection:
        version = ensure_model_version(connection, traffic.CLF)
        rows = 20_000
        rng = np.random.default_rng(4)
        insert_rows(connection, version.table, {
            "invocation_id": np.frombuffer(rng.bytes(16 * rows), "V16"), "row_index": np.zeros(rows, np.int32),
            "received_at": traffic.START_US + np.arange(rows), "model_version_id": np.full(rows, version.id),
            "arm": np.zeros(rows, np.int16), "in_visits": np.arange(rows),
        }, rows)  # fmt: skip
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE"))
        statements: list[Any] = []
        event.listen(engine, "before_cursor_execute", lambda *a: statements.append(a[2:4]))
        sample = sample_rows(connection, version, traffic.START_US, traffic.START_US + rows, 100)
        statement, parameters = statements[-1]
        explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters))
    assert len(sample) == 100
    assert abs(sample["visits"].mean() / rows - 0.5) < 0.1
    assert ("_sample " if engine.dialect.name == "sqlite" else "_substr_") in plan, plan
