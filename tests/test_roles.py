"""`deploy/postgresql/roles.sql`: loader and monitor do their work, and can neither drop nor change a table."""

import logging
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import servers
import store_traffic as traffic
from event_rig import event, half
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs import drift_job, labels_job, performance_job, retention_job, rollup_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.store import schema
from driftline.store.backfill import put_in_force
from driftline.store.engine import open_engine, writing
from driftline.store.events import Event, leave_event
from driftline.store.failures import is_store_trouble, next_step
from driftline.store.imports.pairing import settle
from driftline.store.imports.settings import Served
from driftline.store.imports.waiting import stage
from driftline.store.labels.loading import load_labels
from driftline.store.labels.record import Fields
from driftline.store.labels.settings import LabelSettings
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.partitions import day_of, ensure_days
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.records import ModelIdentity, invocation_id_text, now_us
from driftline.store.verify import verify

pytestmark = [pytest.mark.postgresql, pytest.mark.thorough]
ROLES = Path(__file__).parents[1] / "deploy" / "postgresql" / "roles.sql"
NOW = now_us()


@pytest.fixture
def roles(postgresql_server: servers.PostgreSQL, postgresql_url: str) -> dict[str, Engine]:
    """Engines of owner, loader and monitor on one upgraded store."""
    first = open_engine(postgresql_url)
    first.dispose()
    for _ in range(2):  # it may be run again
        psql = [postgresql_server.bin / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", ROLES]
        plain = postgresql_url.replace("+psycopg", "")
        subprocess.run([*psql, plain], check=True, capture_output=True)
    names = ("owner", "loader", "monitor")
    return {name: open_engine(postgresql_url.replace("driftline@", f"driftline_{name}@")) for name in names}


def recent(count: int) -> list[traffic.Invocation]:
    sent = list(traffic.clf_traffic(count))
    return [one._replace(received_at_us=NOW - 60_000_000 + n) for n, one in enumerate(sent)]


def test_loader_and_monitor_do_their_work_in_their_roles(
    roles: dict[str, Engine], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with writing(roles["owner"]) as connection:
        version = ensure_model_version(connection, traffic.CLF)
    ensure_days(roles["owner"], [day_of(NOW)])
    put_in_force(roles["monitor"], version.id, calibrate(traffic.clf_reference()))
    sent = recent(200)
    traffic.fill(tmp_path / "spool", sent)
    leave_event(tmp_path / "spool", Event("model loaded", NOW, traffic.CLF))
    loader = Loader(roles["loader"], tmp_path / "spool", LoaderSettings())
    assert loader.load_once().records == 200
    loader._keep_up()
    with caplog.at_level(logging.WARNING):
        ensure_days(roles["loader"], [day_of(NOW) + 3])
    assert "driftline store upkeep" in caplog.text

    context = JobContext(
        roles["monitor"], tmp_path, MonitorSettings(), ReportSettings(), DriftSettings(windows="1h"), clock=lambda: NOW
    )
    for job in (drift_job, rollup_job, labels_job, retention_job):
        report = job.run(context)
        assert not report.failed, report
    labels = [{"request_id": invocation_id_text(one.id), "row": 0, "label": 1} for one in sent[:20]]
    assert load_labels(roles["monitor"], LabelSettings(), labels, Fields()).received == 20
    assert not performance_job.run(context).failed
    schedule = Schedule(context, lambda: None)
    schedule.start()
    servers.wait_until(lambda: not schedule.stands_by, 60, what="the lead, in the monitor's role")
    schedule.stop()
    assert all(check.agrees for check in verify(roles["monitor"]))
    with roles["monitor"].connect() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.drift_result))
        assert connection.scalar(select(func.count()).select_from(schema.performance_hour))
        assert connection.scalar(text("SELECT count(*) FROM inference_clf"))
    dispose(roles)


FORBIDDEN = [
    "DROP TABLE invocation", "TRUNCATE invocation", "DELETE FROM invocation", "UPDATE invocation SET status = 200",
    "ALTER TABLE label ADD COLUMN x int", "CREATE TABLE mine (x int)", "DROP VIEW inference_clf", "DROP TABLE {table}",
    "DROP TABLE {table}_default", "DELETE FROM {table}", "DELETE FROM dead_letter", "DROP SCHEMA public CASCADE",
    "UPDATE alembic_version SET version_num = '1'", "DELETE FROM spool_position",
]  # fmt: skip


@pytest.mark.parametrize("role", ["loader", "monitor"])
def test_neither_may_change_a_table_or_take_what_was_captured(roles: dict[str, Engine], role: str) -> None:
    with writing(roles["owner"]) as connection:
        table = ensure_model_version(connection, traffic.CLF).table.name
    own = {
        "loader": ["DELETE FROM drift_result", "INSERT INTO label_count VALUES ('m', 'stored', 1, 1)"],
        "monitor": [
            f"INSERT INTO {table} SELECT * FROM {table}", "INSERT INTO invocation SELECT * FROM invocation",
            "INSERT INTO spool_gap SELECT * FROM spool_gap",
        ],
    }[role]  # fmt: skip
    for statement in [*FORBIDDEN, *own]:
        with (
            pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
            roles[role].begin() as connection,
        ):
            connection.execute(text(statement.format(table=table)))
    dispose(roles)


def test_a_model_whose_table_is_not_made_yet_waits_in_the_spool_and_the_step_is_told(
    roles: dict[str, Engine], tmp_path: Path
) -> None:
    other = ModelIdentity("other", "1", "models:/other/1", signature=traffic.CLF.signature)
    traffic.fill(tmp_path / "spool", recent(5), other)
    with pytest.raises(DBAPIError) as refused, writing(roles["loader"]) as connection:
        ensure_model_version(connection, other)
    assert is_store_trouble(refused.value)
    assert "driftline store upkeep" in next_step(refused.value)
    loader = Loader(roles["loader"], tmp_path / "spool", LoaderSettings())
    with pytest.raises(DBAPIError):
        loader.load_once()
    with writing(roles["owner"]) as connection:
        ensure_model_version(connection, other)
    assert Loader(roles["loader"], tmp_path / "spool", LoaderSettings()).load_once().records == 5
    dispose(roles)


def dispose(engines: dict[str, Engine]) -> None:
    for engine in engines.values():
        engine.dispose()


def test_a_monitor_that_is_a_loader_too_stores_the_calls_of_events(
    roles: dict[str, Engine], postgresql_url: str
) -> None:
    served = Served("iris", "models:/clf/1")
    body = {"dataframe_split": {"columns": ["age", "visits", "plan"], "data": [[1.0, 2, "gold"]]}}
    now = datetime.now(UTC).isoformat()
    sent = [half(event("request", body, time=now)), half(event("response", {"predictions": [1]}, time=now))]
    stage(roles["monitor"], [(one, served) for one in sent])
    with writing(roles["owner"]) as connection:
        ensure_model_version(connection, traffic.CLF)
    ensure_days(roles["owner"], [day_of(NOW)])
    with pytest.raises(ProgrammingError, match="permission denied"):
        settle(roles["monitor"], lambda uri: traffic.CLF, LoaderSettings(), 0)
    first = open_engine(postgresql_url)
    try:
        with first.begin() as connection:
            connection.execute(text("GRANT driftline_loader TO driftline_monitor"))
        assert settle(roles["monitor"], lambda uri: traffic.CLF, LoaderSettings(), 0).rows == 1
    finally:  # roles are the whole server's
        with first.begin() as connection:
            connection.execute(text("REVOKE driftline_loader FROM driftline_monitor"))
        first.dispose()
    dispose(roles)
