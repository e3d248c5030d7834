"""An MLflow tracking server with registry, over HTTP."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import servers
from scoring_servers import BIN


@pytest.fixture
def tracking_server(tracking: mlflow.MlflowClient, tmp_path: Path) -> Iterator[mlflow.MlflowClient]:
    """A client of a server of this test's MLflow, which hands out artifacts itself."""
    port = servers.free_port()
    command = [
        str(BIN / "mlflow"), "server", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.sqlite'}",
        "--artifacts-destination", str(tmp_path / "kept"),
    ]  # fmt: skip
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # which start slowly and are not needed here
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        servers.wait_until(lambda: servers.listens(port), 120, what="mlflow server")
        mlflow.set_tracking_uri(f"http://127.0.0.1:{port}")  # `tracking` sets it back
        yield mlflow.MlflowClient()
    finally:
        os.killpg(process.pid, 15)
        process.wait(20)
