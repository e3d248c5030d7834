"""Stores of every earlier schema, filled, are upgraded and go on: accounts, profiles, drift and reads."""

import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import store_traffic as traffic
from alembic import command
from sqlalchemy import Connection, Engine, MetaData, select, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.schema import CreateTable

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs import drift_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.store import migrate, schema
from driftline.store.accounts import accounts
from driftline.store.backfill import put_in_force
from driftline.store.engine import open_engine, writing
from driftline.store.inference_view import replace_view
from driftline.store.labels.loading import load_labels
from driftline.store.labels.record import Fields
from driftline.store.labels.settings import LabelSettings
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.prediction_tables import array_columns, ensure_model_version
from driftline.store.reads import model_versions
from driftline.store.records import invocation_id_text
from driftline.store.verify import verify

pytestmark = pytest.mark.thorough
HISTORY = migrate.history()
LAST_US = traffic.START_US + 200 * 700_000


def context(engine: Engine, home: Path) -> JobContext:
    return JobContext(
        engine, home, MonitorSettings(), ReportSettings(), DriftSettings(windows="1h"), clock=lambda: LAST_US
    )


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A store of today with traffic, a reference, profiles, labels and judgements."""
    home = tmp_path_factory.mktemp("filled")
    engine = open_engine(f"sqlite:///{home / 'driftline.sqlite'}")
    migrate.upgrade(engine)
    with writing(engine) as connection:
        version = ensure_model_version(connection, traffic.CLF)
    put_in_force(engine, version.id, calibrate(traffic.clf_reference()))
    sent = list(traffic.clf_traffic(200))
    traffic.fill(home / "spool", sent)
    Loader(engine, home / "spool", LoaderSettings()).load_once()
    load_labels(
        engine,
        LabelSettings(),
        [{"request_id": invocation_id_text(i.id), "row": 0, "label": 1} for i in sent[:9]],
        Fields(),
    )
    assert not drift_job.run(context(engine, home)).failed
    yield engine
    engine.dispose()


def store_of(engine: Engine, revision: str, filled: Engine) -> None:
    """Make an empty store of an earlier revision and fill it with what its tables can hold."""
    with writing(engine) as connection:
        alembic = migrate.config()
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, revision)
    with filled.connect() as source, writing(engine) as connection:
        for version in model_versions(source):
            _make_prediction_table(connection, version)
        known, held = _reflected(connection), _reflected(source)
        for table in known.sorted_tables:
            if table.name not in held.tables or table.name == "alembic_version":
                continue
            common = [c.name for c in table.columns if c.name in held.tables[table.name].columns]
            rows = source.execute(select(*(held.tables[table.name].c[name] for name in common))).mappings()
            ids = [c.name for c in table.columns if isinstance(c.type, UUID)]
            copied = [{**row, **{name: uuid.UUID(bytes=row[name]) for name in ids}} for row in rows]
            if copied:
                connection.execute(table.insert(), copied)
            if engine.dialect.name == "postgresql" and "id" in common and "id" not in ids:
                sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
                connection.execute(text(f'SELECT setval({sequence}, (SELECT max(id) FROM "{table.name}"))'))


def _reflected(connection: Connection) -> MetaData:
    found = MetaData()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an index over an expression, which is not needed here
        found.reflect(connection)
    return found


def _make_prediction_table(connection: Connection, version: object) -> None:
    table, columns = version.table, version.columns  # type: ignore[attr-defined]
    connection.execute(CreateTable(table))
    if connection.dialect.name == "postgresql":
        connection.execute(text(f'CREATE TABLE "{table.name}_default" PARTITION OF "{table.name}" DEFAULT'))
    replace_view(connection, "inference_clf", [(table.name, columns)], array_columns)


@pytest.mark.parametrize("revision", HISTORY[:-1])
def test_a_filled_store_of_an_earlier_release_is_upgraded_and_goes_on(
    empty_store_url: str, revision: str, filled: Engine, tmp_path: Path
) -> None:
    engine = open_engine(empty_store_url)
    store_of(engine, revision, filled)
    migrate.upgrade(engine)
    migrate.check(engine)
    disagreeing = [check for check in verify(engine) if not check.agrees]
    assert disagreeing == []
    with engine.connect() as connection, filled.connect() as source:
        for query in ("SELECT count(*) FROM inference_clf", "SELECT count(*) FROM invocation",
                      "SELECT sum(row_count) FROM profile", "SELECT count(*) FROM label"):  # fmt: skip
            assert connection.scalar(text(query)) == source.scalar(text(query))
    before = accounts(engine, tmp_path / "spool").stored
    traffic.fill(tmp_path / "spool", list(traffic.clf_traffic(30, seed=1)))
    Loader(engine, tmp_path / "spool", LoaderSettings()).load_once()
    assert accounts(engine, tmp_path / "spool").stored == before + 30
    report = drift_job.run(context(engine, tmp_path))
    assert not report.failed, report
    with engine.connect() as connection:
        judged = set(connection.scalars(select(schema.drift_result.c.column_name)))
    assert judged == {"age", "visits", "plan", "prediction"}
    assert all(check.agrees for check in verify(engine))
    engine.dispose()
