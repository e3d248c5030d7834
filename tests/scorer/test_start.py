"""What refuses to start says so in one line; what starts brings no stranger."""

import re
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from scoring_servers import DriftlineServer, ScoringServer, driftline_server
from servers import free_port

pytestmark = pytest.mark.thorough

Pairs = dict[str, tuple[ScoringServer, DriftlineServer]]


def _refuses(server: DriftlineServer, *words: str) -> None:
    """Assert that the server ends with one line on standard error that holds these words."""
    done = server.run_to_end(120)
    mlflows = re.compile(r"\d{4}[-/]\d\d|INFO  \[alembic")  # the log of its own and of its tracking store
    own = [line for line in done.stderr.splitlines() if not mlflows.match(line)]
    assert done.returncode not in (0, None)
    assert len(own) == 1, done.stderr
    assert own[0].startswith("driftline: ")
    for word in words:
        assert word in own[0]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("uri", ["models:/linear@nobody", "/nowhere"])
def test_an_unknown_model_is_one_line(models: Path, tmp_path: Path, uri: str) -> None:
    store = ("--store", f"sqlite:///{tmp_path / 's.sqlite'}")
    _refuses(driftline_server(models, uri, "unknown-model", *store), uri, "MLFLOW_TRACKING_URI")


def test_an_mlflow_that_does_not_listen_is_told_in_seconds_without_its_password(models: Path, tmp_path: Path) -> None:
    away, store = f"http://me:secret@127.0.0.1:{free_port()}", ("--store", f"sqlite:///{tmp_path / 's.sqlite'}")
    server = driftline_server(models, "models:/linear/1", "away", *store, MLFLOW_TRACKING_URI=away)
    done = server.run_to_end(120)  # MLflow's client would have tried for minutes
    asked, refused = (line for line in done.stderr.splitlines() if line.startswith("driftline: "))
    assert done.returncode == 1
    assert asked.startswith("driftline: asking MLflow at http://127.0.0.1:")
    assert asked.endswith(" for models:/linear/1")
    assert "Connection refused" in refused
    assert refused.endswith("start it or correct MLFLOW_TRACKING_URI")
    assert "secret" not in done.stderr


def test_a_taken_port_is_one_line(models: Path, taken_port: int) -> None:
    _refuses(driftline_server(models, "models:/linear/1", "port", "-p", str(taken_port)), str(taken_port), "`-p`")


def test_a_taken_metrics_port_is_one_line(models: Path, taken_port: int) -> None:
    server = driftline_server(models, "models:/linear/1", "metrics-port", "--metrics-port", str(taken_port))
    _refuses(server, str(taken_port), "`--metrics-port`")


def test_one_port_for_both_is_one_line(models: Path) -> None:
    server = driftline_server(models, "models:/linear/1", "same-port", "-p", "9107", "--metrics-port", "9107")
    _refuses(server, "9107", "`--metrics-port`")


def test_an_unreachable_store_is_one_line_and_keeps_the_password(models: Path) -> None:
    nowhere = "postgresql+psycopg://me:secret@127.0.0.1:1/nothing"
    server = driftline_server(models, "models:/linear/1", "store", "--store", nowhere)
    _refuses(server, "me:***@127.0.0.1:1", "`--start-without-store`")


@pytest.mark.postgresql
def test_a_schema_that_is_too_old_is_one_line(models: Path, empty_postgresql_url: str) -> None:
    server = driftline_server(models, "models:/linear/1", "old", "--store", empty_postgresql_url)
    _refuses(server, "`driftline store upgrade`")


def test_a_schema_that_is_too_new_is_one_line(models: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "new.sqlite")
    connection.executescript(
        "CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('9999')"
    )
    connection.close()
    store = f"sqlite:///{tmp_path / 'new.sqlite'}"
    _refuses(driftline_server(models, "models:/linear/1", "new", "--store", store), "newer")


def test_an_unwritable_home_is_one_line(models: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    home = tmp_path / "file" / "home"
    _refuses(driftline_server(models, "models:/linear/1", "home", "--home", str(home)), str(home), "`--home`")


def test_a_ring_that_does_not_fit_is_one_line(models: Path) -> None:
    server = driftline_server(models, "models:/linear/1", "ring", DRIFTLINE_SPOOL_RING_BYTES=str(1 << 50))
    _refuses(server, "/dev/shm", "DRIFTLINE_SPOOL_RING_BYTES")


def test_an_unknown_setting_is_one_line(models: Path) -> None:
    server = driftline_server(models, "models:/linear/1", "setting", DRIFTLINE_SCORER_METRICS_PROT="1")
    _refuses(server, "DRIFTLINE_SCORER_METRICS_PORT")


def test_an_unknown_environment_manager_is_one_line(models: Path) -> None:
    _refuses(driftline_server(models, "models:/linear/1", "environment", "--env-manager", "nix"), "virtualenv", "nix")


def test_a_model_that_cannot_be_loaded_ends_the_server_with_its_traceback(models: Path, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: no_such_module, data: .}}\n")
    server = driftline_server(models, str(tmp_path), "broken", "-w", "2")
    done = server.run_to_end(120)
    assert done.returncode != 0
    assert "no_such_module" in done.stderr
    assert "driftline: the model could not be loaded (ModuleNotFoundError)" in done.stderr


def test_no_process_imports_a_report_library(pairs: Pairs) -> None:
    log = pairs["actor"][1].log.read_text()
    imported = {line.rsplit("|", 1)[1].strip() for line in log.splitlines() if line.startswith("import time:")}
    assert {
        "driftline.scorer.supervisor",
        "driftline.scorer.worker",
        "driftline.store.loader.loader",
        "uvicorn",
    } <= imported
    assert not {name for name in imported if name.split(".")[0] in ("evidently", "plotly", "sklearn", "apscheduler")}
