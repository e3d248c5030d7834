"""What is in the files is what is in SQL, whatever died on the way."""

import fcntl
import hashlib
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import store_traffic as traffic
from sqlalchemy import Engine, select

from driftline.store.errors import DriftlineError, ModelNotFound
from driftline.store.export.arrow_rows import arrow_schema, field_names
from driftline.store.export.export import ExportReport, day_files, export
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.partitions import DAY_US, day_of
from driftline.store.prediction_tables import ModelVersion
from driftline.store.reads import model_versions
from driftline.store.records import ModelIdentity, now_us
from driftline.store.retention.prune import prune
from driftline.store.retention.settings import RetentionSettings

NOW = now_us()
TODAY = day_of(NOW)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOSTILE = '../../etc & Ünïcode/50% = "x" \'; DROP TABLE'


def send(engine: Engine, home: Path, day: int, count: int = 20, identity: ModelIdentity = traffic.CLF) -> None:
    """Have rows of the day stored: numbers, missing ones, text that is hard to hold."""
    columns = ["age", "visits", "plan"]
    plans = ["gold", "né\u0000w", "", None, "=1+1", "x" * 300]
    sent = []
    for i in range(count):
        data = [[None if i % 3 == 0 else i / 7, i + k, plans[(i + k) % len(plans)]] for k in range(2)]
        body = {"dataframe_split": {"columns": columns, "data": data}}
        at = day * DAY_US + i * (DAY_US - 1) // max(1, count - 1)
        sent.append(traffic.invocation(body, {"predictions": [0, 1]}, at_us=at))
    traffic.fill(home / "spool", sent, identity)
    Loader(engine, home / "spool", LoaderSettings()).load_once()


def run(engine: Engine, folder: Path, since: int | None = None, model: str | None = None) -> ExportReport:
    return export(engine, folder, day_files(engine, since, model, NOW))


def files(folder: Path) -> dict[str, str]:
    """The hash of every file under its final name."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.parquet")}


def in_sql(engine: Engine, version: ModelVersion) -> list[tuple[Any, ...]]:
    t = version.table.c
    cells = [t[column.column_name] for column in version.columns]
    query = select(t.received_at, t.invocation_id, t.row_index, *cells).where(t.model_version_id == version.id)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(t.received_at, t.invocation_id, t.row_index)).all()
    return [(EPOCH + timedelta(microseconds=at), str(uuid.UUID(bytes=key)), row, *rest) for at, key, row, *rest in rows]


def in_files(folder: Path, version: ModelVersion) -> list[tuple[Any, ...]]:
    names = ["received_at", "invocation_id", "row", *field_names(version).values()]
    paths = [p for p in sorted(folder.rglob("*.parquet")) if f"version={version.version}" in str(p)]
    tables = [pq.ParquetFile(path).read(columns=names).select(names) for path in paths]
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


@pytest.fixture
def filled(engine: Engine, tmp_path: Path) -> Engine:
    for day in (TODAY - 3, TODAY - 2, TODAY):
        send(engine, tmp_path, day)
    send(
        engine,
        tmp_path,
        TODAY - 2,
        identity=ModelIdentity("clf", "2", "models:/clf/2", signature=traffic.CLF.signature),
    )
    return engine


def versions(engine: Engine) -> list[ModelVersion]:
    with engine.connect() as connection:
        return model_versions(connection)


def test_what_is_in_the_files_is_what_is_in_sql(filled: Engine, tmp_path: Path) -> None:
    report = run(filled, tmp_path / "out")
    assert (report.files, report.rows, report.skipped) == (4, 160, 0)
    for version in versions(filled):
        assert in_files(tmp_path / "out", version) == in_sql(filled, version)
    first, _ = versions(filled)
    schema = pq.read_schema(next((tmp_path / "out").rglob("*.parquet")))
    assert schema.names == ["invocation_id", "row", "received_at", "arm", "age", "visits", "plan", "prediction"]
    assert schema.field("received_at").type == pa.timestamp("us", "UTC")
    assert schema.field("age").type == pa.float64()
    assert schema.equals(arrow_schema(first))


def test_a_data_set_reader_finds_day_model_and_version_in_the_folders(filled: Engine, tmp_path: Path) -> None:
    run(filled, tmp_path / "out")
    table = pq.read_table(tmp_path / "out", partitioning="hive")
    assert table.num_rows == 160
    assert set(table["model"].to_pylist()) == {"clf"}
    assert {str(version) for version in table["version"].to_pylist()} == {"1", "2"}
    assert len(set(table["dt"].to_pylist())) == 3
    assert table["age"].null_count == sum(value is None for value in table["age"].to_pylist()) > 0


@pytest.mark.parametrize("at", [2, 55])
def test_a_killed_export_is_resumed_to_the_files_of_one_run(
    filled: Engine, store_url: str, tmp_path: Path, at: int
) -> None:
    run(filled, tmp_path / "whole")
    folder = tmp_path / "killed"
    program = [sys.executable, str(Path(__file__).with_name("killed_export.py")), store_url, str(folder), str(at)]
    assert subprocess.run(program, check=False).returncode == -9
    before = files(folder)
    assert before.items() < files(tmp_path / "whole").items()  # whole files or none
    report = run(filled, folder)
    assert report.skipped == len(before)
    assert files(folder) == files(tmp_path / "whole")
    assert not list(folder.rglob("*.partial"))


def test_finished_days_are_skipped_and_today_is_open_until_it_is_over(filled: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(filled, folder)
    assert [marker.parts[-4][3:] for marker in folder.rglob("*.open")] == [f"{datetime.now(UTC):%Y-%m-%d}"]
    again = run(filled, folder)
    assert (again.files, again.skipped) == (1, 3)
    tomorrow = export(filled, folder, day_files(filled, None, None, NOW + DAY_US))
    assert (tomorrow.files, tomorrow.skipped) == (1, 3)
    assert not list(folder.rglob("*.open"))
    assert export(filled, folder, day_files(filled, None, None, NOW + DAY_US)).files == 0


def test_rows_that_come_late_are_exported_by_the_next_run(filled: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(filled, folder)
    send(filled, tmp_path, TODAY - 3, count=5)
    assert run(filled, folder).files == 2  # that day's, and today's
    for version in versions(filled):
        assert in_files(folder, version) == in_sql(filled, version)


def test_what_was_exported_stays_when_the_store_is_pruned(filled: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(filled, folder)
    before = files(folder)
    prune(filled, RetentionSettings(keep_days=1), NOW)
    assert run(filled, folder).files == 1
    assert files(folder).keys() == before.keys()


def test_since_and_model_choose(filled: Engine, tmp_path: Path) -> None:
    send(
        filled,
        tmp_path,
        TODAY - 2,
        identity=ModelIdentity("other", "1", "models:/other/1", signature=traffic.CLF.signature),
    )
    report = run(filled, tmp_path / "out", since=(TODAY - 2) * DAY_US + 5, model="clf")
    assert report.files == 3
    assert not list((tmp_path / "out").rglob("model=other"))
    with pytest.raises(ModelNotFound, match="driftline store status"):
        run(filled, tmp_path / "out", model="absent")


def test_hostile_names_stay_in_the_folder_and_are_read_back(engine: Engine, tmp_path: Path) -> None:
    names = ["dt", "Row", "row", " ", "prediction", "\x00", '50% "x"\n']
    signature = traffic.signature([{"name": name, "type": "double", "required": True} for name in names])
    identity = ModelIdentity(HOSTILE, "..", "u", signature=signature)
    body = {"dataframe_split": {"columns": names, "data": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]]}}
    traffic.fill(tmp_path / "spool", [traffic.invocation(body, {"predictions": [1]}, at_us=NOW)], identity)
    long = ModelIdentity("ü" * 200, "1", "u", signature=traffic.CLF.signature)
    send(engine, tmp_path, TODAY, identity=long)
    run(engine, tmp_path / "out")
    found = {path: pq.ParquetFile(path) for path in (tmp_path / "out").rglob("*.parquet")}
    assert len(found) == len(list(tmp_path.rglob("*.parquet"))) == 2
    models = {file.schema_arrow.metadata[b"driftline.model"].decode(): path for path, file in found.items()}
    assert set(models) == {HOSTILE, "ü" * 200}
    assert unquote(models[HOSTILE].parts[-3]) == f"model={HOSTILE}"
    (row,) = found[models[HOSTILE]].read().to_pylist()
    assert (row["in_dt"], row['50% "x"\n'], row["out_prediction"]) == (1.0, 7.0, 1)


def test_wide_models_have_a_column_for_every_input(engine: Engine, tmp_path: Path) -> None:
    names = [f"f{i}" for i in range(950)]
    identity = ModelIdentity(
        "wide", "1", "u", signature=traffic.signature([{"name": n, "type": "double", "required": True} for n in names])
    )
    body = {"dataframe_split": {"columns": names, "data": [[None, *map(float, range(1, 950))]] * 3}}
    traffic.fill(tmp_path / "spool", [traffic.invocation(body, {"predictions": [1, 2, 3]}, at_us=NOW)], identity)
    Loader(engine, tmp_path / "spool", LoaderSettings()).load_once()
    run(engine, tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.parquet")
    rows = pq.ParquetFile(path).read().to_pylist()
    assert [(row["row"], row["f0"], row["f949"], row["prediction"]) for row in rows] == [
        (0, None, 949.0, 1), (1, None, 949.0, 2), (2, None, 949.0, 3),
    ]  # fmt: skip


def test_one_export_at_a_time_works_on_a_folder(filled: Engine, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".driftline-export.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DriftlineError, match="another export works on"):
            run(filled, tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_one_line(filled: Engine) -> None:
    with pytest.raises(DriftlineError, match="cannot write to /proc/driftline"):
        run(filled, Path("/proc/driftline"))
