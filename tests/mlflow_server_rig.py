"""An MLflow tracking server with registry, over HTTP."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
import servers
from scoring_servers import BIN


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server of the MLflow in ``folder``, which hands out artifacts itself; the block may kill its group."""
    command = [
        str(BIN / "mlflow"), "server", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow' / 'mlflow.sqlite'}",
        "--artifacts-destination", str(folder / "kept"),
    ]  # fmt: skip
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # which start slowly and are not needed here
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        servers.wait_until(lambda: servers.listens(port), 120, what="mlflow server")
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


@pytest.fixture
def tracking_server(tracking: mlflow.MlflowClient, tmp_path: Path) -> Iterator[mlflow.MlflowClient]:
    """A client of a server of this test's MLflow."""
    port = servers.free_port()
    with mlflow_server(tmp_path, port):
        mlflow.set_tracking_uri(f"http://127.0.0.1:{port}")  # `tracking` sets it back
        yield mlflow.MlflowClient()
