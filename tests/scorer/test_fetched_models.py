"""Models that lie behind an MLflow server: fetched for a swap, removed when they are served no more."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from scaled_models import Clients, ScaledModels, product, wait_serves
from scoring_servers import BIN, driftline_server, environment

pytestmark = pytest.mark.slow


@pytest.fixture
def tracking_server(tmp_path: Path) -> Iterator[str]:
    """The URL of a real MLflow server that hands out artifacts itself."""
    port = servers.free_port()
    command = [
        str(BIN / "mlflow"), "server", "--port", str(port), "--workers", "1", "--backend-store-uri",
        f"sqlite:///{tmp_path / 'server.db'}", "--artifacts-destination", str(tmp_path / "kept"),
    ]  # fmt: skip
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment(tmp_path), cwd=tmp_path, stdout=log, stderr=log, start_new_session=True
        )
    try:
        servers.wait_until(lambda: servers.listens(port), 90, what="mlflow server")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def test_what_was_fetched_for_a_version_is_removed_after_the_next(tracking_server: str, tmp_path: Path) -> None:
    scaled = ScaledModels(tmp_path, tracking_server)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    server = driftline_server(
        tmp_path, "models:/scaled@champion", "home", "--registry-poll-seconds", "0.2",
        TMPDIR=str(temporary), MLFLOW_TRACKING_URI=tracking_server,
    )  # fmt: skip
    server.start()
    try:
        server.wait_ready()
        with Clients(server).sending(2) as clients:
            for name in ("second", "first", "second", "first", "second"):
                wait_serves(server, scaled.point(name))
        fetched = [path.parent for path in temporary.glob("driftline-models-*/*/MLmodel")]
        assert 1 <= len(fetched) <= 3
        assert product(server.score(b'{"dataframe_records": [{"x": 3}]}')) == 6.0
    finally:
        assert server.stop() == 0
    assert clients.failures == []
    assert all(product(a) == n * float(a.headers["x-driftline-model-version"]) for n, a in clients.answers)
    assert list(temporary.glob("driftline-models-*")) == []
