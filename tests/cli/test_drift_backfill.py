"""`driftline drift backfill`, as a user types it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from monitor_rig import TinyModel, rows, save_reference, send
from sqlalchemy import delete

from driftline.cli.main import root
from driftline.monitor.jobs.job import JobContext
from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.errors import DriftlineError
from driftline.store.verify import verify

Run = Callable[..., Result]


@pytest.fixture
def run(sqlite_context: JobContext, tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command line on a store with 600 rows whose profiles are gone."""
    monkeypatch.setenv("DRIFTLINE_HOME", str(sqlite_context.home))
    monkeypatch.setenv("DRIFTLINE_STORE", str(sqlite_context.engine.url))
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(600, seed=2, income=1.0))
    with writing(sqlite_context.engine) as connection:
        connection.execute(delete(schema.profile))

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(root, [str(a) for a in arguments])

    return invoke


def test_it_says_how_many_rows_it_profiled_and_the_store_agrees(run: Run, sqlite_context: JobContext) -> None:
    assert not verify(sqlite_context.engine)[-1].agrees
    done = run("drift", "backfill", "tiny")
    assert done.exit_code == 0, done.output
    assert "tiny/1: 600 rows profiled on the newest reference" in done.stdout
    assert verify(sqlite_context.engine)[-1].agrees
    assert "600 rows" in run("drift", "tiny", "--since", "1h").output


def test_rows_are_taken_from_an_export(run: Run, sqlite_context: JobContext, tmp_path: Path) -> None:
    assert run("store", "export", tmp_path / "out").exit_code == 0
    assert "600 rows profiled" in run("drift", "backfill", "tiny", "--from-parquet", tmp_path / "out").stdout
    refused = run("drift", "backfill", "tiny", "--from-parquet", tmp_path / "absent")
    assert isinstance(refused.exception, DriftlineError)
    assert "driftline store export" in str(refused.exception)


def test_the_command_now_is_meant_where_none_is_named(run: Run) -> None:
    assert run("drift", "backfill", "tiny").exit_code == 0
    assert run("drift", "now", "tiny").output.splitlines()[1:] == run("drift", "tiny").output.splitlines()[1:]
    assert "backfill" in run("drift", "--help").output
    assert run("drift").exit_code == 2
