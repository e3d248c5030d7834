"""Spark on two worker processes profiles what one process profiles, to the byte."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import servers
import store_traffic as traffic
from retention_rig import NOW, TODAY, keep
from sqlalchemy import Engine, delete, select

from driftline.store import migrate, schema
from driftline.store.backfill import backfill, put_in_force, version_by_id
from driftline.store.engine import open_engine, writing
from driftline.store.export.export import day_files, export
from driftline.store.export.parquet_rows import ParquetRows
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.partitions import DAY_US
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.retention.prune import prune
from driftline.store.retention.settings import RetentionSettings
from driftline.store.spark_profiles import SparkRows, exported_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
else:
    SparkSession = pytest.importorskip("pyspark.sql", reason="Spark is not installed: `make spark`").SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]
ALL = RetentionSettings(keep_minute_profile_hours=0, keep_hour_profile_days=0)
DAYS = (TODAY - 4, TODAY - 3)


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """A session on a cluster of two executor processes, on loopback alone."""
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    builder: Any = SparkSession.builder
    session = (
        builder.master("local-cluster[2,1,1024]")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.files.maxPartitionBytes", "16k")
        .config("spark.sql.files.openCostInBytes", "1")
        .getOrCreate()
    )
    # Spark counts the driver among them.
    servers.wait_until(lambda: session.sparkContext._jsc.sc().getExecutorMemoryStatus().size() == 3, 120)
    yield session
    session.stop()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A store with two days of rows of many values in three arms."""
    engine = open_engine(f"sqlite:///{tmp_path / 'driftline.sqlite'}")
    migrate.upgrade(engine)
    with writing(engine) as connection:
        id_ = ensure_model_version(connection, traffic.CLF).id
    put_in_force(engine, id_, traffic.clf_reference())
    sent = [
        one._replace(received_at_us=day * DAY_US + i * 100_000_000)
        for day in DAYS for i, one in enumerate(traffic.clf_traffic(800, day))
    ]  # fmt: skip
    traffic.fill(tmp_path / "spool", sent)
    Loader(engine, tmp_path / "spool", LoaderSettings()).load_once()
    yield engine
    engine.dispose()


def stored(engine: Engine) -> list[Any]:
    """All profiles, to the byte; and none after."""
    t = schema.profile.c
    columns = (t.arm, t.span_seconds, t.bucket_start, t.writer, t.row_count, t.counts)
    with writing(engine) as connection:
        rows = [tuple(row) for row in connection.execute(select(*columns).order_by(*columns[:4]))]
        connection.execute(delete(schema.profile))
    return rows


def test_two_executors_profile_an_export_as_one_process_does(
    engine: Engine, spark: SparkSession, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    export(engine, folder, day_files(engine, None, None, NOW))
    prune(engine, keep(2), NOW)
    with engine.connect() as connection:
        version = version_by_id(connection, 1)
    stored(engine)
    counted = backfill(engine, version.id, ParquetRows(folder), ALL)
    expected = stored(engine)
    rows = exported_rows(spark, folder, version)
    assert rows._frame.rdd.getNumPartitions() > 1
    assert backfill(engine, version.id, rows, ALL) == counted > 1000
    assert stored(engine) == expected
    assert len(expected) > 1000


def test_rows_that_came_after_export_and_pruning_are_counted_too(
    engine: Engine, spark: SparkSession, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    export(engine, folder, day_files(engine, None, None, NOW))
    prune(engine, keep(2), NOW)
    late = [one._replace(received_at_us=DAYS[0] * DAY_US + i) for i, one in enumerate(traffic.clf_traffic(20, 9))]
    traffic.fill(tmp_path / "spool", late)
    Loader(engine, tmp_path / "spool", LoaderSettings()).load_once()
    with engine.connect() as connection:
        version = version_by_id(connection, 1)
    backfill(engine, version.id, ParquetRows(folder), ALL)
    expected = stored(engine)
    backfill(engine, version.id, exported_rows(spark, folder, version), ALL)
    assert stored(engine) == expected


def test_rows_under_the_names_of_the_stores_table_in_any_order(engine: Engine, spark: SparkSession) -> None:
    """What JDBC reads: the table's columns, times as microseconds, arms as numbers, partitions of any cut."""
    backfill(engine, 1, None, ALL)
    expected = stored(engine)
    with engine.connect() as connection:
        version = version_by_id(connection, 1)
        rows = [dict(row) for row in connection.execute(select(version.table)).mappings()]
    fields = "received_at bigint, arm int, model_version_id bigint, in_age double, in_visits bigint, in_plan string, "
    names = [field.split()[0] for field in (fields + "out_prediction bigint").split(", ")]
    frame = spark.createDataFrame(
        [tuple(row[name] for name in names) for row in rows], fields + "out_prediction bigint"
    ).repartition(7, "in_age")
    backfill(engine, version.id, SparkRows(frame, "jdbc"), ALL)
    assert stored(engine) == expected
